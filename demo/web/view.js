/** Shows the state of the page: every element's text and visibility follows from the one state object. */

import { offerLanguages, setLanguage } from "./languages.js";

const CONNECTION_WORDS = {
  idle: "Not connected",
  devices: "Waiting for the camera",
  connecting: "Connecting",
  connected: "Connected",
  ended: "Not connected",
};

const PROGRESS_WORDS = {
  sent: "waiting",
  queued: "waiting",
  started: "speaking",
  ended: "said",
  cancelled: "stopped",
  failed: "not said",
};

const MODE_HINTS = {
  text: (whose) => `What you type is spoken in the voice of your ${whose}.`,
  convert: (whose) => `Talk: what you say comes back in the voice of your ${whose}. Headphones keep it out of your microphone.`,
  off: () => "The bot is silent. Nothing you type or say is spoken.",
};

const SHORT = 160; // characters of a long sentence that the log shows
const LONG = 220; // and what counts as long: two or three more words are no reason to cut
const LONG_LINES = 5;
const NEARLY_FULL = 0.9; // share of the text box from which on its limit is told

/** The element with this id. */
export const element = (id) => document.getElementById(id);

/** Moves the keyboard's focus to `id` if what had it is no longer shown; to a text box only where that opens no keyboard. */
export function refocus(id) {
  const opensKeyboard = element(id).matches("textarea") && matchMedia("(pointer: coarse)").matches;
  if (document.activeElement?.offsetParent == null && !opensKeyboard) element(id).focus({ preventScroll: true });
}

/** Brings the whole page in line with `state` (see app.js). */
export function show(state) {
  document.body.dataset.phase = state.phase;
  const isConnected = state.phase === "connected";
  showConnection(state, isConnected);
  showProblem(state.problem);
  showStage(state, isConnected);
  showVoice(state, isConnected);
  showChat(state, isConnected);
  showOwnVoice(state, isConnected);
  showPhrases(state);
  showFigures(state.figures, isConnected);
}

function setText(id, text) {
  // Unchanged text is left alone: writing it again makes screen readers say it again.
  if (element(id).textContent !== text) element(id).textContent = text;
}

function setVisible(id, isVisible) {
  element(id).hidden = !isVisible;
}

function showConnection(state, isConnected) {
  setText("connection", connectionWords(state, isConnected));
  element("connection").dataset.tone = isConnected ? (state.shaky || !state.hasCamera ? "warn" : "good") : "calm";
  setVisible("leave", ["connecting", "connected"].includes(state.phase));
}

function connectionWords({ phase, shaky, hasCamera }, isConnected) {
  if (isConnected && shaky) return "Connection is shaky";
  return isConnected && !hasCamera ? "Connected, no camera" : CONNECTION_WORDS[phase];
}

function showProblem(problem) {
  setVisible("problem", problem !== null);
  setText("problem-title", problem?.title ?? "");
  setText("problem-remedy", problem?.remedy ?? "");
  setVisible("problem-action", problem?.canRetry === true);
}

function showStage(state, isConnected) {
  const isOutside = ["idle", "ended"].includes(state.phase);
  setVisible("lobby", isOutside);
  setText("lobby-title", state.phase === "ended" ? "The call has ended" : "Join with your camera");
  setText("join", state.phase === "ended" ? "Join again" : "Join the call");
  setVisible("no-picture", !isOutside && !state.hasCamera);
  setText("no-picture", state.phase === "devices" ? "Allow the camera when the browser asks." : "No camera");
  setVisible("consent", isConnected && !state.consent);
  setText("consent-title", state.hasCamera ? "May the bot look at your face?" : "May the bot measure your voice?");
  setVisible("consent-text", state.hasCamera);
  setVisible("consent-voice", !state.hasCamera);
  setVisible("consented", isConnected && state.consent);
  setText("consented-text", state.hasCamera ? "You agreed to have your face looked at." : "You agreed to have your voice measured.");
  const status = isConnected && state.hasCamera ? faceStatus(state) : "";
  setVisible("face-status", status !== "");
  setText("face-status", status);
  element("face-status").dataset.tone = state.isFaceMissing ? "warn" : "calm";
}

function faceStatus({ consent, faces, isFaceMissing }) {
  if (!consent) return "Only you see this picture";
  if (faces.length > 1) return `${faces.length} faces found`;
  if (faces.length === 1) return "Face found";
  if (isFaceMissing) return "I cannot find a face. Look into the camera, come closer, or turn on a light.";
  return "Looking for your face";
}

