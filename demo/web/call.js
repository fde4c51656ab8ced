/** One call with the bot: devices, the peer connection and the data channel `rtc-voice`. No DOM. */

import * as problems from "./problems.js";

const PROTOCOL_VERSION = 1;
const GATHERING_LIMIT_MS = 2000; // an unreachable STUN server would hold the offer back far longer
const CONNECT_LIMIT_MS = 15000; // ICE itself gives up only after 30 s or more
const HTTP_LIMIT_MS = 3000; // for a word with the server while hanging up or in doubt
const PICTURES_PER_SECOND = 15; // what the bot looks at; more would only cost bandwidth

/** A problem (see problems.js) that ended an attempt to call. */
export class CallError extends Error {
  constructor(problem) {
    super(problem.title);
    this.problem = problem;
  }
}

/** Opens what there is of camera and microphone: `{camera, microphone, problems}`; a missing one is null. */
export async function openDevices({ raw }) {
  if (!navigator.mediaDevices) return { camera: null, microphone: null, problems: [problems.INSECURE_PAGE] };
  const video = { width: { ideal: 640 }, height: { ideal: 480 }, frameRate: { ideal: 30, max: 30 }, facingMode: "user" };
  const audio = { echoCancellation: !raw, noiseSuppression: !raw, autoGainControl: !raw };
  try {
    const stream = await navigator.mediaDevices.getUserMedia({ video, audio });
    return { camera: stream.getVideoTracks()[0], microphone: stream.getAudioTracks()[0], problems: [] };
  } catch {
    return openEach(video, audio); // one of the two is missing: find out which, and go on with the other
  }
}

async function openEach(video, audio) {
  const camera = await openOne({ video });
  const microphone = await openOne({ audio });
  const found = [];
  if (camera.error && microphone.error?.name === camera.error.name) found.push(problems.bothDevicesProblem(camera.error));
  else {
    if (camera.error) found.push(problems.deviceProblem("camera", camera.error));
    if (microphone.error) found.push(problems.deviceProblem("microphone", microphone.error));
  }
  return { camera: camera.track, microphone: microphone.track, problems: found };
}

async function openOne(constraints) {
  try {
    const stream = await navigator.mediaDevices.getUserMedia(constraints);
    return { track: stream.getTracks()[0], error: null };
  } catch (error) {
    return { track: null, error };
  }
}

/**
 * A call from offer to hanging up.
 *
 * Events: `message` (detail: an object from the bot), `voice` (detail: the remote MediaStream), `open`,
 * `gone` (detail: a problem). After `gone` or `close()` nothing more comes.
 */
export class Call extends EventTarget {
  #channel;
  #id = null;
  #closed = false;

  /** Takes the tracks to send; either may be null. They keep belonging to the caller. And what RTCPeerConnection takes. */
  constructor({ camera, microphone }, configuration = {}) {
    super();
    if (!window.RTCPeerConnection) throw new CallError(problems.NO_WEBRTC);
    this.pc = new RTCPeerConnection(configuration);
    this.pc.addTransceiver(microphone ?? "audio", { direction: microphone ? "sendrecv" : "recvonly" });
    if (camera) {
      const sendEncodings = [{ maxFramerate: PICTURES_PER_SECOND }];
      this.pc.addTransceiver(camera, { direction: "sendonly", sendEncodings });
    }
    this.#channel = this.pc.createDataChannel("rtc-voice");
    this.#listen();
  }

