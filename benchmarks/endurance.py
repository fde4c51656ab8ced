"""What many calls, a long bad call and long speaking leave behind: memory, threads and files of the program.

Nothing is timed here, so other programs may run meanwhile.
"""

import asyncio
import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.form import run
from benchmarks.network import lose
from benchmarks.probe import PERIOD_S, echo, opener
from benchmarks.servers import Server, memory_mb, start
from rtc_voice.errors import RtcVoiceError
from rtc_voice.faces.picture import read_picture
from rtc_voice.metrics import Metrics
from rtc_voice.rtc.remote import Caller
from rtc_voice.selfcall import PORTRAIT, SPOKEN, Participant, pan, speech
from rtc_voice.synthesis.chain import load_chain
from rtc_voice.synthesis.engine import Engine
from rtc_voice.timing import MonotonicClock
from rtc_voice.voices.types import Voice

LONG_CALL_S = 600
TALK_S = 0.1  # of the many calls
SETTLED = 3  # memory counts from this part of the work on: what is made once is made, and the heap has its holes


def rows(quick: bool) -> list[dict[str, object]]:
    """Callers who come and go at an echo and at the bot, a call with loss, and an engine that speaks on and on."""
    cycles, seconds = (50, 20) if quick else (500, LONG_CALL_S)
    with (
        multiprocessing.get_context("spawn").Pool(1) as pool,
        start("rtc_voice") as visited,
        start("rtc_voice") as calling,
        start("bot") as bot,
    ):
        ticks = pool.apply_async(_ticks, (1_000 if quick else 30_000,))
        calls = asyncio.run(_together(visited, calling, bot, cycles, seconds))
        return [*calls, ticks.get()]


async def _together(
    visited: Server, calling: Server, bot: Server, cycles: int, seconds: int
) -> list[dict[str, object]]:
    async with asyncio.TaskGroup() as group:
        done = [
            group.create_task(_come_and_go("echo", visited, cycles, _visit)),
            group.create_task(_come_and_go("bot", bot, cycles // 5, _get_voice)),
            group.create_task(_long_call(calling, seconds)),
        ]
    return [task.result() for task in done]


async def _come_and_go(
    what: str, server: Server, cycles: int, call: Callable[[Server], Coroutine[Any, Any, None]]
) -> dict[str, object]:
    """What ``cycles`` calls add to the state after the first third of them, and what that third did."""
    new = await _left_by(server)
    for _ in range(cycles // SETTLED):
        await _admitted(call, server)
    before = await _left_by(server)
    for _ in range(cycles - cycles // SETTLED):
        await _admitted(call, server)
    after = await _left_by(server)
    return {
        "name": f"{what}_{cycles}_calls_come_and_go",
        **{f"grown_{what}": round(after[what] - before[what], 1) for what in after},
        "grown_mb_at_first": round(before["mb"] - new["mb"], 1),
        "memory_mb": round(after["mb"], 1),
        "n": cycles,
    }


async def _admitted(call: Callable[[Server], Coroutine[Any, Any, None]], server: Server) -> None:
    """``call`` as soon as the server takes it: it refuses on a busy machine, and who comes too often."""
    while True:
        try:
            return await call(server)
        except aiohttp.ClientResponseError as error:
            if error.status not in (HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.TOO_MANY_REQUESTS):
                raise
        await asyncio.sleep(1)


async def _visit(server: Server) -> None:
    with suppress(TimeoutError):  # on a machine that is busy otherwise
        async with Caller(opener(server.offer_url), clock=MonotonicClock(), metrics=Metrics()):
            await asyncio.sleep(TALK_S)


async def _get_voice(server: Server) -> None:
    """A call as people make it: consent, a face, a voice, a sentence."""
    clock = MonotonicClock()
    with suppress(RtcVoiceError, TimeoutError):
        async with Caller(
            opener(server.offer_url), clock=clock, metrics=Metrics(), pictures=pan(read_picture(PORTRAIT))
        ) as caller:
            participant = Participant(caller, clock)
            await participant.get_voice()
            await participant.type("Yes.")


async def _left_by(server: Server) -> dict[str, float]:
    """What the program holds once all calls are over."""
    for _ in range(100):
        if not await asyncio.to_thread(server.count, "calls"):
            break
        await asyncio.sleep(0.2)
    await asyncio.sleep(2)  # the last connections' sockets close
    process = Path(f"/proc/{server.pid}")
    threads, files = len(os.listdir(process / "task")), len(os.listdir(process / "fd"))
    return {"mb": server.memory_mb(), "threads": threads, "files": files}


async def _long_call(server: Server, seconds: int) -> dict[str, object]:
    """Memory at the end of a call with 5 % loss, against the memory after a third of it."""
    reading = asyncio.create_task(_memory_after(server, seconds / SETTLED))
    heard = await echo(server.offer_url, int(seconds / PERIOD_S), lose(0.05))
    return {
        "name": f"call_of_{seconds}_s_at_5_percent_loss",
        "grown_mb": round(server.memory_mb() - await reading, 1),
        "memory_mb": round(server.memory_mb(), 1),
        "missed_chirps": heard.missed,
        "n": len(heard.latency_ms),
    }


async def _memory_after(server: Server, seconds: float) -> float:
    await asyncio.sleep(seconds)
    return server.memory_mb()


class _Counted:
    """A sink that always has room and keeps nothing."""

    def __init__(self) -> None:
        self.expecting = self.live = False
        self.chunks = 0

    def push(self, samples: NDArray[np.float32], mark: str | None = None) -> bool:
        """Take a chunk."""
        self.chunks += 1
        return True

    def room(self) -> int:
        """Always."""
        return 1

    def clear(self) -> None:
        """Nothing waits."""


def _ticks(number: int) -> dict[str, object]:
    """An engine's chunks, as fast as they can be made: 30,000 are ten minutes of speech. In a process of its own."""
    torch.set_num_threads(1)
    words, sink = speech(SPOKEN), _Counted()
    voice = Voice(np.full(256, 1 / 16, np.float32), f0_hz=160, f0_range_semitones=2.5, tract=1.0)
    before_mb = blocks = 0.0
    with Engine(load_chain(), slots=1) as engine:
        stream = engine.open(voice, sink)
        for ahead in range(number):
            begin = ahead * engine.chunk_samples % (words.size - engine.chunk_samples)
            stream.hear(words[begin : begin + engine.chunk_samples])
            while sink.chunks <= ahead - 5:
                time.sleep(0.001)
            if ahead == number // SETTLED:
                before_mb, blocks = memory_mb("self"), sys.getallocatedblocks()
        grown_mb, grown_blocks = memory_mb("self") - before_mb, sys.getallocatedblocks() - blocks
    return {
        "name": f"{number}_ticks_of_the_engine",
        "grown_mb": round(grown_mb, 1),
        "grown_blocks": int(grown_blocks),
        "memory_mb": round(before_mb, 1),
        "n": number,
    }


if __name__ == "__main__":
    run("Endurance: what calls and speech leave behind", rows)
