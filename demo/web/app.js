/**
 * The page: holds the state of one call, moves it on what the person and the bot do, and has it shown.
 *
 * `window.rtcVoice` is the debugging surface, also used by the tests: `pc` (the RTCPeerConnection or null), `state`
 * (see `freshState`), `log` (every message to and from the bot, oldest first, at most 1000), `analyser` (hears
 * the voice that comes back), `join()`, `leave()`. With `?raw=1` the browser's echo cancellation, noise suppression
 * and gain control are off, for measuring.
 */

import { Asked } from "./asked.js";
import { Call, CallError, callConfiguration, openDevices } from "./call.js";
import { listenToPerson } from "./controls.js";
import { SteadyFaces } from "./faces.js";
import { FigureReader } from "./figures.js";
import { chosenLanguage } from "./languages.js";
import { LevelMeter } from "./meter.js";
import { FaceOverlay } from "./overlay.js";
import { Phrases } from "./phrases.js";
import { SOUND_BLOCKED, UNREADABLE_FILE, botProblem, deviceLostProblem, refusal, shortRecordingProblem } from "./problems.js";
import { reportOf, save } from "./report.js";
import { LONGEST_S, Recorder, SHORTEST_S, wavOf } from "./recording.js";
import { Timeline } from "./timeline.js";
import { element, refocus, show } from "./view.js";

const FIGURES_EVERY_MS = 1000;
const DRAW_EVERY_MS = 30; // every second picture of a 60 Hz screen: without a GPU drawing takes the bot's processor
const AUDIBLE_DB = -50;
const KNOBS_EVERY_MS = 100; // a slider being dragged would send a message per pixel
const NO_FACE_AFTER_MS = 4000; // the first face normally takes well under a second
const SILENCE_READINGS = 2; // the bot sends 50 packets a second, silence too: two seconds without one are no jitter
const LOG_LIMIT = 1000;
const NEUTRAL_KNOBS = { pitch: 0, size: 1, brightness: 0, redraw: 0 };

const freshState = () => ({
  phase: "idle", // idle, devices, connecting, connected, ended
  shaky: false, // connected, but nothing has come for a while
  problem: null,
  hasCamera: false,
  hasMicrophone: false,
  consent: false,
  isFaceMissing: false, // consented, but no face for a while
  languages: [], // what the bot speaks, ISO 639-1
  faces: [], // those worth showing, as the bot describes them
  voice: null,
  mode: "text",
  draftLength: 0, // characters in the text box
  card: "", // id of the face whose voice the knobs change; "" for the own
  knobs: { "": NEUTRAL_KNOBS }, // by card
  recordingSeconds: null, // while the person records themselves
  hasRecording: false, // one that has been used and may be used again
  enrolment: null, // of a recording: {isBusy} or {problem: {title, remedy}}
  sentences: [], // {id, text, language, progress, firstAudioMs, face, reason}
  disclosure: "",
  figures: {},
});

const phrases = new Phrases();
const rtcVoice = { pc: null, state: freshState(), log: [], analyser: null, join, leave };
window.rtcVoice = rtcVoice;

const isRaw = new URLSearchParams(location.search).get("raw") === "1";
const meter = new LevelMeter(element("meter"));
const microphoneMeter = new LevelMeter(element("microphone-meter"));
const overlay = new FaceOverlay(element("overlay"));
const timeline = new Timeline(element("timeline"));
let recorder = null;
let ownRecording = null; // the WAV Blob last used; nowhere but here, and gone with consent
let metrics = {}; // the bot's figures, as it last sent them
let call = null;
let devices = { camera: null, microphone: null };
let figureReader = null;
let asked = null;
let steadyFaces = null;
let drawnAt = 0;
let silentReadings = 0; // readings in a row without a new packet
let facelessSince = 0; // ms on the page's clock
let knobTimer = null;
let knobsToSend = {};
let sentenceCount = 0;

function update(changes) {
  Object.assign(rtcVoice.state, changes);
  show({ ...rtcVoice.state, name: element("name").value.trim(), phrases: phrases.texts, hasPhraseKeys: phrases.hasKeys });
}

function record(direction, message) {
  rtcVoice.log.push({ direction, at: performance.now(), ...message });
  if (rtcVoice.log.length > LOG_LIMIT) rtcVoice.log.shift();
}

function send(type, fields = {}) {
  if (call?.send(type, fields)) record("out", { type, ...fields });
}

