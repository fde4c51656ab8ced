"""The page in a real Chromium, in calls with the real server and bot."""

import math
import time
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
from playwright.sync_api import Page

from rtc_voice.speech.text import F0_HZ
from tests.demo.conftest import CHROMIUM, SPOKEN, OpenPage, Screenshot, barriers, running_server
from tests.demo.hearing import SPEECH_LEVEL, levels, median_f0_hz, start_recording, stop_recording

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not CHROMIUM.exists(), reason="needs Chromium: apt install chromium"),
]


def until(page: Page, condition: str, limit_s: float = 20) -> None:
    """Returns once the JavaScript ``condition`` holds; the page's own rules forbid ``wait_for_function``."""
    deadline = time.monotonic() + limit_s
    while not page.evaluate(condition):
        assert time.monotonic() < deadline, f"never {condition}: {page.evaluate('JSON.stringify(rtcVoice.state)')}"
        page.wait_for_timeout(50)


def text(page: Page, selector: str) -> str:
    return page.inner_text(selector)


def join_and_agree(page: Page) -> None:
    page.click("#join")
    until(page, "rtcVoice.state.phase === 'connected'")
    page.click("#consent-grant")


def assert_fits_phones(page: Page, screenshot: Screenshot, name: str) -> None:
    """Nothing of the page as it is now sticks out sideways, from the narrowest phone on."""
    before = page.viewport_size
    assert before is not None
    for width in (320, 360, 390):
        page.set_viewport_size({"width": width, "height": 740})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    screenshot(page, f"{name}-phone")
    page.set_viewport_size(before)


def slow_down_line(page: Page, delay_ms: int) -> None:
    """Lets what the page tells the bot arrive later, as from far away."""
    page.evaluate(
        """(delay) => {
            const send = RTCDataChannel.prototype.send;
            RTCDataChannel.prototype.send = function (text) { setTimeout(() => send.call(this, text), delay); };
        }""",
        delay_ms,
    )


def seen_after_click(page: Page, selector: str, expression: str, during_ms: int) -> list[object]:
    """The different values of the JavaScript ``expression`` after a click, while the bot goes on reporting."""
    seen = page.evaluate(
        f"""async ([selector, duration]) => {{
            const values = new Set();
            const reports = () => rtcVoice.log.filter(({{ type }}) => type === "state").length;
            const before = reports();
            document.querySelector(selector).click();
            const end = performance.now() + duration;
            while (performance.now() < end) {{
                values.add({expression});
                await new Promise((resolve) => setTimeout(resolve, 10));
            }}
            return {{ values: [...values], reports: reports() - before }};
        }}""",
        [selector, during_ms],
    )
    assert seen["reports"] > 0, "nothing came from the bot, so nothing was tried"
    return list(seen["values"])


def test_a_typed_sentence_is_heard_in_the_voice_of_the_face(
    server_url: str, open_page: OpenPage, screenshot: Screenshot
) -> None:
    page = open_page(server_url)
    faults: list[str] = []
    hosts: set[str] = set()
    page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("request", lambda request: hosts.add(urlsplit(request.url).netloc))
    page.reload()
    screenshot(page, "1-lobby")

    page.click("#join")
    until(page, "rtcVoice.state.phase === 'connected'")
    page.wait_for_timeout(1000)  # long enough for a face to be found, were it looked for
    assert page.evaluate("rtcVoice.state.faces.length") == 0
    assert page.evaluate("rtcVoice.pc.getSenders().every(({ track }) => !track.enabled)")  # black and silence go out
    assert page.is_disabled("#say")
    screenshot(page, "2-consent")
    assert_fits_phones(page, screenshot, "2-consent")

    page.click("#consent-grant")
    until(page, "rtcVoice.state.faces.length === 1")
    until(page, "rtcVoice.state.voice?.ready && rtcVoice.state.voice.frozen !== false")
    left, top, right, bottom = page.evaluate("rtcVoice.state.faces[0].box")
    assert 0.3 < (left + right) / 2 < 0.6 and 0.1 < (top + bottom) / 2 < 0.4  # where the astronaut's face is
    f0_hz = page.evaluate("rtcVoice.state.voice.f0_hz")
    assert text(page, "#voice-status") == f"Ready: about {math.floor(f0_hz + 0.5)} Hz"  # as JavaScript rounds
    screenshot(page, "3-ready")

    start_recording(page)
    page.fill("#text", SPOKEN)
    page.press("#text", "Enter")
    until(page, "rtcVoice.state.sentences[0].progress === 'started'")
    page.wait_for_timeout(1500)
    screenshot(page, "4-speaking")
    until(page, "rtcVoice.state.sentences[0].progress === 'ended'", limit_s=30)
    page.wait_for_timeout(500)  # what is still in the jitter buffer
    heard = stop_recording(page)
    assert (levels(heard) > SPEECH_LEVEL).sum() * 0.04 > 2  # s of speech
    assert abs(12 * np.log2(median_f0_hz(heard) / f0_hz)) < 2.5  # semitones: one sentence wanders around its mean
    assert 0 < page.evaluate("rtcVoice.state.sentences[0].firstAudioMs") < 5000
    assert "first sound after" in text(page, "#log")
    until(page, "rtcVoice.state.figures.packetsReceived > 100 && rtcVoice.state.figures.packetsSent > 100")
    assert text(page, "#round-trip").endswith(" ms")
    assert "first sound of the last sentence" in page.evaluate("document.querySelector('#timeline').ariaLabel")
    with page.expect_download() as saved:
        page.click("#report")
    assert SPOKEN in saved.value.path().read_text()
    assert_fits_phones(page, screenshot, "4-said")

    page.click("#leave")
    until(page, "rtcVoice.state.phase === 'ended'")
    page.wait_for_timeout(300)
    screenshot(page, "5-ended")
    assert faults == []
    assert hosts == {urlsplit(server_url).netloc}


