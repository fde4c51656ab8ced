"""A bad network, made where the packets leave: loss, jitter and reordering of the audio alone."""

import asyncio
from collections.abc import Callable

import numpy as np
from aiortc import RTCIceTransport

Fate = Callable[[int], float | None]
"""What becomes of the ``n``-th audio packet: seconds of delay, or None for lost."""


def clean(n: int) -> float | None:
    """Nothing happens to it."""
    return 0.0


def lose(share: float, seed: int = 7) -> Fate:
    """Random loss of ``share`` of the packets."""
    rng = np.random.default_rng(seed)
    return lambda n: None if rng.random() < share else 0.0


def lose_one(number: int) -> Fate:
    """The packet ``number`` is lost, and no other."""
    return lambda n: None if n == number else 0.0


def shake(jitter_s: float, reordered: float, seed: int = 7) -> Fate:
    """Uniform jitter; ``reordered`` of the packets are overtaken by the one behind them."""
    rng = np.random.default_rng(seed)
    return lambda n: float(rng.uniform(0, jitter_s)) + (0.025 if rng.random() < reordered else 0.0)


class Impaired:
    """Sends the audio of one connection as ``fate`` says; counts what it let through."""

    def __init__(self, transport: RTCIceTransport, fate: Fate) -> None:
        self.sent = 0
        self._number = 0
        self._fate = fate
        self._send = transport._send
        self._loop = asyncio.get_running_loop()
        self._waiting: set[asyncio.Task[None]] = set()
        transport._send = self._pass_on

    async def _pass_on(self, data: bytes) -> None:
        is_media = 127 < data[0] < 192 and not 192 <= data[1] <= 208
        if not is_media:
            return await self._send(data)
        delay_s = self._fate(self._number)
        self._number += 1
        if delay_s is None:
            return None
        self.sent += 1
        if not delay_s:
            return await self._send(data)
        task = self._loop.create_task(self._later(data, delay_s))
        self._waiting.add(task)
        task.add_done_callback(self._waiting.discard)
        return None

    async def _later(self, data: bytes, delay_s: float) -> None:
        await asyncio.sleep(delay_s)
        await self._send(data)