async function join() {
  if (!["idle", "ended"].includes(rtcVoice.state.phase)) return;
  meter.start();
  microphoneMeter.start();
  timeline.clear();
  rtcVoice.analyser = meter.analyser;
  const { sentences, knobs, draftLength, hasRecording } = rtcVoice.state;
  update({ ...freshState(), sentences, knobs: { "": knobs[""] }, draftLength, hasRecording, phase: "devices" });
  asked = new Asked({ consent: rtcVoice.state.consent, mode: rtcVoice.state.mode });
  steadyFaces = new SteadyFaces();
  const opened = await openDevices({ raw: isRaw });
  devices = opened;
  for (const device of ["camera", "microphone"]) {
    devices[device]?.addEventListener("ended", () => update({ problem: deviceLostProblem(device) }));
  }
  showPreview(opened.camera);
  microphoneMeter.connect(opened.microphone && new MediaStream([opened.microphone]));
  update({
    phase: "connecting",
    hasCamera: opened.camera !== null,
    hasMicrophone: opened.microphone !== null,
    problem: opened.problems[0] ?? null,
  });
  await connect();
}

async function connect() {
  gateDevices();
  try {
    const configuration = await callConfiguration();
    if (rtcVoice.state.phase !== "connecting") return; // the person has left meanwhile
    call = new Call(devices, configuration);
    rtcVoice.pc = call.pc;
    follow(call);
    await call.connect();
  } catch (error) {
    if (!(error instanceof CallError)) throw error;
    end(error.problem);
  }
}

function follow(current) {
  current.addEventListener("open", onOpen);
  current.addEventListener("message", ({ detail }) => onMessage(detail));
  current.addEventListener("gone", ({ detail }) => call === current && end(detail));
  current.addEventListener("voice", ({ detail }) => {
    meter.connect(detail);
    play(detail);
  });
}

async function play(voice) {
  const audio = element("voice");
  audio.srcObject = voice;
  try {
    await audio.play();
  } catch (error) {
    if (error.name !== "NotAllowedError") return; // the call ended before the first sound
    update({ problem: SOUND_BLOCKED });
    const retry = () => audio.play().then(() => update({ problem: null }), () => {});
    for (const gesture of ["click", "keydown"]) document.addEventListener(gesture, retry, { once: true });
  }
}

function onOpen() {
  figureReader = new FigureReader();
  silentReadings = 0;
  update({ phase: "connected" });
  refocus("consent-grant");
  const name = element("name").value.trim();
  if (name) send("hello", { name }); // without one the bot remembers nothing beyond this call
}

/** Hangs up because the person wants to. */
function leave() {
  end(null);
}

function end(problem) {
  recorder?.stop();
  call?.close();
  call = null;
  rtcVoice.pc = null;
  for (const track of [devices.camera, devices.microphone]) track?.stop();
  showPreview(null);
  meter.connect(null);
  microphoneMeter.connect(null);
  element("voice").srcObject = null;
  const sentences = rtcVoice.state.sentences.map((sentence) =>
    ["ended", "failed"].includes(sentence.progress) ? sentence : { ...sentence, progress: "cancelled" },
  );
  update({ phase: "ended", shaky: false, consent: false, faces: [], voice: null, mode: "text", sentences, problem });
  refocus("join");
}

/** No picture leaves before consent, and no sound unless it is to be converted: a track that is off sends black or silence. */
function gateDevices() {
  const { consent, mode } = rtcVoice.state;
  if (devices.camera) devices.camera.enabled = consent;
  if (devices.microphone) devices.microphone.enabled = mode === "convert";
}

function showPreview(camera) {
  // A copy, because the gate above would turn the preview black too.
  for (const track of element("preview").srcObject?.getTracks() ?? []) track.stop();
  element("preview").srcObject = camera ? new MediaStream([camera.clone()]) : null;
}