def test_stop_ends_the_sentence_that_is_being_spoken(server_url: str, open_page: OpenPage) -> None:
    page = open_page(server_url)
    join_and_agree(page)
    until(page, "rtcVoice.state.voice?.ready")
    page.fill("#text", " ".join([SPOKEN] * 4))
    page.press("#text", "Enter")
    until(page, "rtcVoice.state.sentences[0].progress === 'started'")
    page.click("#stop")
    until(page, "rtcVoice.state.sentences[0].progress === 'cancelled'", limit_s=3)
    page.wait_for_timeout(500)  # what is still in the jitter buffer
    start_recording(page)
    page.wait_for_timeout(1000)
    assert levels(stop_recording(page)).max() < SPEECH_LEVEL


def test_a_long_text_leaves_the_log_usable(server_url: str, open_page: OpenPage, screenshot: Screenshot) -> None:
    page = open_page(server_url)
    page.set_viewport_size({"width": 1280, "height": 720})
    join_and_agree(page)
    whole = " ".join([SPOKEN] * 30)[:2000].strip()
    page.fill("#text", whole[:1900])
    assert "1900 of 2000 characters" in text(page, "#composer-hint")
    page.fill("#text", whole.ljust(2000, "!"))
    assert "The box is full" in text(page, "#composer-hint")
    screenshot(page, "10-full-box")
    page.fill("#text", "First.")
    page.press("#text", "Enter")
    page.fill("#text", whole)
    page.press("#text", "Enter")
    assert "2000" not in text(page, "#composer-hint")
    screenshot(page, "11-long-text")
    log, item = (page.locator(selector).bounding_box() for selector in ("#log", "#log li:last-child"))
    assert log is not None and item is not None
    assert item["height"] < log["height"] / 2
    page.get_by_role("button", name="Show all").click()
    assert text(page, "#log li:last-child p") == whole
    page.get_by_role("button", name="Show less").click()
    assert len(text(page, "#log li:last-child p")) < 200
    page.click("#stop")


def test_a_sentence_that_cannot_be_said_is_marked_alone(
    server_url: str, open_page: OpenPage, screenshot: Screenshot
) -> None:
    page = open_page(server_url)
    join_and_agree(page)
    page.evaluate(
        """() => {
            window.failed = new Set();
            const isFailed = ({ progress }) => progress === "failed";
            setInterval(() => rtcVoice.state.sentences.filter(isFailed).forEach(({ id }) => failed.add(id)), 5);
        }"""
    )
    for sentence in ("Good morning.", "😀😀", "Good night."):
        page.fill("#text", sentence)
        page.press("#text", "Enter")
    until(page, "rtcVoice.state.sentences[2].progress === 'started'")
    assert page.evaluate("[...failed]") == [page.evaluate("rtcVoice.state.sentences[1].id")]
    assert text(page, "#log li:nth-child(2) small").startswith("not said: ")
    assert page.is_hidden("#problem")
    screenshot(page, "12-not-said")


