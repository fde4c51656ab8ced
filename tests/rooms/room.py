"""A Janus room with Chromium in it, and the bot as a person starts it: what the tests and the benchmark share."""

import asyncio
import functools
import http.server
import os
import queue
import shutil
import subprocess
import sys
import threading
from collections.abc import Coroutine, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import aiohttp
from playwright.sync_api import Page, sync_playwright

from tests.demo.conftest import CHROMIUM, FLAGS, PORTRAITS, ROOT
from tests.demo.devices import write_microphone
from tests.rooms.servers import HERE, ROOM, WHIP, JanusServer

PATIENCE_S = 120.0  # for a busy machine; nothing here takes more than seconds on an idle one
SPOKEN = "The weather is mild today, and we are walking along the river to the old mill."
PORTRAIT, SPEECH = "astronaut.jpg", "speech.wav"  # beside the page
# Three faces of one portrait with a free licence: there is no second one.
SHAPES: dict[str, dict[str, object]] = {
    "Ann": {},
    "Ben": {"wide": 0.8, "mirrored": True, "filter": "saturate(0.4)"},
    "Cem": {"wide": 1.15, "filter": "sepia(0.6)"},
}

Message = dict[str, Any]


@contextmanager
def room_page(folder: Path) -> Iterator[Page]:
    """A browser whose page can take part in rooms, as several people; ``folder`` takes its files."""
    site = folder / "site"
    shutil.copytree(HERE / "page", site)
    shutil.copy(PORTRAITS / PORTRAIT, site)
    write_microphone(site / SPEECH, SPOKEN)
    for client in (WHIP / "node_modules/whip-whep").glob("wh[ie]p.js"):
        shutil.copy(client, site)
    with _served(site) as url, sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            folder / "profile",
            executable_path=CHROMIUM,
            headless=True,
            args=[*FLAGS, "--ignore-certificate-errors"],  # they are vouched for by nobody
            ignore_default_args=["--mute-audio", "--headless", "--headless=old"],
            viewport={"width": 1100, "height": 720},
        )
        page = context.pages[0]
        if os.environ.get("RTC_VOICE_VERBOSE"):
            page.on("console", lambda message: print(message.text))  # noqa: T201
        page.set_default_timeout(1000 * PATIENCE_S)
        page.goto(f"{url}/room.html")
        yield page
        context.close()


@contextmanager
def _served(folder: Path) -> Iterator[str]:
    serve = functools.partial(_Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), serve) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""


class Bot:
    """``rtc-voice`` as a person starts it; entered, it is there and has said so on its first line."""

    def __init__(self, *words: str, environment: Mapping[str, str] | None = None) -> None:
        self._command = [sys.executable, "-m", "rtc_voice", *words]
        self._environment = {**os.environ, **(environment or {})}
        self.links: dict[str, str] = {}  # of the participants' own pages, by name
        self.said = ""  # the first line
        self._lines: queue.Queue[str] = queue.Queue()

    def __enter__(self) -> Self:
        self.process = subprocess.Popen(
            self._command, cwd=ROOT, stdout=subprocess.PIPE, text=True, env=self._environment
        )
        threading.Thread(target=self._read, daemon=True).start()
        while not self.said:
            self.said = self._lines.get(timeout=PATIENCE_S)
        return self

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            name, _, link = line.strip().partition("\t")
            if link:
                self.links[name] = link
            else:
                self._lines.put(name)

    def end(self) -> int:
        """Ask it to go, as a service manager does; its exit code."""
        self.process.terminate()
        return self.process.wait(PATIENCE_S)

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()


class Correspondence:
    """The messages behind a participant's link, as their own page gets and sends them."""

    def __init__(self, link: str, token: str | None = None) -> None:
        self._address = urlsplit(link)._replace(query="").geturl() + "/messages"
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._got: queue.Queue[Message | None] = queue.Queue()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._session: aiohttp.ClientSession
        self._socket: aiohttp.ClientWebSocketResponse
        self._reading: Future[None]

    def __enter__(self) -> Self:
        self._thread.start()
        self._do(self._open())
        self._reading = asyncio.run_coroutine_threadsafe(self._read(), self._loop)
        return self

    def __exit__(self, *_: object) -> None:
        self._do(self._socket.close())
        self._reading.result(PATIENCE_S)
        self._do(self._session.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _do(self, work: Coroutine[object, object, object]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE_S)

    async def _open(self) -> None:
        self._session = aiohttp.ClientSession(headers=self._headers)
        self._socket = await self._session.ws_connect(self._address, ssl=False)

    async def _read(self) -> None:
        async for message in self._socket:
            self._got.put(message.json())
        self._got.put(None)

    def send(self, type: str, **fields: object) -> None:
        """Send a message of the protocol."""
        body = {"v": 1, "type": type, **fields}
        self._do(self._socket.send_json(body))

    def next(self, type: str, **fields: object) -> Message:
        """The next message of a type, with these fields; those before it are dropped."""
        while (message := self._got.get(timeout=PATIENCE_S)) is not None:
            if message["type"] == type and fields.items() <= message.items():
                return message
        raise EOFError(f"no more messages, and no {type}")

    def rest(self) -> list[Message]:
        """All that comes until the bot closes the connection."""
        return list(iter(functools.partial(self._got.get, timeout=PATIENCE_S), None))


def enter(page: Page, janus: JanusServer, name: str, **options: object) -> None:
    """Let a participant join and publish."""
    shape = SHAPES.get(name, {})
    given = {"url": janus.url, "room": ROOM, "name": name, "portrait": PORTRAIT, "shape": shape, **options}
    page.evaluate("(options) => room.join(options)", given)


def leave(page: Page, *names: str) -> None:
    """Let participants go, as closing their pages does."""
    page.evaluate("(names) => names.forEach((name) => room.participants[name].leave())", list(names))


def write(page: Page, name: str, text: str) -> float:
    """Let a participant write in the chat; the moment on the page's clock in ms."""
    return float(page.evaluate("([name, text]) => room.participants[name].chat(text)", [name, text]))


def wait_for_text(page: Page, part: str) -> None:
    """Return when somebody has written something with ``part`` in it."""
    page.wait_for_function("(part) => room.texts.some(({ text }) => text.includes(part))", arg=part)


def wait_for_voice(page: Page, voice: str, since_ms: float) -> float:
    """The moment after ``since_ms`` at which the page hears ``voice``, named as in the room."""
    script = "([voice, since]) => room.voices[voice]?.onset(since)"
    return float(page.wait_for_function(script, arg=[voice, since_ms], polling=50).json_value())


def now(page: Page) -> float:
    """The page's clock in ms."""
    return float(page.evaluate("performance.now()"))


def keep_picture(page: Page, name: str) -> None:
    """Keep what the page looks like in ``RTC_VOICE_SCREENSHOTS``, if that names a folder."""
    if folder := os.environ.get("RTC_VOICE_SCREENSHOTS"):
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)
