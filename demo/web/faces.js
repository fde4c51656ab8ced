/** Which of the faces that the bot reports are worth showing: a helmet taken for a face comes and goes at once. */

const SURE_QUALITY = 0.25;
const STEADY_MS = 500;

/** Keeps apart, from report to report, faces that last from those that only flicker. */
export class SteadyFaces {
  #known = new Map(); // id -> {since, looks, isShown}

  /** The faces to show at `now` (ms): those seen well, in use for a voice, or seen for half a second. */
  settle(faces, now) {
    const known = new Map();
    for (const face of faces) known.set(face.id, this.#followed(face, now));
    this.#known = known;
    return faces.filter(({ id }) => known.get(id).isShown);
  }

  #followed(face, now) {
    // The bot goes on reporting a lost face for 1.5 s as it last was, so only a change tells that it was seen again.
    const looks = JSON.stringify([face.box, face.quality]);
    const { since = now, looks: before, isShown = false } = this.#known.get(face.id) ?? {};
    const isLasting = looks !== before && now - since >= STEADY_MS;
    return { since, looks, isShown: isShown || face.own || face.quality >= SURE_QUALITY || isLasting };
  }
}
