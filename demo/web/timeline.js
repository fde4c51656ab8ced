/** The latencies of the last two minutes as lines, with a mark for each sentence's first sound and each late chunk. */

import { sized } from "./meter.js";

const SPAN_MS = 120000;
const LEAST_TOP_MS = 100; // of the scale, so that a quiet call is not all noise
const LINES = { roundTripMs: "--line-round-trip", jitterBufferMs: "--line-jitter" };

/** Keeps readings and draws them on a canvas. */
export class Timeline {
  #canvas;
  #readings = []; // {at, roundTripMs, jitterBufferMs, lateChunks}
  #sounds = []; // {at, ms}

  constructor(canvas) {
    this.#canvas = canvas;
  }

  clear() {
    this.#readings = [];
    this.#sounds = [];
  }

  /** Adds what is known at `at` (ms on the page's clock); `lateChunks` counts from the call's beginning. */
  addReading(at, { roundTripMs, jitterBufferMs, lateChunks }) {
    this.#readings = [...this.#readings, { at, roundTripMs, jitterBufferMs, lateChunks }].filter((one) => at - one.at <= SPAN_MS);
    this.#sounds = this.#sounds.filter((one) => at - one.at <= SPAN_MS);
  }

  /** A sentence was first heard `ms` after it was sent. */
  addFirstSound(at, ms) {
    this.#sounds.push({ at, ms });
  }

  /** What it shows, in words. */
  get words() {
    const last = this.#readings.at(-1);
    if (!last) return "No latency measured yet";
    const round = (ms) => (ms === null || ms === undefined ? "unknown" : `${Math.round(ms)} milliseconds`);
    const sounds = this.#sounds.length ? `, first sound of the last sentence ${round(this.#sounds.at(-1).ms)}` : "";
    return `Latency over two minutes: round trip ${round(last.roundTripMs)}, jitter buffer ${round(last.jitterBufferMs)}${sounds}`;
  }

  draw(now) {
    const { width, height, context } = sized(this.#canvas);
    const style = getComputedStyle(this.#canvas);
    const values = this.#readings.flatMap(({ roundTripMs, jitterBufferMs }) => [roundTripMs ?? 0, jitterBufferMs ?? 0]);
    const top = niceTop(Math.max(LEAST_TOP_MS, ...values, ...this.#sounds.map(({ ms }) => ms)));
    const x = (at) => width * (1 - (now - at) / SPAN_MS);
    const y = (ms) => height - 4 - (height - 18) * Math.min(1, ms / top);
    context.clearRect(0, 0, width, height);
    this.#drawScale(context, style, width, y, top);
    this.#drawLate(context, style, x, height);
    for (const [name, colour] of Object.entries(LINES)) {
      context.strokeStyle = style.getPropertyValue(colour);
      context.lineWidth = 2;
      context.beginPath();
      for (const reading of this.#readings) if (reading[name] != null) context.lineTo(x(reading.at), y(reading[name]));
      context.stroke();
    }
    context.fillStyle = style.getPropertyValue("--line-sound");
    for (const { at, ms } of this.#sounds) {
      context.beginPath();
      context.arc(x(at), y(ms), 4.5, 0, 2 * Math.PI);
      context.fill();
    }
  }

  #drawScale(context, style, width, y, top) {
    context.fillStyle = context.strokeStyle = style.color;
    context.font = "12px system-ui, sans-serif";
    for (const ms of [0, top / 2, top]) {
      context.globalAlpha = 0.25;
      context.fillRect(0, y(ms), width, 1);
      context.globalAlpha = 1;
      if (ms) context.fillText(`${ms} ms`, 0, y(ms) - 3);
    }
  }

  #drawLate(context, style, x, height) {
    context.fillStyle = style.getPropertyValue("--line-late");
    this.#readings.forEach(({ at, lateChunks = 0 }, i) => {
      if (lateChunks > (this.#readings[i - 1]?.lateChunks ?? lateChunks)) context.fillRect(x(at) - 1, height - 14, 3, 14);
    });
  }
}

/** The next of 100, 200, 500, 1000 … that is not below `ms`. */
function niceTop(ms) {
  const power = 10 ** Math.floor(Math.log10(ms));
  return [1, 2, 5, 10].map((step) => step * power).find((step) => step >= ms);
}
