"""Chromium with made-up devices, and the real server to call."""

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urljoin

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import BrowserContext, Page, Playwright, sync_playwright

from rtc_voice.speech.audio_file import write_wav
from rtc_voice.speech.text import SAMPLE_RATE
from tests.demo.devices import write_camera, write_microphone

CHROMIUM = Path("/usr/bin/chromium")
ROOT = Path(__file__).parents[2]
PORTRAITS = ROOT / "rtc_voice/assets/portraits"
FLAGS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-device-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
    "--disable-features=WebRtcHideLocalIpsWithMdns",
    "--allow-loopback-in-peer-connection",
]
SPOKEN = "The weather is mild today, and we are walking along the river to the old mill."

OpenPage = Callable[..., Page]
Screenshot = Callable[[Page, str], None]


@pytest.fixture(scope="module")
def cameras(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the fake devices' files."""
    folder = tmp_path_factory.mktemp("devices")
    for name in ("astronaut", "coffee"):
        write_camera(folder / f"{name}.y4m", PORTRAITS / f"{name}.jpg")
    write_camera(folder / "two.y4m", PORTRAITS / "astronaut.jpg", count=2)
    write_microphone(folder / "speech.wav", SPOKEN)
    write_microphone(folder / "deep.wav", SPOKEN, slower=1.4)
    write_microphone(folder / "short.wav", "Too short.")
    write_wav(folder / "silent.wav", np.zeros(6 * SAMPLE_RATE, np.float32), SAMPLE_RATE)
    (folder / "letter.wav").write_text("This is no sound.")
    return folder


@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as running:
        yield running


@contextmanager
def running_server(*options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """``rtc-voice serve`` as a person starts it, with its URL."""
    command = [sys.executable, "-m", "rtc_voice", "serve", "--host", "127.0.0.1", "--port", "0", *options]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            url = server.stdout.readline().strip()
            assert url.startswith("http://127.0.0.1:"), f"the server's first line was {url!r}"
            yield server, url
        finally:
            server.kill()


@pytest.fixture(scope="module")
def server_url() -> Iterator[str]:
    with running_server() as (_, url):
        yield url


@pytest.fixture
def open_page(playwright: Playwright, cameras: Path, tmp_path: Path) -> Iterator[OpenPage]:
    """Opens a page in a browser of its own whose camera shows the named portrait."""
    contexts: list[BrowserContext] = []

    def open_one(url: str, portrait: str = "astronaut", is_allowed: bool = True) -> Page:
        flags = [
            *FLAGS,
            f"--use-file-for-fake-video-capture={cameras / portrait}.y4m",
            f"--use-file-for-fake-audio-capture={cameras / 'speech.wav'}",
            *(["--use-fake-ui-for-media-stream"] if is_allowed else []),
        ]
        wait_until_idle(url)
        context = playwright.chromium.launch_persistent_context(
            tmp_path / f"profile{len(contexts)}",
            executable_path=CHROMIUM,
            headless=True,
            args=flags,
            ignore_default_args=["--mute-audio", "--headless", "--headless=old"],
            viewport={"width": 1200, "height": 900},
        )
        contexts.append(context)
        page = context.pages[0]
        page.goto(url)
        return page

    yield open_one
    for context in contexts:
        context.close()


def wait_until_idle(url: str) -> None:
    """Returns when the server has noticed that earlier pages are gone: a busy one refuses a second call."""
    deadline = time.monotonic() + 40
    while True:
        with urllib.request.urlopen(urljoin(url, "/health")) as reply:
            if json.load(reply)["calls"] == 0:
                return
        assert time.monotonic() < deadline, "an earlier call stands for ever"
        time.sleep(0.05)


@pytest.fixture
def screenshot() -> Screenshot:
    """Keeps what a page looks like, by day and by night, and has axe-core look for what keeps people out."""
    folder = Path(os.environ.get("RTC_VOICE_SCREENSHOTS", ROOT / "build/screenshots"))
    folder.mkdir(parents=True, exist_ok=True)

    def keep(page: Page, name: str) -> None:
        for scheme in ("dark", "light"):
            page.emulate_media(color_scheme=scheme)
            page.screenshot(path=folder / f"{name}{'-dark' if scheme == 'dark' else ''}.png", full_page=True)
            assert barriers(page) == [], f"{name}, {scheme}"

    return keep


def barriers(page: Page) -> list[str]:
    """What axe-core finds serious or critical in the page as it is now."""
    found = Axe().run(page).response["violations"]
    serious = [violation for violation in found if violation["impact"] in ("serious", "critical")]
    return [f"{one['id']}: {json.dumps([node['html'] for node in one['nodes']])}" for one in serious]
