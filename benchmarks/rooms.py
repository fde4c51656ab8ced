"""The bot in a room of Janus, as its participants in Chromium hear it: how late, how whole, and how soon after a crash.

Janus, Chromium with everybody in the room, and the bot share this machine. All moments are the page's: a text is sent,
and speech leaves a microphone, where Chromium's audio graph is; a voice is heard where it comes into that graph. Both
are recorded there on one clock, and their loudness tells how late converted speech is, as in ``benchmarks.latency``.
"""

import asyncio
import base64
import json
import shutil
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import AsyncExitStack, ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray
from playwright.sync_api import Page
from scipy.signal import resample_poly

from benchmarks.form import run, times_row
from rtc_voice.config import AUDIO
from rtc_voice.errors import MissingPartError
from rtc_voice.selfcall import delay_s, speech
from tests.demo.conftest import CHROMIUM
from tests.rooms.people import Person
from tests.rooms.room import SPEECH, SPOKEN, Bot, Correspondence, enter, leave, now, room_page, wait_for_voice, write
from tests.rooms.servers import ROOM, JanusServer

TEXT = "Can you hear me?"
LONG = "One and two and three and four and five and six and seven and eight and nine and ten. " * 3
NAMES = ("Ann", "Ben", "Cem")
NOTES = (
    "three_…: late are the 20 ms that should have been heard and were not there in time. …_no_browser: the same three, "
    "played by code; Chromium with four people in it takes nearly one of the two processors, which in a real call are "
    "other people's.",
    "unclear: passages of converted speech of which no delay, or more than one, could be told.",
)
DOWN_S = (0.0, 3.0, 6.0)  # how long Janus is gone
QUIET_MS = 400.0  # without sound: the sentence has ended
TAIL_MS = 700.0  # after somebody has spoken: by then their converted speech has been heard

Row = dict[str, object]
Samples = NDArray[np.float32]


def rows(quick: bool) -> list[Row]:
    """Text and conversion, three at once, and what happens when Janus or the bot is ended."""
    for part in (CHROMIUM, "janus", "cc"):
        if shutil.which(part) is None:
            raise MissingPartError(f"{part} is not installed", "make test installs what this needs")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        janus = JanusServer(folder)
        janus.start()
        stack.callback(janus.kill)
        words = ("join", f"janus+{janus.url}?room={ROOM}&name=Voice", "--max-voices", "4", *_consented())
        with Bot(*words) as bot:
            of_code = asyncio.run(_three_of_code(janus, bot, quick))
        page = stack.enter_context(room_page(folder))
        bot = stack.enter_context(Bot(*words))
        enter(page, janus, "Host", hears=True)
        measured = [*_alone(page, janus, bot, quick), *_three(page, janus, bot, quick)]
        leave(page, "Ben", "Cem")
        return [
            *measured,
            *of_code,
            *(_crash(page, janus, bot, down_s) for down_s in (DOWN_S[:1] if quick else DOWN_S)),
            _signal(page, bot),
        ]


def _consented() -> list[str]:
    return [word for name in NAMES for word in ("--consented", name)]


def _alone(page: Page, janus: JanusServer, bot: Bot, quick: bool) -> list[Row]:
    """One participant types and speaks."""
    _come(page, janus, bot, "Ann")
    text_ms = []
    for _ in range(5 if quick else 30):
        sent_ms = write(page, "Ann", TEXT)
        text_ms.append(wait_for_voice(page, "Ann · voice", sent_ms) - sent_ms)
        _wait_for_quiet(page, "Ann")
    conversion_ms = []
    with _live(bot, "Ann"):
        for _ in range(2 if quick else 10):
            with _recorded(page, "Ann · microphone", "Ann · voice") as recorded:
                page.evaluate("([names, wav]) => room.speak(names, wav)", [["Ann"], SPEECH])
                page.wait_for_timeout(TAIL_MS)
            conversion_ms.append(1000 * delay_s(*recorded))
    converted = times_row("conversion_in_room", conversion_ms)
    # Unclear where the delay moved, or much was missing.
    return [times_row("text_in_room", text_ms), {**converted, "unclear": converted.get("unclear", 0)}]


def _three(page: Page, janus: JanusServer, bot: Bot, quick: bool) -> list[Row]:
    """Three participants at once: how many of the chunks that should have been heard came too late."""
    for name in NAMES[1:]:
        _come(page, janus, bot, name)
    late, since_ms = _late(bot), now(page)
    for name in NAMES:
        write(page, name, TEXT if quick else LONG)
    for name in NAMES:
        wait_for_voice(page, f"{name} · voice", since_ms)
        _wait_for_quiet(page, name)
    typed_s = sum(_length_s(page, name, since_ms) for name in NAMES)
    typed = _share("three_typing", _late(bot) - late, typed_s)
    with ExitStack() as stack:
        for name in NAMES:
            stack.enter_context(_live(bot, name))
        page.wait_for_timeout(1000)
        late, since_ms = _late(bot), now(page)
        for _ in range(1 if quick else 6):
            page.evaluate("([names, wav]) => room.speak(names, wav)", [NAMES, SPEECH])
        live = _share("three_speaking", _late(bot) - late, len(NAMES) * (now(page) - since_ms) / 1000)
    return [typed, live]


