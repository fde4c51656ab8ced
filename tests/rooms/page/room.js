/**
 * Participants of a Janus VideoRoom, for the tests: each publishes a portrait, a voice and a chat; one of them listens.
 *
 * `window.room`: `join(options)`, `whip(options)` and `whep(options)` of the package whip-whep, `participants`, `feeds` (ids,
 * by name), `speak(names, wav)`, `texts`, and what is heard: `voices`, by name, with
 * `heard` ([ms, rms] of every look), `onset(sinceMs)`, `isQuiet(ms)`, `hasEnded()`. Microphones are `voices` too, as
 * "NAME · microphone": "NAME" is what comes of them through the room.
 * `record(names)`, and then `recorded()` for what these voices sounded like since, on one clock.
 */

const LOUD = 0.01; // rms of full scale: -40 dB
const POLL_MS = 8;

const audio = new AudioContext();
const room = { participants: {}, voices: {}, feeds: {}, texts: [], join, speak, record, whip, whep };
window.room = room;
const left = new Set(); // ids of those who have left or stopped sending
const looks = []; // taken all at once, so that voices and microphones have one clock
setInterval(() => looks.forEach((look) => look(performance.now())), POLL_MS);

class Janus {
  #socket;
  #session;
  #waiting = new Map();
  #handles = new Map();
  #count = 0;
  gone = false;

  static async connect(url) {
    const janus = new Janus();
    janus.#socket = new WebSocket(url, "janus-protocol");
    await new Promise((resolve, reject) => {
      janus.#socket.onopen = resolve;
      janus.#socket.onerror = () => reject(new Error("no server"));
    });
    janus.#socket.onclose = () => (janus.gone = true);
    janus.#socket.onmessage = ({ data }) => janus.#take(JSON.parse(data));
    janus.#session = (await janus.request({ janus: "create" })).data.id;
    setInterval(() => janus.gone || janus.#send({ janus: "keepalive" }, "k"), 20000);
    return janus;
  }

  async attach(onEvent) {
    const id = (await this.request({ janus: "attach", plugin: "janus.plugin.videoroom" })).data.id;
    this.#handles.set(id, onEvent);
    return async (body, jsep) => {
      const reply = await this.request({ janus: "message", handle_id: id, body, ...(jsep && { jsep }) });
      const data = reply.plugindata.data;
      if (data.error_code) throw new Error(`${data.error_code} ${data.error}`);
      return { data, jsep: reply.jsep };
    };
  }

  request(body) {
    const number = `t${++this.#count}`;
    return new Promise((resolve) => {
      this.#waiting.set(number, resolve);
      this.#send(body, number);
    });
  }

  close() {
    this.#socket.close();
  }

  #send(body, number) {
    this.#socket.send(JSON.stringify({ ...body, ...(this.#session && { session_id: this.#session }), transaction: number }));
  }

  #take(message) {
    if (message.janus === "ack") return;
    if (message.janus === "error") console.error("janus", JSON.stringify(message));
    const resolve = this.#waiting.get(message.transaction);
    if (resolve) {
      this.#waiting.delete(message.transaction);
      resolve(message);
    } else this.#handles.get(message.sender)?.(message.plugindata?.data ?? {});
  }
}

/** A portrait on a canvas, moving a little as a sitting person does; `shape` makes another face of it. */
async function camera(source, shape, tile) {
  const picture = new Image();
  picture.src = source;
  await picture.decode();
  const canvas = Object.assign(document.createElement("canvas"), { width: 320, height: 240 });
  tile.prepend(canvas);
  const context = canvas.getContext("2d");
  let step = 0;
  const draw = () => {
    const height = 240 * (shape.tall ?? 1), width = (240 * picture.width) / picture.height * (shape.wide ?? 1);
    context.filter = shape.filter ?? "none";
    context.fillStyle = "#5a5a5a";
    context.fillRect(0, 0, 320, 240);
    context.save();
    if (shape.mirrored) context.setTransform(-1, 0, 0, 1, 320, 0);
    context.drawImage(picture, (320 - width) / 2 + 10 * Math.sin(step++ / 20), (240 - height) / 2, width, height);
    context.restore();
  };
  draw();
  setInterval(draw, 100);
  return canvas.captureStream(10).getVideoTracks()[0];
}