const receivers = {
  state: ({ faces: reported, voice, consent, mode }) => {
    const faces = steadyFaces.settle(reported, performance.now());
    if (faces.length) facelessSince = performance.now();
    const isNewVoice = voice?.ready && !rtcVoice.state.voice?.ready;
    update({ faces, voice, ...asked.report({ consent, mode }) });
    gateDevices();
    // A new call, or a new consent, starts from the bare voice.
    if (isNewVoice && areKnobsTurned()) send("voice", rtcVoice.state.knobs[""]);
    if (!faces.some(({ id }) => `${id}` === rtcVoice.state.card)) update({ card: "" });
  },
  speech: ({ id, event, first_audio_ms: firstAudioMs }) => {
    const changes = firstAudioMs === undefined || firstAudioMs === null ? {} : { firstAudioMs };
    changeSentence(id, { progress: event, ...changes });
    if (!("firstAudioMs" in changes)) return;
    timeline.addFirstSound(performance.now(), firstAudioMs);
    update({ figures: { ...rtcVoice.state.figures, firstAudioMs } });
  },
  languages: ({ languages }) => update({ languages }),
  disclosure: ({ text }) => update({ disclosure: text }),
  metrics: ({ v, type, ...figures }) => {
    metrics = figures;
    update({ figures: { ...rtcVoice.state.figures, lateChunks: figures.late_chunks ?? 0 } });
  },
  error: (message) => {
    if (rtcVoice.state.sentences.some(({ id }) => id === message.id)) {
      changeSentence(message.id, { progress: "failed", reason: refusal(message) });
      return;
    }
    // It names no sentence: what is still unanswered is what it is about, and a later `speech` puts it right.
    const sentences = rtcVoice.state.sentences.map((sentence) =>
      sentence.progress === "sent" ? { ...sentence, progress: "failed" } : sentence,
    );
    update({ problem: botProblem(message), sentences, ...asked.refuse() });
    gateDevices();
  },
};

function onMessage(message) {
  record("in", message);
  receivers[message.type]?.(message); // types of a newer bot are passed over
}

function changeSentence(id, changes) {
  const sentences = rtcVoice.state.sentences.map((sentence) => (sentence.id === id ? { ...sentence, ...changes } : sentence));
  update({ sentences });
}

function setConsent(granted) {
  facelessSince = performance.now();
  asked.ask("consent", granted, { isFirm: !granted }); // once withdrawn, no late word of the bot turns the camera on
  update({ consent: granted, isFaceMissing: false, enrolment: null });
  if (!granted) dropRecording();
  gateDevices();
  send("consent", { granted });
  refocus(!granted ? "consent-grant" : rtcVoice.state.hasCamera ? "text" : "record");
}

function forget() {
  asked.ask("consent", false, { isFirm: true });
  update({ consent: false, knobs: { "": NEUTRAL_KNOBS }, card: "", enrolment: null });
  dropRecording();
  gateDevices();
  send("forget");
  refocus("consent-grant");
}

function setMode(mode) {
  asked.ask("mode", mode);
  update({ mode });
  gateDevices();
  send("mode", { mode });
}

/** Has `text` spoken; `face` is the id of another face in the picture whose voice to use, or "" for the own. */
function say(text, face) {
  sentenceCount += 1;
  const id = `s${sentenceCount}`;
  const language = chosenLanguage();
  const sentence = { id, text, language, progress: "sent", firstAudioMs: null, face: face ? Number(face) : null, reason: "" };
  update({ sentences: [...rtcVoice.state.sentences, sentence] });
  send("say", { id, text, ...(face ? { face: sentence.face } : {}), ...(language ? { language } : {}) });
}

function keepPhrase(text) {
  if (text) phrases.add(text);
  update({});
  refocus("text");
}

function dropPhrase(text) {
  phrases.remove(text);
  update({});
  refocus("text");
}

function sayPhrase(text) {
  if (text !== undefined && !element("say").disabled) say(text, element("as").value);
}

/** Nothing of the person's sound stays in this page. */
function dropRecording() {
  recorder?.stop();
  ownRecording = null;
  update({ hasRecording: false });
}

/** Begins to record the person, or ends it; the recording's voice is then theirs. */
async function toggleRecording() {
  if (recorder) return recorder.stop();
  const track = devices.microphone.clone(); // the device itself stays shut but for live conversion
  track.enabled = true;
  recorder = new Recorder(track);
  microphoneMeter.connect(recorder.stream);
  update({ recordingSeconds: 0, enrolment: null });
  const counting = setInterval(() => update({ recordingSeconds: Math.floor(recorder.seconds) }), 500);
  const recorded = await recorder.done;
  clearInterval(counting);
  recorder = null;
  microphoneMeter.connect(devices.microphone && new MediaStream([devices.microphone]));
  update({ recordingSeconds: null });
  if (rtcVoice.state.consent) await useRecording(recorded);
}

/** Has the voice of whoever speaks in a Blob used. */
async function useRecording(blob) {
  const current = call;
  const fail = (problem) => current === call && update({ enrolment: { problem } });
  update({ enrolment: { isBusy: true } });
  const { wav, seconds } = await wavOf(blob).catch(() => ({}));
  if (!wav) return fail(UNREADABLE_FILE);
  if (seconds < SHORTEST_S) return fail(shortRecordingProblem(seconds, SHORTEST_S, LONGEST_S));
  await askForRecording(wav);
}

