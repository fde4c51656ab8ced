"""WHIP and WHEP with what others have written: FFmpeg, whip-whep in Chromium, and servers before a Janus."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page

from rtc_voice.speech.audio_file import read_audio
from tests.certificate import write_certificate
from tests.demo.conftest import PORTRAITS
from tests.demo.devices import write_microphone
from tests.rooms.ffmpeg import RATE, sending
from tests.rooms.room import PORTRAIT, SPOKEN, Bot, Correspondence, enter, leave, now, wait_for_voice
from tests.rooms.servers import WHIP, JanusServer, whep_server, whip_server

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (WHIP / "node_modules").exists(), reason="needs tests/rooms/whip/install"),
]

TOKEN = "a-token-long-enough"
SENTENCE = "Hello, this is my voice."


@pytest.fixture(scope="module")
def server(page: Page, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bot]:
    """``rtc-voice serve`` with TLS, open to the page."""
    certificate, key = write_certificate(tmp_path_factory.mktemp("tls"))
    origin = "{0.scheme}://{0.netloc}".format(urlsplit(page.url))
    words = ("--port", "0", "--token", TOKEN, "--origin", origin, "--consented", "Ann", "--consented", "Ben")
    with Bot("serve", *words, "--tls-cert", str(certificate), "--tls-key", str(key)) as server:
        assert server.said.startswith("https://")
        yield server


def address(server: Bot, path: str) -> str:
    return f"https://{urlsplit(server.said).netloc}{path}"


def wait_for_link(page: Page, bot: Bot, name: str) -> str:
    while name not in bot.links:
        page.wait_for_timeout(20)
    return bot.links[name]


def test_a_browser_sends_and_hears_by_another_hands_client(server: Bot, page: Page) -> None:
    given = {"token": TOKEN, "name": "Ann", "portrait": PORTRAIT}
    page.evaluate("(options) => room.whip(options)", {**given, "url": address(server, "/whip/Ann")})
    with Correspondence(wait_for_link(page, server, "Ann"), TOKEN) as letters:
        letters.send("say", id="first", text=SENTENCE)
        letters.next("speech", id="first", event="started")
        listen(server, page, "Ann")
        since = now(page)
        letters.send("say", id="second", text=SENTENCE)
        wait_for_voice(page, "Ann · voice", since)
        page.evaluate("room.participants.Ann.leave()")
        assert letters.rest()[-1]["type"] != "error"


def test_what_ffmpeg_sends_is_heard_in_the_voice_of_the_face(server: Bot, page: Page, tmp_path: Path) -> None:
    write_microphone(tmp_path / "speech.wav", SPOKEN)
    speech = read_audio(tmp_path / "speech.wav", RATE)
    files = write_certificate(tmp_path)
    with sending(address(server, "/whip/Ben"), TOKEN, PORTRAITS / PORTRAIT, speech, files):
        with Correspondence(wait_for_link(page, server, "Ben"), TOKEN) as letters:
            letters.send("mode", mode="convert")
            while not letters.next("state")["voice"]:
                pass
            listen(server, page, "Ben")
            wait_for_voice(page, "Ben · voice", now(page))


def listen(server: Bot, page: Page, name: str) -> None:
    given = {"token": TOKEN, "name": f"{name} · voice", "url": address(server, f"/whep/{name}")}
    page.evaluate("(options) => room.whep(options)", given)


def test_join_plays_and_sends_by_servers_of_other_hands(janus: JanusServer, page: Page, tmp_path: Path) -> None:
    enter(page, janus, "Host", hears=True)
    voices = {"ann": "Ann", "voice": "Ann · voice"}
    with whip_server(janus, tmp_path / "whip", voices) as whip:
        given = {"url": f"{whip}/whip/endpoint/ann", "name": "Ann", "portrait": PORTRAIT}
        page.evaluate("(options) => room.whip(options)", given)
        feed = page.wait_for_function("room.feeds.Ann").json_value()
        with whep_server(janus, feed, "ann") as whep:
            room = f"whip+{whip}/whip/endpoint/voice?whep={whep}/whep/endpoint/ann&name=Ann"
            with Bot("join", room, "--consented", "Ann") as bot:
                with Correspondence(wait_for_link(page, bot, "Ann")) as letters:
                    since = now(page)
                    letters.send("say", id="one", text=SENTENCE)
                    wait_for_voice(page, "Ann · voice", since)
                    letters.next("speech", id="one", event="ended")
                assert bot.end() == 0
                page.wait_for_function("room.voices['Ann · voice'].hasEnded()")
        page.evaluate("room.participants.Ann.leave()")
    leave(page, "Host")
