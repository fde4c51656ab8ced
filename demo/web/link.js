/** The page behind a participant's own link: the messages of the data channel over a WebSocket, no media. */

import { chosenLanguage, offerLanguages, setLanguage } from "./languages.js";

const PROTOCOL_VERSION = 1;
const FIRST_PAUSE_MS = 500;
const LAST_PAUSE_MS = 8000;

const element = (id) => document.getElementById(id);
const sentences = new Map(); // id -> {item, progress}
let socket = null;
let pauseMs = FIRST_PAUSE_MS;
let count = 0;

function connect() {
  const url = new URL(`${location.pathname}/messages`, location.href);
  url.protocol = url.protocol.replace("http", "ws");
  socket = new WebSocket(url);
  socket.onopen = () => {
    pauseMs = FIRST_PAUSE_MS;
    element("connection").textContent = "Connected";
  };
  socket.onmessage = ({ data }) => {
    const message = JSON.parse(data);
    receivers[message.type]?.(message);
  };
  socket.onclose = async () => {
    enable(false);
    const isMine = await fetch(location.href, { cache: "no-store" }).then(({ status }) => status !== 404, () => true);
    element("connection").textContent = isMine ? "Not connected" : "You have left the room";
    if (!isMine) return;
    setTimeout(connect, pauseMs);
    pauseMs = Math.min(2 * pauseMs, LAST_PAUSE_MS);
  };
}

function send(type, fields = {}) {
  if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify({ v: PROTOCOL_VERSION, type, ...fields }));
}

const receivers = {
  state({ consent, mode, voice, faces }) {
    element("consent").hidden = consent;
    element("consented").hidden = !consent;
    element("modes").disabled = !consent;
    document.querySelector(`[name=mode][value=${mode}]`).checked = true;
    enable(consent && mode !== "off");
    element("voice").textContent = !consent
      ? "Without your agreement nothing of you is looked at or listened to."
      : voice
        ? `Your voice is ready, at about ${Math.round(voice.f0_hz)} Hz.`
        : faces.length
          ? "Looking at your face …"
          : "No face yet: turn your camera in the room on.";
  },
  disclosure({ text }) {
    element("disclosure").textContent = text;
    element("disclosure").hidden = false;
  },
  languages: ({ languages }) => offerLanguages(languages),
  speech({ id, event }) {
    progress(id, { started: "being said", ended: "said", cancelled: "stopped" }[event]);
  },
  error({ id, message, hint }) {
    const words = hint ? `${message} (${hint})` : message;
    if (id && sentences.has(id)) progress(id, words);
    else element("problem").textContent = words;
  },
};

function enable(can) {
  element("say").disabled = element("stop").disabled = !can;
}

function progress(id, words) {
  const item = sentences.get(id);
  if (item) item.lastChild.textContent = ` ${words}`;
}

function say() {
  const text = element("text").value.trim();
  if (!text || element("say").disabled) return;
  const id = `page-${Date.now()}-${++count}`;
  const item = document.createElement("li");
  item.append(Object.assign(document.createElement("span"), { textContent: text }));
  item.append(Object.assign(document.createElement("small"), { textContent: " waiting" }));
  element("log").append(item);
  sentences.set(id, item);
  element("text").value = "";
  element("problem").textContent = "";
  const language = chosenLanguage();
  setLanguage(item.firstChild, language);
  send("say", { id, text, ...(language ? { language } : {}) });
}

element("grant").addEventListener("click", () => send("consent", { granted: true }));
element("withdraw").addEventListener("click", () => send("consent", { granted: false }));
element("forget").addEventListener("click", () => send("forget"));
element("stop").addEventListener("click", () => send("cancel"));
element("modes").addEventListener("change", ({ target }) => send("mode", { mode: target.value }));
element("composer").addEventListener("submit", (event) => (event.preventDefault(), say()));
element("text").addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  say();
});
connect();
