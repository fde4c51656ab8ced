/** What the person does with mouse, finger and keyboard, handed to the page's actions. */

import { element } from "./view.js";

const KNOBS = ["pitch", "size", "brightness"];

const on = (id, type, action) => element(id).addEventListener(type, action);

/** Wires every control of the page to the `actions` of app.js. */
export function listenToPerson(actions) {
  on("lobby", "submit", (event) => (event.preventDefault(), actions.join()));
  on("leave", "click", actions.leave);
  on("problem-action", "click", () => (actions.leave(), actions.join()));
  on("problem-close", "click", actions.dismiss);
  on("consent-grant", "click", () => actions.setConsent(true));
  on("consent-withdraw", "click", () => actions.setConsent(false));
  on("forget", "click", actions.forget);
  on("stop", "click", actions.cancel);
  on("redraw", "click", actions.redraw);
  on("reset", "click", actions.resetKnobs);
  for (const knob of KNOBS) on(knob, "input", ({ target }) => actions.setKnobs({ [knob]: Number(target.value) }));
  on("modes", "change", ({ target }) => actions.setMode(target.value));
  on("record", "click", actions.record);
  on("choose", "click", () => element("file").click());
  on("file", "change", ({ target }) => {
    const [file] = target.files;
    target.value = ""; // so that the same file can be chosen again
    if (file) actions.useFile(file);
  });
  on("again", "click", actions.useAgain);
  on("face-voice", "click", actions.useFace);
  on("report", "click", actions.report);
  on("card", "change", ({ target }) => actions.showCard(target.value));
  listenToComposer(actions);
  listenToPhrases(actions);
}

function listenToPhrases(actions) {
  on("keep", "click", () => actions.keepPhrase(element("text").value.trim()));
  on("phrase-keys", "change", ({ target }) => actions.setPhraseKeys(target.checked));
  on("phrase-list", "click", ({ target }) => {
    const { say, drop } = target.closest("button")?.dataset ?? {};
    if (say !== undefined) actions.sayPhrase(say);
    if (drop !== undefined) actions.dropPhrase(drop);
  });
  document.addEventListener("keydown", actions.pressKey);
}

function listenToComposer(actions) {
  const submit = () => {
    const text = element("text").value.trim();
    if (!text || element("say").disabled) return;
    element("text").value = "";
    actions.setDraftLength(0);
    actions.say(text, element("as").value);
  };
  on("composer", "submit", (event) => (event.preventDefault(), submit()));
  on("text", "input", ({ target }) => actions.setDraftLength(target.value.length));
  on("text", "keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    submit();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && !element("stop").disabled) actions.cancel();
  });
}