/** The recording's voice, or for null the face's. */
async function askForRecording(wav) {
  const current = call;
  try {
    await current.useRecording(wav);
    if (current !== call) return;
    if (rtcVoice.state.consent) ownRecording = wav ?? ownRecording;
    update({ enrolment: null, hasRecording: ownRecording !== null });
  } catch (error) {
    if (!(error instanceof CallError)) throw error;
    if (current === call) update({ enrolment: { problem: error.problem } });
  }
}

const areKnobsTurned = () => Object.entries(NEUTRAL_KNOBS).some(([knob, value]) => rtcVoice.state.knobs[""][knob] !== value);

function setKnobs(changes) {
  const { card, knobs } = rtcVoice.state;
  update({ knobs: { ...knobs, [card]: { ...NEUTRAL_KNOBS, ...knobs[card], ...changes } } });
  knobsToSend[card] = { ...knobsToSend[card], ...changes };
  knobTimer ??= setTimeout(() => {
    for (const [face, turned] of Object.entries(knobsToSend)) send("voice", { ...turned, ...(face ? { face: Number(face) } : {}) });
    knobsToSend = {};
    knobTimer = null;
  }, KNOBS_EVERY_MS);
}

async function refreshFigures() {
  if (rtcVoice.state.phase !== "connected") return;
  const before = rtcVoice.state.figures.packetsReceived;
  const reading = await figureReader.read(rtcVoice.pc);
  if (rtcVoice.state.phase !== "connected") return; // hung up while reading
  silentReadings = reading.packetsReceived === before ? silentReadings + 1 : 0;
  if (silentReadings >= SILENCE_READINGS) call.suspect();
  const { consent, hasCamera, faces, figures } = rtcVoice.state;
  if (faces.length) facelessSince = performance.now(); // the bot may report only changes
  const isFaceMissing = consent && hasCamera && performance.now() - facelessSince > NO_FACE_AFTER_MS;
  update({ isFaceMissing, shaky: silentReadings >= SILENCE_READINGS, figures: { ...figures, ...reading } });
  timeline.addReading(performance.now(), rtcVoice.state.figures);
  drawTimeline();
}

function drawTimeline() {
  timeline.draw(performance.now());
  element("timeline").ariaLabel = timeline.words;
}

/** The id of the face whose voice is heard now; null in silence. */
function speakingFace() {
  const { faces, sentences, mode } = rtcVoice.state;
  const sentence = sentences.find(({ progress }) => progress === "started");
  if (!sentence && !(mode === "convert" && meter.level() > AUDIBLE_DB)) return null;
  return sentence?.face ?? faces.find(({ own }) => own)?.id ?? null;
}

function drawFrame(now) {
  requestAnimationFrame(drawFrame);
  if (now - drawnAt < DRAW_EVERY_MS) return;
  drawnAt = now;
  meter.draw();
  microphoneMeter.draw();
  overlay.draw(rtcVoice.state.faces, speakingFace(), element("name").value.trim());
}

// Closing the tab must free the bot at once, not after the media has been silent for long.
window.addEventListener("pagehide", () => call?.close());
element("preview").addEventListener("resize", () => {
  const { videoWidth, videoHeight } = element("preview");
  if (videoWidth) element("stage").style.aspectRatio = `${videoWidth} / ${videoHeight}`;
});
listenToPerson({
  join,
  leave,
  setConsent,
  forget,
  setMode,
  setKnobs,
  say,
  cancel: () => send("cancel"),
  redraw: () => setKnobs({ redraw: (rtcVoice.state.knobs[rtcVoice.state.card]?.redraw ?? 0) + 1 }),
  resetKnobs: () => setKnobs({ ...NEUTRAL_KNOBS }),
  showCard: (card) => update({ card }),
  record: toggleRecording,
  useFile: useRecording,
  useAgain: () => (update({ enrolment: { isBusy: true } }), askForRecording(ownRecording)),
  useFace: () => askForRecording(null),
  keepPhrase,
  dropPhrase,
  sayPhrase,
  report: () => save(reportOf({ ...rtcVoice.state, metrics, timeline: element("timeline") }), "rtc-voice-report.html"),
  setPhraseKeys: (hasKeys) => ((phrases.hasKeys = hasKeys), update({})),
  pressKey: (event) => sayPhrase(phrases.of(event)),
  setDraftLength: (draftLength) => update({ draftLength }),
  dismiss: () => update({ problem: null }),
});
setInterval(refreshFigures, FIGURES_EVERY_MS);
window.addEventListener("resize", drawTimeline);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawTimeline);
drawTimeline();
requestAnimationFrame(drawFrame);
update({});