def test_what_is_said_live_comes_back(server_url: str, open_page: OpenPage, screenshot: Screenshot) -> None:
    page = open_page(server_url + "?raw=1")
    join_and_agree(page)
    until(page, "rtcVoice.state.voice?.ready")
    start_recording(page)
    page.wait_for_timeout(1000)
    assert levels(stop_recording(page)).max() < SPEECH_LEVEL  # the microphone speaks all the time, but is not sent
    page.get_by_text("Speak", exact=True).click()
    until(page, "rtcVoice.state.mode === 'convert'")
    start_recording(page)
    page.wait_for_timeout(6000)
    screenshot(page, "6-live")
    heard = stop_recording(page)
    assert (levels(heard) > SPEECH_LEVEL).sum() * 0.04 > 1.5  # s of speech, even on a machine that is too busy
    f0_hz = page.evaluate("rtcVoice.state.voice.f0_hz")
    assert abs(12 * np.log2(median_f0_hz(heard) / f0_hz)) < 3  # semitones


def test_a_recording_of_ones_own_replaces_the_voice_of_the_face(
    server_url: str, open_page: OpenPage, screenshot: Screenshot, cameras: Path
) -> None:
    page = open_page(server_url)
    page.click("#join")
    until(page, "rtcVoice.state.phase === 'connected'")
    assert page.is_disabled("#record") and page.is_disabled("#choose")  # nothing is measured before consent
    page.click("#consent-grant")
    until(page, "rtcVoice.state.voice?.frozen")
    of_the_face = page.evaluate("rtcVoice.state.voice.f0_hz")
    for name, words in {"short": "are too short. Speak for", "silent": "silent. Use one", "letter": "no sound"}.items():
        page.set_input_files("#file", cameras / f"{name}.wav")
        until(page, f"document.querySelector('#own-status').textContent.includes({words!r})")
    screenshot(page, "14-unusable-recording")

    page.set_input_files("#file", cameras / "deep.wav")
    until(page, "rtcVoice.state.voice.source === 'recording'")
    of_the_recording = page.evaluate("rtcVoice.state.voice.f0_hz")
    assert (
        abs(12 * np.log2(of_the_recording * 1.4 / F0_HZ)) < 2
    )  # semitones from that of the voice that was slowed down
    assert "from your recording" in text(page, "#voice-status")
    assert "after a recording" in text(page, "#disclosure")
    screenshot(page, "15-recording")
    start_recording(page)
    page.fill("#text", SPOKEN)
    page.press("#text", "Enter")
    until(page, "rtcVoice.state.sentences[0].progress === 'ended'", limit_s=30)
    assert abs(12 * np.log2(median_f0_hz(stop_recording(page)) / of_the_recording)) < 2.5

    page.click("#face-voice")
    until(page, "rtcVoice.state.voice.source === 'face'")
    assert "made from a face" in text(page, "#disclosure")
    assert page.evaluate("rtcVoice.state.voice.f0_hz") == of_the_face


def test_a_recording_may_be_used_again_in_the_next_call_until_consent_is_withdrawn(
    server_url: str, open_page: OpenPage, screenshot: Screenshot, cameras: Path
) -> None:
    page = open_page(server_url)
    join_and_agree(page)
    until(page, "rtcVoice.state.voice?.ready")
    assert page.is_hidden("#again")
    page.set_input_files("#file", cameras / "deep.wav")
    until(page, "rtcVoice.state.voice.source === 'recording'")
    of_the_recording = page.evaluate("rtcVoice.state.voice.f0_hz")
    assert page.is_hidden("#again")
    page.click("#leave")
    until(page, "rtcVoice.state.phase === 'ended'")
    join_and_agree(page)
    until(page, "rtcVoice.state.voice?.ready")
    assert page.evaluate("rtcVoice.state.voice.source") == "face"
    screenshot(page, "19-recording-of-the-last-call")
    page.click("#again")
    until(page, "rtcVoice.state.voice.source === 'recording'")
    assert page.evaluate("rtcVoice.state.voice.f0_hz") == of_the_recording
    page.click("#consent-withdraw")
    until(page, "rtcVoice.state.voice === null")
    page.click("#consent-grant")
    until(page, "rtcVoice.state.voice?.ready")
    assert page.is_hidden("#again")


