/** A report of the call so far, as one HTML file: figures, the timeline's picture, and each sentence with its latency. */

const STYLE = "body{font:16px/1.5 system-ui,sans-serif;max-width:860px;margin:32px auto;padding:0 16px;color:#1d2523}" +
  "table{border-collapse:collapse;margin:12px 0}td,th{padding:4px 16px 4px 0;text-align:left;vertical-align:top}img{width:100%}";

/** The report as a Blob. `metrics` is the bot's last message of that type, `timeline` the canvas. */
export function reportOf({ sentences, figures, voice, metrics, timeline, disclosure }) {
  const page = document.implementation.createHTMLDocument("rtc_voice: report of a call");
  page.documentElement.lang = "en";
  const add = (tag, properties) => page.body.appendChild(Object.assign(page.createElement(tag), properties));
  add("h1", { textContent: "Report of a call" });
  add("p", { textContent: `${new Date().toISOString()} · ${disclosure}` });
  add("h2", { textContent: "Figures" });
  add("img", { src: timeline.toDataURL("image/png"), alt: timeline.ariaLabel });
  table(page, ["figure", "value"], [...rows(voice, "voice: "), ...rows(figures, "browser: "), ...rows(metrics, "bot: ")]);
  add("h2", { textContent: "Sentences" });
  table(page, ["said", "progress", "first sound after"], sentences.map(({ text, progress, firstAudioMs }) => [text, progress, firstAudioMs === null ? "" : `${Math.round(firstAudioMs)} ms`]));
  // As text: an element would be blocked here by this page's Content Security Policy, which forbids inline styles.
  const whole = page.documentElement.outerHTML.replace("</head>", `<style>${STYLE}</style></head>`);
  return new Blob([`<!doctype html>\n${whole}`], { type: "text/html" });
}

/** Has the browser save a Blob. */
export function save(blob, name) {
  const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000); // at once would be before some browsers have read it
}

function rows(values, prefix) {
  return Object.entries(values ?? {}).map(([name, value]) => [prefix + name, words(value)]);
}

const words = (value) =>
  value !== null && typeof value === "object"
    ? Object.entries(value).map(([name, one]) => `${name} ${words(one)}`).join(", ")
    : typeof value === "number" ? `${Math.round(value * 100) / 100}` : `${value ?? "unknown"}`;

function table(page, heads, lines) {
  const element = page.body.appendChild(page.createElement("table"));
  for (const [kind, cells] of [["th", heads], ...lines.map((line) => ["td", line])]) {
    const row = element.insertRow();
    for (const text of cells) row.append(Object.assign(page.createElement(kind), { textContent: text }));
  }
}
