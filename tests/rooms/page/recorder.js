/** Hands on what comes in, as blocks of 16-bit samples of every input: whatever plays when, they have one clock. */
const QUANTA = 32; // of 128 samples, to a block

registerProcessor(
  "recorder",
  class extends AudioWorkletProcessor {
    #blocks = [];
    #quanta = 0;

    process(inputs) {
      if (this.#quanta === 0) this.#blocks = inputs.map(() => new Int16Array(128 * QUANTA)); // silence, unless something plays
      inputs.forEach(([samples], input) =>
        samples?.forEach((value, n) => {
          this.#blocks[input][128 * this.#quanta + n] = 32767 * Math.max(-1, Math.min(1, value));
        }),
      );
      this.#quanta = (this.#quanta + 1) % QUANTA;
      if (this.#quanta === 0) this.port.postMessage(this.#blocks);
      return true;
    }
  },
);