function showVoice(state, isConnected) {
  setText("voice-status", isConnected ? voiceStatus(state) : "No voice yet");
  const isReady = isConnected && state.voice?.ready === true;
  element("voice-status").dataset.tone = isReady ? "good" : "calm";
  element("knobs").disabled = !isReady;
  const knobs = state.knobs[state.card] ?? { pitch: 0, size: 1, brightness: 0 };
  for (const knob of ["pitch", "size", "brightness"]) {
    if (Number(element(knob).value) !== knobs[knob]) element(knob).value = knobs[knob];
  }
  setText("pitch-value", `${signed(knobs.pitch)} semitones`);
  setText("size-value", `× ${knobs.size.toFixed(2)}`);
  setText("brightness-value", `${signed(knobs.brightness)} dB`);
  element("redraw").disabled = state.card === "" && state.voice?.source === "recording"; // it is whose it is
  showFaceChoice("card", state);
  setVisible("microphone-row", isConnected && (state.mode === "convert" || state.recordingSeconds !== null));
}

function voiceStatus({ hasCamera, consent, voice, card, faces }) {
  const other = faces.find(({ id }) => `${id}` === card);
  if (other) return `${faceName(other)}: about ${Math.round(other.f0_hz)} Hz`;
  const origin = voice?.source === "recording" ? ", from your recording" : voice?.frozen === false ? ", still settling" : "";
  if (voice?.ready) return `Ready: about ${Math.round(voice.f0_hz)} Hz${origin}`;
  if (!consent) return "Waiting for your consent";
  return hasCamera ? "Looking for your face" : "Waiting for a recording of yours";
}

function showOwnVoice({ consent, hasMicrophone, hasRecording, voice, recordingSeconds, enrolment }, isConnected) {
  const isRecording = recordingSeconds !== null;
  const isPossible = isConnected && consent && !enrolment?.isBusy;
  element("record").disabled = !isPossible || !hasMicrophone;
  element("choose").disabled = !isPossible || isRecording;
  setText("record", isRecording ? `Stop recording (${recordingSeconds} s)` : "Record me");
  const isUsed = voice?.source === "recording";
  setVisible("face-voice", isConnected && isUsed);
  setVisible("again", isConnected && consent && hasRecording && !isUsed);
  element("again").disabled = !isPossible || isRecording;
  setText("own-status", isConnected ? ownStatus(isRecording, enrolment, voice) : "");
  element("own-status").classList.toggle("warn", Boolean(enrolment?.problem));
}

function ownStatus(isRecording, enrolment, voice) {
  if (isRecording) return "Speak: after 5 seconds you may stop, after 20 it ends.";
  if (enrolment?.isBusy) return "Measuring the recording …";
  if (enrolment?.problem) return `${enrolment.problem.title}. ${enrolment.problem.remedy}`;
  return voice?.source === "recording" ? "You speak in the voice of your recording." : "";
}

function showPhrases({ phrases, hasPhraseKeys }) {
  setVisible("phrases", phrases.length > 0);
  element("phrase-keys").checked = hasPhraseKeys;
  const list = element("phrase-list");
  const shown = [...list.children].map(({ firstChild }) => firstChild.dataset.say);
  if (JSON.stringify(shown) !== JSON.stringify(phrases)) list.replaceChildren(...phrases.map(phraseItem));
  for (const { firstChild } of list.children) firstChild.disabled = element("say").disabled;
}

function phraseItem(text, index) {
  const item = document.createElement("li");
  const say = Object.assign(document.createElement("button"), { type: "button", className: "quiet" });
  say.dataset.say = text;
  say.setAttribute("aria-keyshortcuts", `${index + 1}`);
  say.append(Object.assign(document.createElement("kbd"), { textContent: `${index + 1}` }), text);
  const drop = Object.assign(document.createElement("button"), { type: "button", className: "link", textContent: "Remove" });
  drop.dataset.drop = text;
  drop.ariaLabel = `Remove the phrase: ${text}`;
  item.append(say, drop);
  return item;
}

const signed = (value) => (value > 0 ? `+${value}` : `${value}`.replace("-", "−"));

function showChat(state, isConnected) {
  const isVoiceless = isConnected && !state.hasCamera && !state.voice?.ready;
  element("modes").disabled = !isConnected || isVoiceless;
  for (const radio of document.getElementsByName("mode")) {
    radio.checked = radio.value === state.mode;
    if (radio.value === "convert") radio.disabled = !state.hasMicrophone || !state.consent;
  }
  setVisible("mode-hint", !isVoiceless);
  setText("mode-hint", MODE_HINTS[state.mode](state.voice?.source ?? "face"));
  setVisible("disclosure", isConnected && state.disclosure !== "");
  setText("disclosure", state.disclosure);
  const obstacle = composerObstacle(state, isConnected);
  element("say").disabled = obstacle !== "";
  element("stop").disabled = !isConnected || !state.sentences.some(({ progress }) => ["sent", "queued", "started"].includes(progress));
  setText("composer-hint", obstacle || roomLeft(state) || composerHint(state));
  showFaceChoice("as", state);
  offerLanguages(isConnected ? state.languages : []);
  element("keep").disabled = state.draftLength === 0 || state.phrases.length >= 9;
  showSteps(state, isConnected);
  setVisible("no-camera", isVoiceless);
  setVisible("steps", state.sentences.length === 0 && !isVoiceless);
  setVisible("log", state.sentences.length > 0);
  showSentences(state.sentences);
}

