/** The choice of the language that is typed in, kept in this browser; shown where the bot speaks more than one. */

import { read, write } from "./kept.js";

const PLACE = "rtc-voice-language";
const BY_LETTERS = "By its letters"; // what the bot does where no language is named

const row = document.getElementById("language-row");
const select = document.getElementById("language");
const names = new Intl.DisplayNames(["en"], { type: "language" });

/** Offers the languages with these ISO 639-1 codes; what was chosen last time is chosen again if it is among them. */
export function offerLanguages(codes) {
  row.hidden = codes.length < 2;
  const wanted = ["", ...codes];
  if (wanted.join() === [...select.options].map(({ value }) => value).join()) return;
  select.replaceChildren(...wanted.map((code) => new Option(code === "" ? BY_LETTERS : nameOf(code), code)));
  const kept = read(PLACE, "");
  select.value = codes.includes(kept) ? kept : "";
  setLanguage(document.getElementById("text"), chosenLanguage());
}

/** The code of the language chosen; undefined where there is no choice or none was made. */
export function chosenLanguage() {
  return row.hidden || select.value === "" ? undefined : select.value;
}

function nameOf(code) {
  try {
    return names.of(code);
  } catch {
    return code; // an engine may declare what is no language code
  }
}

/** Lets the browser check the spelling of `element`, and a screen reader read it, in the language `code`, or the page's. */
export function setLanguage(element, code) {
  if (code === undefined) element.removeAttribute("lang");
  else element.lang = code;
}

select.addEventListener("change", () => {
  write(PLACE, select.value);
  setLanguage(document.getElementById("text"), chosenLanguage());
});