/** What a participant shows and says: `{tile, tracks, microphone}`. */
async function devices(name, portrait, shape = {}) {
  await audio.resume();
  const tile = document.createElement("figure");
  tile.innerHTML = `<figcaption>${name}<span class="voice">voice <span class="bar"><i></i></span></span></figcaption>`;
  document.getElementById("tiles").append(tile);
  const microphone = audio.createGain();
  const sent = audio.createMediaStreamDestination();
  microphone.connect(sent);
  follow(`${name} · microphone`, null, microphone);
  return { tile, microphone, tracks: [...sent.stream.getTracks(), await camera(portrait, shape, tile)] };
}

/** Joins: `{url, room, name, portrait, shape, hears}`; resolves when what we send is on its way. */
async function join({ url, room: number, name, portrait, shape, hears = false }) {
  const { tile, microphone, tracks } = await devices(name, portrait, shape);
  const janus = await Janus.connect(url);
  const pc = new RTCPeerConnection();
  const seen = new Set();
  const subscribe = (publishers) => {
    for (const publisher of publishers) {
      room.feeds[publisher.display] = publisher.id;
      if (!hears || seen.has(publisher.id)) continue;
      seen.add(publisher.id);
      listen(janus, number, publisher).catch((error) => console.error(publisher.display, error.message));
    }
  };
  const ask = await janus.attach((data) => {
    subscribe(data.publishers ?? []);
    for (const id of [data.leaving, data.unpublished]) left.add(id);
  });
  const { data } = await ask({ request: "join", ptype: "publisher", room: number, display: name });
  for (const track of tracks) pc.addTransceiver(track, { direction: "sendonly" });
  const channel = pc.createDataChannel("chat");
  await pc.setLocalDescription();
  await gathered(pc);
  const { jsep } = await ask({ request: "publish" }, pc.localDescription);
  await pc.setRemoteDescription(jsep);
  if (channel.readyState !== "open") await new Promise((resolve) => (channel.onopen = resolve));
  subscribe(data.publishers);
  const leave = () => {
    janus.close();
    pc.close();
    tile.remove();
  };
  const chat = (text) => {
    channel.send(text);
    if (hears) show(name, text); // others are shown as they are heard
    return performance.now();
  };
  room.participants[name] = { chat, leave, microphone, bar: tile.querySelector("i") };
}

/** Sends to a WHIP server: `{url, token, name, portrait, shape}`; resolves when connected. */
async function whip({ url, token, name, portrait, shape }) {
  const { WHIPClient } = await import("./whip.js");
  const { tile, microphone, tracks } = await devices(name, portrait, shape);
  const pc = new RTCPeerConnection();
  for (const track of tracks) pc.addTransceiver(track, { direction: "sendonly" });
  const client = new WHIPClient();
  await client.publish(pc, url, token);
  await connected(pc);
  const leave = async () => {
    await client.stop();
    tile.remove();
  };
  room.participants[name] = { leave, microphone, bar: tile.querySelector("i") };
}

/** Plays what a WHEP server has, as the voice `name`; resolves when connected. */
async function whep({ url, token, name }) {
  const { WHEPClient } = await import("./whep.js");
  const pc = new RTCPeerConnection();
  pc.addTransceiver("audio", { direction: "recvonly" });
  pc.ontrack = ({ track }) => hear({ display: name }, new MediaStream([track]));
  await new WHEPClient().view(pc, url, token);
  await connected(pc);
}

function connected(pc) {
  return new Promise((resolve) => {
    const check = () => pc.connectionState === "connected" && resolve();
    pc.addEventListener("connectionstatechange", check);
    check();
  });
}

