/** Phrases that one key says, kept in this browser. */

import { read, write } from "./kept.js";

const PLACE = "rtc-voice-phrases";
const KEYS_PLACE = "rtc-voice-phrase-keys";
const MOST = 9; // one for each of the keys 1 to 9

/** The phrases and whether keys say them; what cannot be stored lasts as long as the page. */
export class Phrases {
  #texts = read(PLACE, []);
  #hasKeys = read(KEYS_PLACE, true);

  get texts() {
    return this.#texts;
  }

  get hasKeys() {
    return this.#hasKeys;
  }

  set hasKeys(value) {
    this.#hasKeys = value;
    write(KEYS_PLACE, value);
  }

  /** Keeps `text`; false if it is there already or there is no key left for it. */
  add(text) {
    if (this.#texts.includes(text) || this.#texts.length >= MOST) return false;
    this.#texts = [...this.#texts, text];
    write(PLACE, this.#texts);
    return true;
  }

  remove(text) {
    this.#texts = this.#texts.filter((other) => other !== text);
    write(PLACE, this.#texts);
  }

  /** The phrase of a pressed key, or undefined: none while the person writes, or with the keys switched off. */
  of({ key, target, ctrlKey, altKey, metaKey, repeat }) {
    const isWriting = target.matches("input:not([type=radio], [type=checkbox], [type=range]), textarea, select");
    if (!this.#hasKeys || isWriting || ctrlKey || altKey || metaKey || repeat || !/^[1-9]$/.test(key)) return undefined;
    return this.#texts[Number(key) - 1];
  }
}
