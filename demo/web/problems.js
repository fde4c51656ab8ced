/** What went wrong, in plain words, each with what to do about it: `{title, remedy, canRetry}`. */

const WITHOUT = {
  camera: "You can stay in the call, but without a face there is no voice yet.",
  microphone: "You can still type and hear; only speaking live needs it.",
};

/** Says why `device` ("camera" or "microphone") could not be opened; `error` comes from getUserMedia. */
export function deviceProblem(device, error) {
  const known = {
    NotAllowedError: [
      `The ${device} is blocked`,
      `Allow the ${device} for this page with the symbol next to the address, then connect again.`,
    ],
    NotFoundError: [`There is no ${device}`, `Plug one in, then connect again.`],
    NotReadableError: [`The ${device} is in use`, `Close the other program that uses it, then connect again.`],
  };
  const [title, remedy] = known[error.name] ?? [
    `The ${device} could not be opened`,
    `The browser says: ${error.message || error.name}. Check the ${device}, then connect again.`,
  ];
  return { title, remedy: `${remedy} ${WITHOUT[device]}`, canRetry: true };
}

/** Both devices are missing for the same reason: one message instead of two. */
export function bothDevicesProblem(error) {
  const blocked = error.name === "NotAllowedError";
  return {
    title: blocked ? "The camera and the microphone are blocked" : "There is no camera and no microphone",
    remedy:
      (blocked
        ? "Allow them for this page with the symbol next to the address, then connect again. "
        : "Plug them in, then connect again. ") + WITHOUT.camera,
    canRetry: true,
  };
}

/** The camera or microphone stopped in the middle of the call. */
export function deviceLostProblem(device) {
  return {
    title: `The ${device} has stopped`,
    remedy: `It was unplugged or taken back from this page. Plug it in or allow it, then connect again. ${WITHOUT[device]}`,
    canRetry: true,
  };
}

export const SOUND_BLOCKED = {
  title: "The browser keeps the sound off",
  remedy: "Press any key or anywhere in the page to hear the voice.",
  canRetry: false,
};

export const INSECURE_PAGE = {
  title: "The browser keeps camera and microphone from this page",
  remedy: "Open the page over https, or on the server itself as http://127.0.0.1 or http://localhost.",
  canRetry: false,
};

export const NO_WEBRTC = {
  title: "This browser cannot make calls",
  remedy: "WebRTC is missing or switched off. Use a current Chromium, Firefox or Safari.",
  canRetry: false,
};

export const SERVER_GONE = {
  title: "The server does not answer",
  remedy: "It has stopped, or the network is down. Start it again with the command you used, “rtc-voice demo” or “rtc-voice serve”, then connect again.",
  canRetry: true,
};

export const CONNECTION_LOST = {
  title: "The connection was lost",
  remedy: "The server still answers, so the network broke for a moment. Connect again.",
  canRetry: true,
};

export const BOT_HUNG_UP = {
  title: "The bot ended the call",
  remedy: "The server is still there. Connect again.",
  canRetry: true,
};

export const ICE_FAILED = {
  title: "No way through to the server",
  remedy:
    "The page loads, but sound and picture cannot pass: a firewall may block UDP. " +
    "Try another network, or give the server a TURN relay.",
  canRetry: true,
};

/** An HTTP answer that refused the call; the server's own words when it gave some. */
export function refusedProblem(status, body) {
  const error = body?.error ?? {};
  return {
    title: capitalised(error.message ?? `The server refused the call (${status})`),
    remedy: capitalised(error.hint) || (status === 503 ? "It is full. Try again in a while." : "Reload the page and try again."),
    canRetry: true,
  };
}

export const UNREADABLE_FILE = {
  title: "This file holds no sound that the browser can read",
  remedy: "Choose a WAV, MP3, M4A, OGG or WebM file.",
};

/** A recording that cannot tell a voice. */
export function shortRecordingProblem(seconds, shortest, longest) {
  return { title: `${seconds.toFixed(1)} seconds are too short`, remedy: `Speak for ${shortest} to ${longest} seconds.` };
}

/** An `error` message of the bot. */
export function botProblem({ message, hint }) {
  return { title: capitalised(message) || "The bot reports an error", remedy: capitalised(hint), canRetry: false };
}

/** Why the bot does not say a sentence, in one line that goes on after a colon. */
export function refusal({ message, hint }) {
  return hint ? `${message} (${hint})` : message;
}

// The bot's messages are written to stand after a colon in a terminal.
const capitalised = (text = "") => text.charAt(0).toUpperCase() + text.slice(1);