async function listen(janus, number, publisher) {
  const pc = new RTCPeerConnection();
  const ask = await janus.attach(() => {});
  pc.ontrack = ({ track }) => track.kind === "audio" && hear(publisher, new MediaStream([track]));
  const take = ({ data }) => {
    room.texts.push({ from: publisher.display, text: data });
    show(publisher.display, data);
  };
  pc.ondatachannel = ({ channel }) => (channel.onmessage = take);
  const streams = publisher.streams.filter(({ type }) => type !== "video").map(({ mid }) => ({ feed: publisher.id, mid }));
  if (!streams.length) return;
  const { jsep } = await ask({ request: "join", ptype: "subscriber", room: number, streams });
  await pc.setRemoteDescription(jsep);
  // Janus hands texts on only to subscribers who have opened a channel themselves.
  if (publisher.streams.some(({ type }) => type === "data")) pc.createDataChannel("chat").onmessage = take;
  await pc.setLocalDescription();
  await gathered(pc);
  await ask({ request: "start" }, pc.localDescription);
}

/** Plays a voice and follows its level. */
function hear({ display: name, id }, stream) {
  const element = new Audio();
  element.srcObject = stream; // Chromium feeds the audio graph only if the stream also plays
  element.play();
  follow(name, id, audio.createMediaStreamSource(stream));
}

function follow(name, id, source) {
  const analyser = new AnalyserNode(audio, { fftSize: 256 });
  source.connect(analyser);
  const samples = new Float32Array(256);
  const voice = {
    source,
    hasEnded: () => left.has(id),
    heard: [],
    onset: (since) => voice.heard.find(([at, rms]) => at > since && rms > LOUD)?.[0] ?? null,
    isQuiet: (ms) => voice.heard.filter(([at]) => at > performance.now() - ms).every(([, rms]) => rms < LOUD),
  };
  room.voices[name] = voice;
  looks.push((at) => {
    analyser.getFloatTimeDomainData(samples);
    const rms = Math.hypot(...samples) / Math.sqrt(samples.length);
    voice.heard.push([at, rms]);
    if (voice.heard.length > 20000) voice.heard.shift();
    const bar = room.participants[name.replace(" · voice", "")]?.bar;
    if (bar && name.endsWith(" · voice")) bar.style.width = `${Math.min(100, 400 * rms)}%`;
  });
}

/** Plays a WAV into the microphones of several at once; resolves when it has been played. */
async function speak(names, source) {
  const buffer = await audio.decodeAudioData(await (await fetch(source)).arrayBuffer());
  const node = new AudioBufferSourceNode(audio, { buffer });
  for (const name of names) node.connect(room.participants[name].microphone);
  const played = new Promise((resolve) => (node.onended = resolve));
  node.start();
  await played;
}

/** Records voices from now on; `room.recorded()` ends that and gives `{rate, voices}`: 16-bit samples of each, in base64. */
async function record(names) {
  await audio.audioWorklet.addModule("recorder.js");
  const node = new AudioWorkletNode(audio, "recorder", { numberOfInputs: names.length, numberOfOutputs: 0 });
  const blocks = [];
  node.port.onmessage = ({ data }) => blocks.push(data);
  names.forEach((name, input) => room.voices[name].source.connect(node, 0, input));
  room.recorded = () => {
    names.forEach((name) => room.voices[name].source.disconnect(node));
    const base64 = (samples) => btoa(Array.from(samples, (byte) => String.fromCharCode(byte)).join(""));
    const whole = (input) => new Uint8Array(blocks.flatMap((block) => Array.from(new Uint8Array(block[input].buffer))));
    return { rate: audio.sampleRate, voices: names.map((_, input) => base64(whole(input))) };
  };
}

function show(name, text) {
  const line = document.createElement("li");
  line.append(Object.assign(document.createElement("b"), { textContent: name }), ` ${text}`);
  document.getElementById("chat").append(line);
}

function gathered(pc) {
  return new Promise((resolve) => {
    const check = () => pc.iceGatheringState === "complete" && resolve();
    pc.addEventListener("icegatheringstatechange", check);
    check();
  });
}