async def _three_of_code(janus: JanusServer, bot: Bot, quick: bool) -> list[Row]:
    """The same without a browser, which takes nearly half of two processors: that is no part of the bot."""
    words, turns = speech(SPOKEN), 1 if quick else 6
    async with AsyncExitStack() as stack:
        people = [await stack.enter_async_context(Person(janus, name)) for name in NAMES]
        for name in NAMES:
            await asyncio.to_thread(_wait_for_voice, bot, name)
        late, letters = _late(bot), [stack.enter_context(Correspondence(bot.links[name])) for name in NAMES]
        for person in people:
            person.write(TEXT if quick else LONG)
        said_s = await asyncio.gather(*(asyncio.to_thread(_said_s, one) for one in letters))
        typed = _share("three_typing_no_browser", _late(bot) - late, sum(said_s))
        for person in people:
            person.write("voice live")
        await asyncio.sleep(1)
        late = _late(bot)
        for _ in range(turns):
            for person in people:
                person.queue.push(words)
            await asyncio.sleep(words.size / AUDIO.sample_rate)
        spoken_s = len(people) * turns * words.size / AUDIO.sample_rate
        return [typed, _share("three_speaking_no_browser", _late(bot) - late, spoken_s)]


def _wait_for_voice(bot: Bot, name: str) -> None:
    while name not in bot.links or not _voice(bot, name).get("frozen"):
        time.sleep(0.1)


def _said_s(letters: Correspondence) -> float:
    """How long the next text takes to be said."""
    letters.next("speech", event="started")
    since_s = time.monotonic()
    letters.next("speech", event="ended")
    return time.monotonic() - since_s


def _crash(page: Page, janus: JanusServer, bot: Bot, down_s: float) -> Row:
    """Janus is killed and starts again; participants come back at once and write until they are heard."""
    before = _voice(bot, "Ann")
    janus.kill()
    leave(page, "Host", "Ann")
    page.evaluate("room.voices = {}")
    time.sleep(down_s)
    janus.start()
    started_ms = now(page)
    enter(page, janus, "Host", hears=True)
    enter(page, janus, "Ann")
    heard_ms = None
    while heard_ms is None:  # what is written before the bot reads the chat is lost, as it is for everybody
        write(page, "Ann", TEXT)
        page.wait_for_timeout(250)
        heard_ms = page.evaluate("(since) => room.voices['Ann · voice']?.onset(since) ?? null", started_ms)
    is_same = _voice(bot, "Ann") == before
    with Correspondence(bot.links["Ann"]) as letters:
        letters.send("cancel")
    _wait_for_quiet(page, "Ann")
    return {"name": f"back_after_{down_s:.0f}_s", "heard_s": (heard_ms - started_ms) / 1000, "same_voice": is_same}


def _signal(page: Page, bot: Bot) -> Row:
    """SIGTERM while a sentence is being said and others wait."""
    with Correspondence(bot.links["Ann"]) as letters:
        for number in range(3):
            letters.send("say", id=f"last-{number}", text=TEXT)
        letters.next("speech", id="last-0", event="started")
        asked_s = time.monotonic()
        code = bot.end()
        took_s = time.monotonic() - asked_s
        has_ended = any(m["type"] == "speech" and m["event"] == "ended" for m in letters.rest())
    return {"name": "sigterm", "ended_s": took_s, "sentence_ended": has_ended, "exit_code": code}


def _come(page: Page, janus: JanusServer, bot: Bot, name: str) -> None:
    """Enter, and wait for the voice to be frozen."""
    enter(page, janus, name)
    while name not in bot.links:
        page.wait_for_timeout(20)
    while not _voice(bot, name).get("frozen"):
        page.wait_for_timeout(100)


def _voice(bot: Bot, name: str) -> dict[str, object]:
    with Correspondence(bot.links[name]) as letters:
        return letters.next("state")["voice"] or {}


@contextmanager
def _live(bot: Bot, name: str) -> Iterator[None]:
    """What the participant says is converted while inside."""
    for mode in ("convert", "text"):
        with Correspondence(bot.links[name]) as letters:
            letters.send("mode", mode=mode)
            letters.next("state", mode=mode)
        if mode == "convert":
            yield


def _late(bot: Bot) -> int:
    """The bot's count of chunks that were not there when they should have been played."""
    url = urlsplit(next(iter(bot.links.values())))
    with urllib.request.urlopen(f"{url.scheme}://{url.netloc}/health", timeout=10) as reply:
        return int(json.load(reply).get("late_chunks", 0))


def _share(name: str, late: int, spoken_s: float) -> Row:
    chunks = round(1000 * spoken_s / AUDIO.chunk_ms)
    return {"name": name, "late_chunks_percent": 100 * late / chunks, "late_chunks": late, "n": chunks}


def _wait_for_quiet(page: Page, name: str) -> None:
    script = "([name, ms]) => room.voices[name].isQuiet(ms)"
    page.wait_for_function(script, arg=[f"{name} · voice", QUIET_MS], polling=50)


def _length_s(page: Page, name: str, since_ms: float) -> float:
    """From the first to the last sound of a voice."""
    heard = np.array([entry for entry in _levels(page, f"{name} · voice") if entry[0] > since_ms])
    loud = heard[heard[:, 1] > 0.01, 0]
    return float(loud[-1] - loud[0]) / 1000


@contextmanager
def _recorded(page: Page, *names: str) -> Iterator[list[Samples]]:
    """What voices and microphones sound like while inside, ``[T]`` at 24 kHz each, on one clock; filled on leaving."""
    heard: list[Samples] = []
    page.evaluate("(names) => room.record(names)", list(names))
    yield heard
    found = page.evaluate("room.recorded()")
    for voice in found["voices"]:
        samples = np.frombuffer(base64.b64decode(voice), "<i2") / np.float32(32768)
        heard.append(resample_poly(samples, AUDIO.sample_rate, int(found["rate"])).astype(np.float32))


def _levels(page: Page, name: str) -> list[list[float]]:
    found: list[list[float]] = page.evaluate("(name) => room.voices[name].heard", name)
    return found


if __name__ == "__main__":
    run("Rooms: the bot in a room of Janus, as Chromium hears it", rows, notes=NOTES)
