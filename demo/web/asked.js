/** What the person has asked for and the bot has not yet confirmed: until then it counts, not the bot's older reports. */

const PATIENCE_MS = 3000; // an answer normally takes some milliseconds; after this long the bot's word counts again

/** Settings that both the person and the bot may change, such as `{consent, mode}`. */
export class Asked {
  #reported;
  #waiting = new Map(); // name -> {value, until}

  constructor(initial) {
    this.#reported = { ...initial };
  }

  /** Remembers what was asked for; what is `isFirm` ends only by being confirmed or by asking for something else. */
  ask(name, value, { isFirm = false } = {}) {
    this.#waiting.set(name, { value, until: isFirm ? Infinity : performance.now() + PATIENCE_MS });
  }

  /** Takes in a report of the bot and gives back what to show. */
  report(values) {
    for (const [name, { value, until }] of this.#waiting) {
      if (values[name] === value || performance.now() > until) this.#waiting.delete(name);
    }
    Object.assign(this.#reported, values);
    return this.#shown();
  }

  /** The bot has refused something: gives back what to show, which is what it last reported. */
  refuse() {
    for (const [name, { until }] of this.#waiting) if (until !== Infinity) this.#waiting.delete(name);
    return this.#shown();
  }

  #shown() {
    return { ...this.#reported, ...Object.fromEntries([...this.#waiting].map(([name, { value }]) => [name, value])) };
  }
}
