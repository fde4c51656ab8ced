"""The page in a real Chromium, in calls with the real server and bot."""

import time
from urllib.parse import urlsplit

import numpy as np
import pytest
from playwright.sync_api import Page

from tests.demo.conftest import CHROMIUM, SPOKEN, OpenPage, Screenshot, running_server
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

    page.click("#consent-grant")
    until(page, "rtcVoice.state.faces.length === 1")
    until(page, "rtcVoice.state.voice?.ready && rtcVoice.state.voice.frozen !== false")
    left, top, right, bottom = page.evaluate("rtcVoice.state.faces[0].box")
    assert 0.3 < (left + right) / 2 < 0.6 and 0.1 < (top + bottom) / 2 < 0.4  # where the astronaut's face is
    f0_hz = page.evaluate("rtcVoice.state.voice.f0_hz")
    assert text(page, "#voice-status") == f"Ready: about {round(f0_hz)} Hz"
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
    page.wait_for_timeout(8000)
    screenshot(page, "6-live")
    heard = stop_recording(page)
    assert (levels(heard) > SPEECH_LEVEL).sum() * 0.04 > 1.5  # s of speech, even on a machine that is too busy
    f0_hz = page.evaluate("rtcVoice.state.voice.f0_hz")
    assert abs(12 * np.log2(median_f0_hz(heard) / f0_hz)) < 2.5  # semitones


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
    page.click("#consent-withdraw")
    until(page, "rtcVoice.state.faces.length === 0 && !rtcVoice.state.voice?.ready")
    assert page.evaluate("rtcVoice.pc.getSenders().every(({ track }) => !track.enabled)")
    assert page.is_disabled("#say")


def test_blocked_devices_are_told_with_the_remedy(server_url: str, open_page: OpenPage, screenshot: Screenshot) -> None:
    page = open_page(server_url, is_allowed=False)
    page.click("#join")
    until(page, "rtcVoice.state.phase === 'connected'")
    assert text(page, "#problem-title") == "The camera and the microphone are blocked"
    assert "Allow them" in text(page, "#problem-remedy")
    assert text(page, "#voice-status") == "No camera, so no voice"
    screenshot(page, "8-blocked")


@pytest.mark.parametrize("end", ["terminate", "kill"])
def test_a_stopped_server_is_told_in_plain_words(end: str, open_page: OpenPage, screenshot: Screenshot) -> None:
    with running_server() as (server, url):
        page = open_page(url)
        join_and_agree(page)
        until(page, "rtcVoice.state.faces.length === 1")
        getattr(server, end)()
        until(page, "rtcVoice.state.phase === 'ended'", limit_s=15)
    assert text(page, "#problem-title") == "The server does not answer"
    assert "rtc-voice serve" in text(page, "#problem-remedy")
    page.click("#problem-action")
    until(page, "rtcVoice.state.phase === 'ended' && rtcVoice.state.problem !== null")
    screenshot(page, f"9-server-{end}")
