/** A scrolling picture of the level of the voice that comes back. */

const BAR_PX = 3;
const GAP_PX = 2;
const FLOOR_DB = -60; // quieter than this draws as silence

/** Draws the level of a MediaStream on a canvas, one bar per drawing. */
export class LevelMeter {
  #canvas;
  #context = null;
  #analyser = null;
  #source = null;
  #levels = [];

  constructor(canvas) {
    this.#canvas = canvas;
  }

  /** Starts listening; must first be called from a click, or the browser keeps the audio clock stopped. */
  start() {
    this.#context ??= new AudioContext();
    this.#context.resume();
    this.#analyser ??= new AnalyserNode(this.#context, { fftSize: 1024 });
  }

  /** The analyser that hears the voice: the tests measure pitch and level with it. */
  get analyser() {
    return this.#analyser;
  }

  /** Changes to another stream; null for none. */
  connect(stream) {
    this.#source?.disconnect();
    this.#source = stream && this.#context ? this.#context.createMediaStreamSource(stream) : null;
    this.#source?.connect(this.#analyser);
    this.#levels = [];
  }

  /** Level now in dB below full scale. */
  level() {
    if (!this.#source) return -Infinity;
    const samples = new Float32Array(this.#analyser.fftSize);
    this.#analyser.getFloatTimeDomainData(samples);
    const power = samples.reduce((sum, x) => sum + x * x, 0) / samples.length;
    return 10 * Math.log10(power + 1e-12);
  }

  /** Adds the level now and draws; call it some 30 times a second. */
  draw() {
    const { width, height, context } = sized(this.#canvas);
    const bars = Math.floor(width / (BAR_PX + GAP_PX));
    this.#levels.push(Math.max(0, 1 - this.level() / FLOOR_DB));
    this.#levels = this.#levels.slice(-bars);
    context.clearRect(0, 0, width, height);
    context.fillStyle = getComputedStyle(this.#canvas).color;
    const missing = bars - this.#levels.length;
    for (let bar = 0; bar < bars; bar += 1) {
      const level = this.#levels[bar - missing] ?? 0;
      const size = Math.max(2, level * height);
      context.globalAlpha = level > 0.02 ? 1 : 0.25;
      context.fillRect(bar * (BAR_PX + GAP_PX), (height - size) / 2, BAR_PX, size);
    }
  }
}

/** Fits a canvas' pixels to its size on the screen; returns that size in CSS px and the context scaled to it. */
export function sized(canvas) {
  const ratio = window.devicePixelRatio || 1;
  const { clientWidth: width, clientHeight: height } = canvas;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
  }
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  return { width, height, context };
}
