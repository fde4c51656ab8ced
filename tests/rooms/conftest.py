"""A Janus room with Chromium in it, and the bot as a person starts it."""

import functools
import http.server
import os
import queue
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, sync_playwright

from tests.demo.conftest import CHROMIUM, FLAGS, PORTRAITS, ROOT
from tests.demo.devices import write_microphone
from tests.rooms.servers import HERE, ROOM, JanusServer

PATIENCE_MS = 120_000  # for a busy machine; nothing here takes more than seconds on an idle one
SPOKEN = "The weather is mild today, and we are walking along the river to the old mill."
# Two faces of one portrait with a free licence: there is no second one.
SHAPES: dict[str, dict[str, object]] = {
    "Ann": {},
    "Ben": {"wide": 0.8, "mirrored": True, "filter": "saturate(0.4)"},
}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where the participants' page is, with what they show and say."""
    folder = tmp_path_factory.mktemp("site")
    shutil.copytree(HERE / "page", folder, dirs_exist_ok=True)
    shutil.copy(PORTRAITS / "astronaut.jpg", folder)
    write_microphone(folder / "speech.wav", SPOKEN)
    serve = functools.partial(_Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), serve) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/room.html"
        server.shutdown()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def page(site: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """A browser whose page can take part in the room, as several people."""
    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            tmp_path_factory.mktemp("profile"),
            executable_path=CHROMIUM,
            headless=True,
            args=FLAGS,
            ignore_default_args=["--mute-audio", "--headless", "--headless=old"],
            viewport={"width": 1100, "height": 720},
        )
        page = context.pages[0]
        if os.environ.get("RTC_VOICE_VERBOSE"):
            page.on("console", lambda message: print(message.text))  # noqa: T201
        page.set_default_timeout(PATIENCE_MS)
        page.goto(site)
        yield page
        context.close()


class Bot:
    """``rtc-voice join`` as a person starts it; entered, it is in the room."""

    def __init__(self, address: str, *words: str) -> None:
        self._command = [sys.executable, "-m", "rtc_voice", "join", address, *words]
        self.links: dict[str, str] = {}
        self._lines: queue.Queue[str] = queue.Queue()

    def __enter__(self) -> "Bot":
        self.process = subprocess.Popen(self._command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        threading.Thread(target=self._read, daemon=True).start()
        while not self._lines.get(timeout=PATIENCE_MS / 1000).startswith("joined "):
            pass
        return self

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            name, _, link = line.strip().partition("\t")
            if link:
                self.links[name] = link
            self._lines.put(line)

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()


def enter(page: Page, janus: JanusServer, name: str, **options: object) -> None:
    """Let a participant join and publish."""
    shape = SHAPES.get(name, {})
    given = {"url": janus.url, "room": ROOM, "name": name, "portrait": "astronaut.jpg", "shape": shape, **options}
    page.evaluate("(options) => room.join(options)", given)


def write(page: Page, name: str, text: str) -> float:
    """Let a participant write in the chat; the moment on the page's clock in ms."""
    return float(page.evaluate("([name, text]) => room.participants[name].chat(text)", [name, text]))


def wait_for_text(page: Page, part: str) -> None:
    """Return when somebody has written something with ``part`` in it."""
    page.wait_for_function("(part) => room.texts.some(({ text }) => text.includes(part))", arg=part)


def wait_for_voice(page: Page, name: str, since_ms: float) -> float:
    """The moment after ``since_ms`` at which the page hears ``name``'s voice."""
    script = "([name, since]) => room.voices[name]?.onset(since)"
    return float(page.wait_for_function(script, arg=[f"{name} · voice", since_ms], polling=50).json_value())
