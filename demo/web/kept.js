/** What this browser keeps of a person's choices; without storage they last as long as the page. */

/** What lies at `place`, or `otherwise` if that is nothing of its kind. */
export function read(place, otherwise) {
  try {
    const value = JSON.parse(localStorage.getItem(place));
    return typeof value === typeof otherwise && Array.isArray(value) === Array.isArray(otherwise) && value !== null ? value : otherwise;
  } catch {
    return otherwise; // storage is off, or holds what is not ours
  }
}

/** Keeps `value` at `place`. */
export function write(place, value) {
  try {
    localStorage.setItem(place, JSON.stringify(value));
  } catch {
    // Storage is off or full.
  }
}
