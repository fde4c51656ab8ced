"""Many voices at once: people who join and leave at random, one too many, and whether the network's loop is held up.

Everything is as in a call but for the network: speech comes in packets of 20 ms, each at its time, goes through the
engine, and leaves as paced Opus packets.
"""

import asyncio
import multiprocessing
import time
from collections import Counter
from contextlib import suppress

import numpy as np
import torch
from aiortc.mediastreams import MediaStreamError
from numpy.typing import NDArray

from benchmarks.form import run
from rtc_voice.config import AUDIO
from rtc_voice.errors import CapacityError
from rtc_voice.metrics import Metrics, summarize
from rtc_voice.rtc.playout import ChunkQueue
from rtc_voice.rtc.tracks import OpusTrack, SpeechTrack
from rtc_voice.selfcall import SPOKEN, speech
from rtc_voice.synthesis.chain import load_chain
from rtc_voice.synthesis.engine import Engine
from rtc_voice.synthesis.speed import FULL_SHARE, voices_that_fit
from rtc_voice.timing import MonotonicClock
from rtc_voice.voices.types import Voice

Samples = NDArray[np.float32]

PEOPLE = 10
TALK_S, PAUSE_S = (2.0, 10.0), (0.2, 2.0)  # at random
PACKET_S = 0.02
MOST_VOICES = 64
SPACING = "frame_spacing_error_ms"


def rows(quick: bool) -> list[dict[str, object]]:
    """What this machine admits, then people at half of it and at more than all of it, then the loop's pacing."""
    fit = voices_that_fit(load_chain(), MOST_VOICES)
    words = speech(SPOKEN)
    half_s, more_s, pacing_s = (20, 10, 5) if quick else (300, 60, 30)
    crowd = max(PEOPLE, fit + 4)
    return [
        {"name": "admitted", "voices": fit, "share_of_a_chunk": FULL_SHARE},
        {"name": "half_of_the_admitted", **_come_and_go(words, fit, PEOPLE, at_once=max(fit // 2, 1), seconds=half_s)},
        {"name": "more_than_the_admitted", **_come_and_go(words, fit, crowd, at_once=crowd, seconds=more_s)},
        *(_pacing(where, words, fit, pacing_s) for where in ("nowhere", "in_a_thread", "in_a_process")),
    ]


class _Person:
    """Somebody whose speech is converted live."""

    def __init__(self, engine: Engine, seed: int) -> None:
        self.metrics = Metrics()
        clock = MonotonicClock()
        self._clock = clock
        queue = ChunkQueue(AUDIO.sample_rate, 10, self.metrics, clock)
        self._track = OpusTrack(SpeechTrack(queue, clock, self.metrics))
        embedding = np.random.default_rng(seed).standard_normal(256).astype(np.float32)
        voice = Voice(embedding / np.linalg.norm(embedding), 100.0 + 20 * seed, 2.5, 1.0)
        self._stream = engine.open(voice, queue, self.metrics)  # CapacityError: one too many

    async def talk(self, words: Samples, seconds: float) -> None:
        """Speak for so long, be heard, and leave."""
        listening = asyncio.create_task(self._listen())
        size = int(PACKET_S * AUDIO.sample_rate)
        began_s = self._clock.now()
        for number in range(int(seconds / PACKET_S)):
            await self._clock.sleep_until(began_s + number * PACKET_S)
            begin = number * size % (words.size - size)
            self._stream.hear(words[begin : begin + size])
        self._stream.stop_hearing()
        self._stream.close()
        self._track.stop()
        await listening

    async def _listen(self) -> None:
        with suppress(MediaStreamError):
            while True:
                await self._track.recv()


def _come_and_go(words: Samples, fit: int, people: int, *, at_once: int, seconds: float) -> dict[str, object]:
    """``people`` who join and leave an engine for ``fit`` voices, of whom at most ``at_once`` try at a time."""
    total: Counter[str] = Counter()

    async def live(engine: Engine, places: asyncio.Semaphore, seed: int) -> None:
        rng = np.random.default_rng(seed)
        while time.perf_counter() < ends_s:
            await asyncio.sleep(float(rng.uniform(*PAUSE_S)))
            async with places:
                try:
                    person = _Person(engine, seed)
                except CapacityError:
                    total["refusals"] += 1
                    continue
                total["joined"] += 1
                await person.talk(words, float(rng.uniform(*TALK_S)))
            total.update(person.metrics.counters)
            total["chunks"] += len(person.metrics.times["chunk_ms"])

    async def all_live(engine: Engine) -> None:
        places = asyncio.Semaphore(at_once)
        await asyncio.gather(*(live(engine, places, seed) for seed in range(people)))

    with Engine(load_chain(), slots=fit) as engine:
        ends_s = time.perf_counter() + seconds
        asyncio.run(all_live(engine))
        ticks = engine.metrics.times["tick_ms"].summary(1)
    return {
        "voices": min(at_once, fit),
        "joined": total["joined"],
        "refusals": total["refusals"],
        "late_chunks": total["late_chunks"],
        "dropped_chunks": total["dropped_live_chunks"] + total["refused_chunks"],
        **{f"tick_{key}_ms": ticks[key] for key in ("p50", "p95", "p99", "max")},
        "n": total["chunks"],
    }


def _pacing(where: str, words: Samples, fit: int, seconds: float) -> dict[str, object]:
    """How evenly the packets of ``fit`` tracks leave while an engine is busy for as many voices, here or elsewhere."""
    if where == "in_a_thread":
        errors = _talk_all(words, fit, seconds)
    else:
        work = multiprocessing.get_context("spawn").Process(target=_talk_all, args=(words, fit, seconds + 10))
        if where == "in_a_process":
            work.start()
            time.sleep(8)  # it has loaded and speaks
        errors = asyncio.run(_send_all(fit, seconds))
        if where == "in_a_process":
            work.terminate()
            work.join()
    figures = summarize(errors, 2)
    return {
        "name": f"pacing_with_the_engine_{where}",
        "voices": 0 if where == "nowhere" else fit,
        **{f"spacing_error_{key}_ms": figures[key] for key in ("p50", "p95", "p99", "max")},
        "n": figures["n"],
    }


def _talk_all(words: Samples, fit: int, seconds: float) -> list[float]:
    """``fit`` people who talk all the time, each a little later than the one before; errors in ms."""

    async def talk(engine: Engine) -> list[_Person]:
        people = [_Person(engine, seed) for seed in range(fit)]

        async def one(person: _Person, begin_s: float) -> None:
            await asyncio.sleep(begin_s)
            await person.talk(words, seconds)

        await asyncio.gather(*(one(person, PACKET_S * n / fit) for n, person in enumerate(people)))
        return people

    torch.set_num_threads(1)
    with Engine(load_chain(), slots=fit) as engine:
        people = asyncio.run(talk(engine))
    return [error for person in people for error in person.metrics.times[SPACING].values]


async def _send_all(count: int, seconds: float) -> list[float]:
    """``count`` tracks that send silence; errors in ms."""
    metrics, clock = Metrics(), MonotonicClock()
    ends_s = clock.now() + seconds

    async def send(begin_s: float) -> None:
        track = OpusTrack(SpeechTrack(ChunkQueue(AUDIO.sample_rate, 10, metrics, clock), clock, metrics))
        await asyncio.sleep(begin_s)
        while clock.now() < ends_s:
            await track.recv()

    await asyncio.gather(*(send(PACKET_S * n / count) for n in range(count)))
    return metrics.times[SPACING].values


if __name__ == "__main__":
    run("Voices: many at once, and what they do to the network's loop", rows)
