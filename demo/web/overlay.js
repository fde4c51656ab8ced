/** The tracked faces, drawn over the mirrored camera picture. */

import { sized } from "./meter.js";
import { faceName } from "./view.js";

const GLIDE = 0.4; // share of the way a box moves per drawing, some 30 times a second: the bot reports 10 times
const MARGIN = 0.12; // of the box, so that the frame stands around the face and not on it

function label(context, text, centre, bottom) {
  context.font = "600 14px system-ui, sans-serif";
  context.textAlign = "center";
  const width = context.measureText(text).width + 18;
  context.fillStyle = "rgba(12, 18, 16, 0.72)";
  context.beginPath();
  context.roundRect(centre - width / 2, bottom - 12, width, 24, 12);
  context.fill();
  context.fillStyle = "#fff";
  context.fillText(text, centre, bottom + 5);
}

/** Draws boxes that glide from one report to the next. */
export class FaceOverlay {
  #canvas;
  #shown = new Map();

  constructor(canvas) {
    this.#canvas = canvas;
  }

  /** Draws `faces` (`{id, box: [left, top, right, bottom] in 0..1}`); the one whose id is `speaking` stands out, the own is called `name`. */
  draw(faces, speaking, name) {
    const { width, height, context } = sized(this.#canvas);
    const style = getComputedStyle(this.#canvas);
    context.clearRect(0, 0, width, height);
    this.#glide(faces);
    for (const face of faces) {
      const [left, top, right, bottom] = this.#shown.get(face.id);
      const isSpeaking = face.id === speaking;
      const dx = (right - left) * MARGIN;
      const dy = (bottom - top) * MARGIN;
      const x = (1 - right - dx) * width; // mirrored like the picture below
      const y = (top - dy) * height;
      const w = (right - left + 2 * dx) * width;
      const h = (bottom - top + 2 * dy) * height;
      context.beginPath();
      context.roundRect(x, y, w, h, Math.min(w, h) * 0.22);
      context.lineWidth = isSpeaking ? 4 : 2;
      context.strokeStyle = isSpeaking ? style.getPropertyValue("--speaking") : "rgba(255, 255, 255, 0.85)";
      context.shadowColor = isSpeaking ? context.strokeStyle : "rgba(0, 0, 0, 0.5)";
      context.shadowBlur = isSpeaking ? 18 : 4;
      context.stroke();
      context.shadowBlur = 0;
      if (faces.length > 1) label(context, `${faceName(face, name)}${face.voice_ready ? "" : " · no voice yet"}`, x + w / 2, y + h);
    }
  }

  #glide(faces) {
    const next = new Map();
    for (const { id, box } of faces) {
      const from = this.#shown.get(id) ?? box;
      next.set(id, from.map((value, side) => value + (box[side] - value) * GLIDE));
    }
    this.#shown = next;
  }
}