def test_one_may_record_oneself(server_url: str, open_page: OpenPage, screenshot: Screenshot) -> None:
    page = open_page(server_url + "?raw=1")
    join_and_agree(page)
    until(page, "rtcVoice.state.voice?.frozen")
    page.click("#record")
    until(page, "rtcVoice.state.recordingSeconds >= 6")
    assert not page.evaluate("rtcVoice.pc.getSenders()[0].track.enabled")  # nothing of it goes into the call
    screenshot(page, "16-recording-oneself")
    page.click("#record")
    until(page, "rtcVoice.state.voice.source === 'recording'")
    assert abs(12 * np.log2(page.evaluate("rtcVoice.state.voice.f0_hz") / F0_HZ)) < 2  # semitones

    page.click("#consent-withdraw")
    until(page, "rtcVoice.state.voice === null")
    assert page.is_disabled("#record")


def test_a_kept_phrase_is_said_by_one_key(server_url: str, open_page: OpenPage, screenshot: Screenshot) -> None:
    page = open_page(server_url)
    for phrase in ("Good morning.", "I would like 2 apples."):
        page.fill("#text", phrase)
        page.click("#keep")
    page.fill("#text", "")
    page.reload()  # they stay in the browser
    join_and_agree(page)
    until(page, "rtcVoice.state.voice?.ready")
    assert page.is_hidden("#language-row")  # one language is no choice
    page.focus("#stage button:visible, #leave")
    page.keyboard.press("2")
    until(page, "rtcVoice.state.sentences[0]?.progress === 'ended'")
    assert page.evaluate("rtcVoice.state.sentences[0].text") == "I would like 2 apples."
    page.focus("#text")
    page.keyboard.press("2")
    assert page.input_value("#text") == "2"
    screenshot(page, "17-phrases")
    assert_fits_phones(page, screenshot, "17-phrases")

    page.uncheck("#phrase-keys")
    page.keyboard.press("1")
    page.get_by_role("button", name="Remove the phrase: Good morning.").click()
    page.get_by_role("button", name="I would like 2 apples.", exact=False).first.click()
    until(page, "rtcVoice.state.sentences.length === 2")
    assert page.evaluate("rtcVoice.state.sentences.map(({ text }) => text)") == ["I would like 2 apples."] * 2
    assert page.locator("#phrase-list li").count() == 1


def test_knobs_change_what_is_heard(server_url: str, open_page: OpenPage) -> None:
    page = open_page(server_url)
    join_and_agree(page)
    until(page, "rtcVoice.state.voice?.frozen")
    before = page.evaluate("rtcVoice.state.voice")
    page.focus("#pitch")
    for _ in range(8):
        page.keyboard.press("ArrowLeft")  # half a semitone
    page.focus("#size")
    page.keyboard.press("ArrowRight")
    until(page, "rtcVoice.state.voice.tract > {tract}".format(**before))
    assert text(page, "#pitch-value") == "−4 semitones"
    until(page, f"Math.abs(rtcVoice.state.voice.f0_hz - {before['f0_hz'] * 2 ** (-4 / 12)}) < 1")
    page.click("#redraw")
    until(page, "rtcVoice.state.voice.redraw === 1")
    page.click("#reset")
    until(page, "rtcVoice.state.voice.f0_hz === {f0_hz} && rtcVoice.state.voice.redraw === 0".format(**before))
    assert text(page, "#pitch-value") == "0 semitones"


def test_each_face_has_its_card_and_its_own_voice(server_url: str, open_page: OpenPage, screenshot: Screenshot) -> None:
    page = open_page(server_url, portrait="two")
    page.fill("#name", "Ann")
    join_and_agree(page)
    until(page, "rtcVoice.state.faces.filter((face) => face.voice_ready).length === 2 && rtcVoice.state.voice?.frozen")
    assert page.locator("#card option").all_inner_texts()[0] == "Ann"
    own = page.evaluate("rtcVoice.state.voice.f0_hz")
    other = "rtcVoice.state.faces.find((face) => !face.own)"
    until(page, f"{other}.f0_hz")
    before = page.evaluate(f"{other}.f0_hz")
    page.select_option("#card", index=1)
    assert text(page, "#voice-status").startswith("Face ")
    page.focus("#pitch")
    for _ in range(24):
        page.keyboard.press("ArrowRight")
    until(page, f"{other}.f0_hz > 1.2 * {before}")
    screenshot(page, "18-two-faces")
    assert page.evaluate("rtcVoice.state.voice.f0_hz") == own
    page.select_option("#card", index=0)
    assert text(page, "#pitch-value") == "0 semitones"


