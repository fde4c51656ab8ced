"""Nothing heavy runs on the event loop: every callback of a call is timed, in the processor time of its thread."""

import asyncio
import time
from asyncio.events import Handle
from collections.abc import Iterator

import pytest

from rtc_voice.bot import Bot, BotConfig
from rtc_voice.selfcall import call_oneself

pytestmark = pytest.mark.slow

HEAVY_S = 0.04  # 5 ms where it was written, and room for a machine several times slower
# Setting up a call makes keys and certificates and writes SDP: a few heavy callbacks before any sound flows.
SETUP_S = 1.0


@pytest.fixture
def callbacks(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[float, float, str]]]:
    """When each callback ran, the processor time it took (not disturbed by other programs), and its name."""
    seen: list[tuple[float, float, str]] = []
    run = Handle._run

    def timed(self: Handle) -> None:
        name = repr(self)
        started = time.thread_time()
        run(self)
        seen.append((time.perf_counter(), time.thread_time() - started, name))

    monkeypatch.setattr(Handle, "_run", timed)
    yield seen


def test_no_callback_of_a_call_is_heavy(callbacks: list[tuple[float, float, str]]) -> None:
    async def one_call() -> float:
        async with Bot(BotConfig(max_calls=1)) as bot:

            async def open_call(sdp: str, type: str) -> dict[str, str]:
                return dict((await bot.open_call(sdp, type))[1])

            started = time.perf_counter()
            await call_oneself(open_call, text="One.")
            return started

    started = asyncio.run(one_call())
    heavy = [(round(1000 * took, 1), name) for at, took, name in callbacks if took > HEAVY_S and at > started + SETUP_S]
    assert len(callbacks) > 1000
    assert not heavy
