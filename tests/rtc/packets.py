"""Packets of Opus for the tests of receiving, and a network that brings them when a test says."""

import av
import numpy as np

from rtc_voice.metrics import Metrics
from rtc_voice.rtc.jitter import AudioPacket, JitterBuffer, Piece
from rtc_voice.rtc.playout import Samples

TICKS = 960  # 20 ms
FRAME_S = 0.02


def packet(
    n: int, *, first: int = 1_000, first_timestamp: int = 50_000, source: int = 7, data: bytes = b"x"
) -> AudioPacket:
    """The ``n``-th packet of a sender who sends one every 20 ms."""
    return AudioPacket((first + n) % (1 << 16), (first_timestamp + n * TICKS) % (1 << 32), source, TICKS, data)


def encoded(samples: Samples, **options: str) -> list[bytes]:
    """24 kHz mono as packets of 20 ms."""
    encoder = av.AudioCodecContext.create("libopus", "w")
    encoder.sample_rate, encoder.layout, encoder.format, encoder.bit_rate = 24_000, "mono", "s16", 32_000
    encoder.options = {"application": "lowdelay", **options}
    packets = []
    for part in np.split(samples, len(samples) // 480):
        frame = av.AudioFrame.from_ndarray((32_767 * part).astype(np.int16)[None], format="s16", layout="mono")
        frame.sample_rate = 24_000
        packets += [bytes(one) for one in encoder.encode(frame)]
    return packets


class Playback:
    """Runs a ``JitterBuffer`` through arrivals and its own wake-ups, and keeps when each piece was played."""

    def __init__(self) -> None:
        self.metrics = Metrics()
        self.buffer = JitterBuffer(self.metrics)
        self.played: list[tuple[float, Piece]] = []

    def run(self, arrivals: list[tuple[float, AudioPacket]], until_s: float | None = None) -> "Playback":
        for time_s, one in sorted(arrivals, key=lambda arrival: arrival[0]):
            self.wait(time_s)
            self.buffer.add(one, time_s)
            self._take(time_s)
        if until_s is not None:
            self.wait(until_s)
        return self

    def wait(self, until_s: float) -> None:
        """Wake whenever the buffer asks for it."""
        while (wake_s := self.buffer.wake_s()) is not None and wake_s <= until_s:
            self._take(wake_s)

    def _take(self, time_s: float) -> None:
        self.played += [(time_s, piece) for piece in self.buffer.take(time_s)]

    @property
    def numbers(self) -> list[int | None]:
        """What was played: sequence numbers, None for concealment."""
        return [piece.packet.number if piece.packet else None for _, piece in self.played]

    def starved_s(self, reserve_s: float) -> float:
        """The longest time in which a player who began ``reserve_s`` after the first piece would have had nothing."""
        ends_s = self.played[0][0] + reserve_s
        longest = 0.0
        for time_s, piece in self.played:
            longest = max(longest, time_s - ends_s)
            ends_s = max(ends_s, time_s) + piece.ticks / 48_000
        return longest