def test_forget_deletes_the_voice_and_takes_consent_back(server_url: str, open_page: OpenPage) -> None:
    page = open_page(server_url)
    page.fill("#name", "Somebody to forget")
    join_and_agree(page)
    until(page, "rtcVoice.state.voice?.frozen")
    page.click("#forget")
    until(page, "rtcVoice.state.voice === null && !rtcVoice.state.consent && rtcVoice.state.faces.length === 0")
    assert page.evaluate("rtcVoice.pc.getSenders().every(({ track }) => !track.enabled)")
    assert page.is_visible("#consent") and page.is_disabled("#say")


def test_the_timeline_tells_its_latencies_in_words(server_url: str, open_page: OpenPage) -> None:
    said = open_page(server_url).evaluate(
        """async () => {
            const { Timeline } = await import("./timeline.js");
            const timeline = new Timeline(document.getElementById("timeline"));
            const words = [timeline.words];
            timeline.addReading(1000, { roundTripMs: 3.4, jitterBufferMs: null, lateChunks: 0 });
            timeline.addFirstSound(1500, 141.2);
            timeline.draw(2000);
            words.push(timeline.words);
            timeline.addReading(200000, { roundTripMs: 5, jitterBufferMs: 40.6, lateChunks: 1 });
            return [...words, timeline.words];
        }"""
    )
    assert said == [
        "No latency measured yet",
        "Latency over two minutes: round trip 3 milliseconds, jitter buffer unknown, "
        "first sound of the last sentence 141 milliseconds",
        "Latency over two minutes: round trip 5 milliseconds, jitter buffer 41 milliseconds",
    ]


def test_the_report_is_one_page_with_figures_and_sentences(
    server_url: str, open_page: OpenPage, tmp_path: Path
) -> None:
    page = open_page(server_url)
    (tmp_path / "report.html").write_text(
        page.evaluate(
            """async () => {
                const { reportOf } = await import("./report.js");
                const sentences = [
                    { text: "One <b>bold</b> word.", progress: "ended", firstAudioMs: 141.4 },
                    { text: "Two.", progress: "cancelled", firstAudioMs: null },
                ];
                const metrics = { late_chunks: 2, text_first_audio_ms: { p50: 141.39, n: 1 } };
                const timeline = document.getElementById("timeline");
                const figures = { lost: null };
                return reportOf({ sentences, metrics, timeline, figures, voice: null, disclosure: "" }).text();
            }"""
        )
    )
    page.goto((tmp_path / "report.html").as_uri())
    rows = [row.split("\t") for row in page.locator("tr").all_inner_texts()]
    assert rows == [
        ["figure", "value"],
        ["browser: lost", "unknown"],
        ["bot: late_chunks", "2"],
        ["bot: text_first_audio_ms", "p50 141.39, n 1"],
        ["said", "progress", "first sound after"],
        ["One <b>bold</b> word.", "ended", "141 ms"],
        ["Two.", "cancelled", ""],
    ]
    assert page.evaluate("document.images[0].naturalWidth") > 500
    assert barriers(page) == []


def test_a_camera_without_a_face_is_told_so(server_url: str, open_page: OpenPage, screenshot: Screenshot) -> None:
    page = open_page(server_url, portrait="coffee")
    join_and_agree(page)
    until(page, "rtcVoice.state.isFaceMissing")
    assert "cannot find a face" in text(page, "#face-status")
    screenshot(page, "7-no-face")


def test_withdrawn_consent_ends_the_voice_and_the_picture(server_url: str, open_page: OpenPage) -> None:
    page = open_page(server_url)
    join_and_agree(page)
    until(page, "rtcVoice.state.voice?.ready")
    slow_down_line(page, 2000)
    is_sent = "rtcVoice.pc.getSenders().some(({ track }) => track.enabled)"
    assert seen_after_click(page, "#consent-withdraw", is_sent, during_ms=1800) == [False]
    until(page, "rtcVoice.state.faces.length === 0 && !rtcVoice.state.voice?.ready")
    assert page.evaluate(f"!{is_sent}")
    assert page.is_disabled("#say")


