"""A caller of the echo bot hears themselves, undistorted, and the bot keeps nothing of those who left."""

import asyncio
import gc
import os
import subprocess
import sys
import threading
from functools import partial

import aioice.ice
import numpy as np
import pytest

from rtc_voice.echo import Echo
from rtc_voice.errors import CapacityError
from rtc_voice.metrics import Metrics
from rtc_voice.rtc.protocol import Hello
from rtc_voice.rtc.remote import Caller
from rtc_voice.timing import MonotonicClock
from tests.waiting import until


@pytest.fixture(autouse=True)
def loopback_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aioice.ice, "get_host_addresses", lambda use_ipv4, use_ipv6: ["127.0.0.1"])


def caller(echo: Echo) -> Caller:
    async def open_call(sdp: str, type: str) -> dict[str, str]:
        return dict((await echo.open_call(sdp, type))[1])

    return Caller(open_call, clock=MonotonicClock(), metrics=Metrics())


def test_an_echo_loads_no_network() -> None:
    code = "import sys, rtc_voice.echo, rtc_voice.cli; print([n for n in ('torch', 'mediapipe') if n in sys.modules])"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"


async def test_a_caller_hears_themselves() -> None:
    tone = (0.5 * np.sin(2 * np.pi * 700 * np.arange(24_000) / 24_000)).astype(np.float32)
    async with Echo(max_calls=1) as echo, caller(echo) as one:
        one.say(tone)
        await until(lambda: np.abs(one.recording()).max(initial=0) > 0.3 and not one.microphone.waiting_samples)
        loud = one.recording()
        loud = loud[np.argmax(np.abs(loud) > 0.3) :][:9_600]
        one.send(Hello("me"))
        assert (await one.message("error"))["message"] == "this bot is an echo"
    assert np.argmax(np.abs(np.fft.rfft(loud * np.hanning(loud.size)))) * 24_000 / loud.size == pytest.approx(
        700, abs=3
    )


async def test_a_caller_too_many_is_refused() -> None:
    async with Echo(max_calls=1) as echo, caller(echo):
        with pytest.raises(CapacityError):
            async with caller(echo):
                pass


@pytest.mark.slow
async def test_calls_come_and_go_and_nothing_of_them_stays() -> None:
    async with Echo(max_calls=2) as echo:
        async with caller(echo):  # what is made once and kept: executor threads, caches
            pass
        await until(lambda: not echo.calls)
        tasks, threads = asyncio.all_tasks(), threading.active_count()
        files = len(os.listdir("/proc/self/fd"))
        for hang_up_first in (True, False) * 5:
            async with caller(echo) as one:
                await until(partial(len, one.heard))
                if hang_up_first:
                    await echo.close_call(next(iter(echo.calls)))
            await until(lambda: not echo.calls and not asyncio.all_tasks() - tasks)
        gc.collect()
        assert threading.active_count() <= threads
        assert len(os.listdir("/proc/self/fd")) <= files
