"""Chromium with made-up devices, and the real server to call."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, Playwright, sync_playwright

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
    write_microphone(folder / "speech.wav", SPOKEN)
    return folder


@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as running:
        yield running


@contextmanager
def running_server() -> Iterator[tuple[subprocess.Popen[str], str]]:
    """``rtc-voice serve`` as a person starts it, with its URL."""
    command = [sys.executable, "-m", "rtc_voice", "serve", "--host", "127.0.0.1", "--port", "0"]
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


@pytest.fixture
def screenshot(tmp_path: Path) -> Screenshot:
    """Keeps what a page looks like in ``RTC_VOICE_SCREENSHOTS``, or with the test's files."""
    folder = Path(os.environ.get("RTC_VOICE_SCREENSHOTS", tmp_path))
    folder.mkdir(parents=True, exist_ok=True)

    def keep(page: Page, name: str) -> None:
        page.screenshot(path=folder / f"{name}.png", full_page=True)

    return keep