def test_a_chosen_mode_stays_until_the_bot_refuses_it(
    server_url: str, open_page: OpenPage, screenshot: Screenshot
) -> None:
    page = open_page(server_url)
    join_and_agree(page)
    until(page, "rtcVoice.state.faces.length === 1")
    slow_down_line(page, 2000)
    chosen = "document.querySelector('[name=mode]:checked').value"
    assert seen_after_click(page, "[name=mode][value=off]", chosen, during_ms=1800) == ["off"]
    until(page, "rtcVoice.log.findLast(({ type, direction }) => type === 'state' && direction === 'in').mode === 'off'")
    assert page.evaluate(chosen) == "off"

    page.click("#consent-withdraw")
    # In one go: the bot's next report disables it again.
    convert = "document.querySelector('[name=mode][value=convert]')"
    assert page.evaluate(f"{convert}.disabled = false, {convert}.click(), {chosen}") == "convert"
    until(page, "rtcVoice.state.problem !== null")
    assert text(page, "#problem-title") == "No face may be used yet"  # the bot's words, with a capital
    assert page.evaluate(chosen) == "off"
    screenshot(page, "13-refused")


def test_only_faces_that_last_or_are_seen_well_are_shown(server_url: str, open_page: OpenPage) -> None:
    reports = [  # ms, then id, left edge and quality of each face
        (0, [(1, 0.40, 0.9), (2, 0.1, 0.1)]),
        (100, [(1, 0.41, 0.9), (2, 0.1, 0.1), (3, 0.7, 0.1)]),  # 2 is reported on, but not seen again
        (400, [(1, 0.42, 0.1), (2, 0.1, 0.1), (3, 0.71, 0.1)]),  # 1 turns away, but has been shown
        (600, [(1, 0.43, 0.1), (2, 0.1, 0.1), (3, 0.72, 0.1)]),  # 3 has lasted half a second
        (1600, [(1, 0.44, 0.1)]),
    ]
    shown = open_page(server_url).evaluate(
        """async (reports) => {
            const { SteadyFaces } = await import("./faces.js");
            const steady = new SteadyFaces();
            const face = ([id, left, quality]) => ({ id, quality, own: false, box: [left, 0.2, left + 0.1, 0.4] });
            return reports.map(([now, faces]) => steady.settle(faces.map(face), now).map(({ id }) => id));
        }""",
        reports,
    )
    assert shown == [[1], [1], [1], [1, 3], [1]]


def test_blocked_devices_are_told_with_the_remedy(server_url: str, open_page: OpenPage, screenshot: Screenshot) -> None:
    page = open_page(server_url, is_allowed=False)
    page.click("#join")
    until(page, "rtcVoice.state.phase === 'connected'")
    assert text(page, "#problem-title") == "The camera and the microphone are blocked"
    assert "Allow them" in text(page, "#problem-remedy")
    assert text(page, "#connection") == "Connected, no camera"
    assert page.is_hidden("#steps")
    assert page.is_disabled("#choose")
    screenshot(page, "8-blocked")
    assert_fits_phones(page, screenshot, "8-blocked")


def test_without_a_camera_a_recording_gives_a_voice(server_url: str, open_page: OpenPage, cameras: Path) -> None:
    page = open_page(server_url, is_allowed=False)
    join_and_agree(page)
    until(page, "rtcVoice.state.consent")
    assert text(page, "#voice-status") == "Waiting for a recording of yours"
    assert page.is_disabled("#say") and page.is_disabled("#record")
    page.set_input_files("#file", cameras / "deep.wav")
    until(page, "rtcVoice.state.voice?.source === 'recording'")
    page.fill("#text", "Hello.")
    page.press("#text", "Enter")
    until(page, "rtcVoice.state.sentences[0].progress === 'ended'")
    page.click("#face-voice")
    until(page, "rtcVoice.state.voice === null")
    assert page.is_disabled("#say")


@pytest.mark.parametrize("end", ["terminate", "kill"])
def test_a_stopped_server_is_told_in_plain_words(end: str, open_page: OpenPage, screenshot: Screenshot) -> None:
    with running_server() as (server, url):
        page = open_page(url)
        join_and_agree(page)
        until(page, "rtcVoice.state.faces.length === 1")
        page.set_viewport_size({"width": 1280, "height": 720})
        page.click("#text")
        page.mouse.wheel(0, 2000)
        until(page, "scrollY > 50")
        getattr(server, end)()
        until(page, "rtcVoice.state.phase === 'ended'", limit_s=15)
    assert text(page, "#problem-title") == "The server does not answer"
    assert all(command in text(page, "#problem-remedy") for command in ("rtc-voice serve", "rtc-voice demo"))
    box = page.locator("#problem").bounding_box()
    assert box is not None and box["y"] >= 0 and box["y"] + box["height"] <= 720  # seen where the person is
    page.click("#problem-action")
    until(page, "rtcVoice.state.phase === 'ended' && rtcVoice.state.problem !== null")
    screenshot(page, f"9-server-{end}")