function showSteps({ consent }, isConnected) {
  const [joined, agreed] = element("steps").children;
  joined.classList.toggle("done", isConnected);
  agreed.classList.toggle("done", isConnected && consent);
}

function composerObstacle({ phase, mode, hasCamera, consent, voice }, isConnected) {
  if (!isConnected) return phase === "ended" ? "The call has ended. Join again to go on." : "Join the call first.";
  if (mode === "off") return "The voice is off. Choose “Type” to say something.";
  if (!consent) return "Your voice comes first: agree below the picture.";
  return hasCamera || voice?.ready ? "" : "Your voice comes first: use a recording of yours.";
}

function roomLeft({ draftLength }) {
  const limit = element("text").maxLength;
  if (draftLength < NEARLY_FULL * limit) return "";
  const room = draftLength < limit ? `${limit - draftLength} more fit.` : "The box is full. Say this first, then the rest.";
  return `${draftLength} of ${limit} characters. ${room}`;
}

function composerHint({ voice }) {
  return voice?.ready ? "Enter says it, Shift + Enter starts a new line, Escape stops." : "It will be said as soon as your voice is ready.";
}

/** What a face is called where there are several; the own by the person's name if they gave one. */
export const faceName = ({ id, own }, name = "") => (own ? name || "You" : `Face ${id}`);

/** Has a person choose one of the faces with a voice, the own first, in the select `id`, in the row that goes with it. */
function showFaceChoice(id, { faces, name }) {
  const isOwn = ({ own }) => Number(own);
  const choices = faces.filter((face) => face.own || face.voice_ready).sort((a, b) => isOwn(b) - isOwn(a));
  setVisible(`${id}-row`, choices.length > 1);
  const wanted = choices.map((face) => [face.own ? "" : `${face.id}`, faceName(face, name)]);
  const select = element(id);
  if (wanted.join("|") === [...select.options].map(({ value, text }) => [value, text]).join("|")) return;
  const chosen = select.value;
  select.replaceChildren(...wanted.map(([value, name]) => new Option(name, value)));
  select.value = wanted.some(([value]) => value === chosen) ? chosen : "";
}

function showSentences(sentences) {
  const log = element("log");
  sentences.forEach((sentence, index) => {
    const item = log.children[index] ?? log.appendChild(sentenceItem(sentence));
    const progress = item.lastElementChild;
    const words = progressWords(sentence);
    if (progress.textContent !== words) {
      progress.textContent = words;
      item.dataset.progress = sentence.progress;
      log.scrollTop = log.scrollHeight;
    }
  });
}

function sentenceItem({ text, language }) {
  const item = document.createElement("li");
  const words = document.createElement("p");
  words.textContent = text;
  setLanguage(words, language);
  item.append(words);
  if (text.length > LONG || text.split("\n").length > LONG_LINES) item.append(lengthButton(words, text));
  item.append(document.createElement("small"));
  return item;
}

/** A button that has `words` show the beginning of `text` or the whole; at first the beginning. */
function lengthButton(words, text) {
  const beginning = `${[...text.replace(/\s+/g, " ")].slice(0, SHORT).join("").replace(/ [^ ]*$/, "")} …`;
  const button = Object.assign(document.createElement("button"), { type: "button", className: "link" });
  const showWhole = (isWhole) => {
    words.textContent = isWhole ? text : beginning;
    button.textContent = isWhole ? "Show less" : "Show all";
    button.ariaExpanded = isWhole;
  };
  button.addEventListener("click", () => {
    showWhole(button.ariaExpanded === "false");
    button.scrollIntoView({ block: "nearest" });
  });
  showWhole(false);
  return button;
}

function progressWords({ progress, firstAudioMs, reason }) {
  const words = PROGRESS_WORDS[progress] ?? progress;
  if (progress === "failed" && reason) return `${words}: ${reason}`;
  return firstAudioMs === null ? words : `${words} · first sound after ${Math.round(firstAudioMs)} ms`;
}

function showFigures(figures, isConnected) {
  element("report").disabled = figures.packetsReceived === undefined;
  const milliseconds = (value) => (value === null || value === undefined ? "–" : `${value < 10 ? value.toFixed(1) : Math.round(value)} ms`);
  setText("first-audio", milliseconds(figures.firstAudioMs));
  setText("round-trip", isConnected ? milliseconds(figures.roundTripMs) : "–");
  setText("jitter-buffer", isConnected ? milliseconds(figures.jitterBufferMs) : "–");
  setText("lost", isConnected ? `${figures.lost ?? "–"}` : "–");
  setText("late-chunks", `${figures.lateChunks ?? "–"}`);
}