  /** Sends the offer and returns once the data channel is open; throws CallError. */
  async connect() {
    const opened = new Promise((resolve) => this.#channel.addEventListener("open", resolve, { once: true }));
    const ended = new Promise((resolve) => this.addEventListener("gone", resolve, { once: true }));
    await this.pc.setLocalDescription();
    await gathered(this.pc);
    const answer = await this.#post({ sdp: this.pc.localDescription.sdp, type: this.pc.localDescription.type });
    if (this.#closed) return this.#tellServer();
    await this.pc.setRemoteDescription({ sdp: answer.sdp, type: answer.type });
    const outcome = await Promise.race([opened, ended, after(CONNECT_LIMIT_MS, "late")]);
    if (this.#closed && outcome?.detail) throw new CallError(outcome.detail);
    if (outcome === "late") throw new CallError(problems.ICE_FAILED);
  }

  /** Sends one message; drops it when the channel is not open. */
  send(type, fields = {}) {
    if (this.#channel.readyState !== "open") return false;
    this.#channel.send(JSON.stringify({ v: PROTOCOL_VERSION, type, ...fields }));
    return true;
  }

  /** Has the voice of a recording used, a WAV Blob, or of the face again for null; throws CallError. */
  async useRecording(wav) {
    let response;
    try {
      response = await fetch(`offer/${encodeURIComponent(this.#id)}/recording`, wav ? { method: "PUT", body: wav } : { method: "DELETE" });
    } catch {
      throw new CallError(problems.SERVER_GONE);
    }
    if (!response.ok) throw new CallError(problems.refusedProblem(response.status, await response.json().catch(() => null)));
  }

  /** Nothing has come for a while: gives the call up at once if the server does not answer either. */
  async suspect() {
    if (!(await serverAnswers())) this.#end(problems.SERVER_GONE);
  }

  /** Hangs up; may be called again, and while the page is being closed. */
  close() {
    if (this.#closed) return;
    this.#closed = true;
    // In this order: a bot that sees the connection closed first no longer knows the call it is asked to end.
    this.#tellServer().finally(() => this.pc.close());
  }

  #listen() {
    this.#channel.addEventListener("open", () => this.#emit("open"));
    this.#channel.addEventListener("close", () => this.#lost(problems.BOT_HUNG_UP));
    this.#channel.addEventListener("message", ({ data }) => this.#read(data));
    this.pc.addEventListener("track", ({ track, streams }) => this.#emit("voice", streams[0] ?? new MediaStream([track])));
    this.pc.addEventListener("connectionstatechange", () => {
      const state = this.pc.connectionState;
      if (state === "failed") this.#lost(this.#channel.readyState === "connecting" ? problems.ICE_FAILED : problems.CONNECTION_LOST);
      else if (state === "closed") this.#lost(problems.BOT_HUNG_UP);
      else if (state === "disconnected") this.suspect();
    });
  }

  #read(data) {
    let message;
    try {
      message = JSON.parse(data);
    } catch {
      return; // nothing a person could do about it
    }
    if (message?.v === PROTOCOL_VERSION) this.#emit("message", message);
  }

  async #lost(problem) {
    this.#end((await serverAnswers()) ? problem : problems.SERVER_GONE);
  }

  #end(problem) {
    if (this.#closed) return;
    this.close();
    this.dispatchEvent(new CustomEvent("gone", { detail: problem }));
  }

  #emit(type, detail) {
    if (!this.#closed) this.dispatchEvent(new CustomEvent(type, { detail }));
  }

  async #post(offer) {
    let response;
    try {
      response = await fetch("offer", {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify(offer),
      });
    } catch {
      throw new CallError(problems.SERVER_GONE);
    }
    const body = await response.json().catch(() => null);
    if (!response.ok || !body?.sdp) throw new CallError(problems.refusedProblem(response.status, body));
    this.#id = body.call_id;
    return body;
  }

  async #tellServer() {
    if (this.#id === null) return;
    const url = `offer/${encodeURIComponent(this.#id)}`;
    this.#id = null;
    try {
      await fetch(url, { method: "DELETE", keepalive: true, signal: AbortSignal.timeout(HTTP_LIMIT_MS) });
    } catch {
      // A server that is gone needs no goodbye.
    }
  }
}

/** The STUN and TURN servers that the bot's operator has set, as RTCPeerConnection takes them. */
export async function callConfiguration() {
  try {
    const response = await fetch("config", { signal: AbortSignal.timeout(HTTP_LIMIT_MS) });
    return response.ok ? await response.json() : {};
  } catch {
    return {}; // the offer will say what is wrong
  }
}

async function serverAnswers() {
  try {
    return (await fetch("health", { cache: "no-store", signal: AbortSignal.timeout(HTTP_LIMIT_MS) })).ok;
  } catch {
    return false;
  }
}

function gathered(pc) {
  const complete = new Promise((resolve) => {
    const check = () => pc.iceGatheringState === "complete" && resolve();
    pc.addEventListener("icegatheringstatechange", check);
    check();
  });
  return Promise.race([complete, after(GATHERING_LIMIT_MS)]);
}

function after(milliseconds, value) {
  return new Promise((resolve) => setTimeout(resolve, milliseconds, value));
}
