"""Clocks and calls for the tests of the call."""

from collections.abc import Iterator

import aioice.ice
import av
import pytest

from rtc_voice.metrics import Metrics
from rtc_voice.rtc.peer import Peer
from rtc_voice.rtc.playout import ChunkQueue, Samples
from rtc_voice.timing import MonotonicClock


class JumpClock:
    """A clock that stands still until somebody waits, or a test moves it."""

    def __init__(self) -> None:
        self.time = 100.0

    def now(self) -> float:
        return self.time

    async def sleep_until(self, deadline: float) -> None:
        self.time = max(self.time, deadline)


class Listener:
    """Keeps what a peer says of itself."""

    def __init__(self) -> None:
        self.messages: list[str | bytes] = []
        self.samples: list[Samples] = []
        self.pictures: list[tuple[av.VideoFrame, float]] = []
        self.connected = 0
        self.gone = 0
        self.videos_ended = 0
        self.pauses = 0

    def on_connected(self) -> None:
        self.connected += 1

    def on_message(self, text: str | bytes) -> None:
        self.messages.append(text)

    def on_samples(self, samples: Samples) -> None:
        self.samples.append(samples)

    def on_pause(self) -> None:
        self.pauses += 1

    def on_picture(self, frame: av.VideoFrame, time_ms: float) -> None:
        self.pictures.append((frame, time_ms))

    def on_video_ended(self) -> None:
        self.videos_ended += 1

    def on_gone(self) -> None:
        self.gone += 1


class Line:
    """A peer with its queue, its listener and its figures."""

    def __init__(self, listener: Listener | None = None) -> None:
        self.clock = MonotonicClock()
        self.metrics = Metrics()
        self.queue = ChunkQueue(24_000, 1_000, self.metrics)
        self.listener = listener or Listener()
        self.peer = Peer(self.listener, self.queue, clock=self.clock, metrics=self.metrics)


@pytest.fixture(autouse=True)
def loopback_only(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """aioice never offers 127.0.0.1, and a test machine may have nothing else."""
    monkeypatch.setattr(aioice.ice, "get_host_addresses", lambda use_ipv4, use_ipv6: ["127.0.0.1"])
    yield
