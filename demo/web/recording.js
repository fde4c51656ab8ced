/** A recording of the person's own voice, from the microphone or a file, as the WAV that the server takes. */

export const SHORTEST_S = 5;
export const LONGEST_S = 20;
const SAMPLE_RATE = 24000; // Hz, what the voice is measured at
const TYPES = ["audio/webm;codecs=opus", "audio/mp4"]; // what MediaRecorder writes in Chromium and Firefox, and in Safari

/** Records one track, which it takes over, until stopped or for LONGEST_S. */
export class Recorder {
  #recorder;
  #parts = [];
  #startedAt = performance.now();
  #timer;

  /** The whole recording as a Blob, once it has ended. */
  done;

  constructor(track) {
    const mimeType = TYPES.find((type) => MediaRecorder.isTypeSupported(type));
    this.stream = new MediaStream([track]);
    this.#recorder = new MediaRecorder(this.stream, { mimeType });
    this.#recorder.addEventListener("dataavailable", ({ data }) => this.#parts.push(data));
    this.done = new Promise((resolve) => {
      this.#recorder.addEventListener("stop", () => resolve(new Blob(this.#parts)));
    });
    this.#recorder.start();
    this.#timer = setTimeout(() => this.stop(), 1000 * LONGEST_S);
  }

  get seconds() {
    return (performance.now() - this.#startedAt) / 1000;
  }

  /** Ends the recording and lets go of the track; may be called again. */
  stop() {
    clearTimeout(this.#timer);
    for (const track of this.stream.getTracks()) track.stop();
    if (this.#recorder.state !== "inactive") this.#recorder.stop();
  }
}

/** What sounds in a Blob, cut to LONGEST_S: `{wav, seconds}`, 16-bit mono; rejects where the browser finds no sound in it. */
export async function wavOf(blob) {
  const context = new OfflineAudioContext(1, 1, SAMPLE_RATE); // decoding into it resamples
  const sound = await context.decodeAudioData(await blob.arrayBuffer());
  const length = Math.min(sound.length, LONGEST_S * SAMPLE_RATE);
  const mono = new Float32Array(length);
  for (let channel = 0; channel < sound.numberOfChannels; channel += 1) {
    const samples = sound.getChannelData(channel);
    for (let i = 0; i < length; i += 1) mono[i] += samples[i] / sound.numberOfChannels;
  }
  const pcm = Int16Array.from(mono, (x) => Math.round(32767 * Math.max(-1, Math.min(1, x)))); // every browser's machine is little-endian
  return { wav: new Blob([header(pcm.byteLength), pcm], { type: "audio/wav" }), seconds: length / SAMPLE_RATE };
}

function header(bytes) {
  const view = new DataView(new ArrayBuffer(44));
  const text = (at, word) => [...word].forEach((letter, i) => view.setUint8(at + i, letter.charCodeAt(0)));
  text(0, "RIFF");
  view.setUint32(4, 36 + bytes, true);
  text(8, "WAVEfmt ");
  view.setUint32(16, 16, true);
  view.setUint16(20, 1, true); // PCM
  view.setUint16(22, 1, true); // channels
  view.setUint32(24, SAMPLE_RATE, true);
  view.setUint32(28, 2 * SAMPLE_RATE, true); // bytes a second
  view.setUint16(32, 2, true); // bytes a sample
  view.setUint16(34, 16, true); // bits a sample
  text(36, "data");
  view.setUint32(40, bytes, true);
  return view;
}
