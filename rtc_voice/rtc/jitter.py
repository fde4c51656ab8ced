"""Incoming audio packets in order, handed over at once: one Opus packet is one frame.

aiortc's own buffer waits for four packets more (80 ms), and adds another 200 ms for the rest of the call when one is
lost.
"""

from typing import Generic, Protocol, TypeVar

from rtc_voice.metrics import Metrics

PATIENCE = 2  # later packets that are held back for a missing one
MAX_MISORDER = 100  # a step further than this, either way, is a new sequence (RFC 3550 appendix A.1)


class Packet(Protocol):
    """What the buffer needs to know of an RTP packet."""

    sequence_number: int


P = TypeVar("P", bound=Packet)


class ReorderBuffer(Generic[P]):
    """Puts packets back in order and gives a hole up when ``PATIENCE`` later ones have come."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._expected: int | None = None
        self._held: dict[int, P] = {}

    def add(self, packet: P) -> list[P]:
        """What can be handed over now that ``packet`` is here, in order; empty for a late or repeated one."""
        number = packet.sequence_number
        ahead = 0 if self._expected is None else (number - self._expected + 0x8000) % 0x10000 - 0x8000
        if self._expected is None or abs(ahead) > MAX_MISORDER:
            self._held.clear()
            self._expected = number
        elif ahead < 0 or number in self._held:
            self._metrics.count("late_packets")
            return []
        self._held[number] = packet
        if self._expected not in self._held and len(self._held) >= PATIENCE:
            self._give_up()
        return self._run()

    def _give_up(self) -> None:
        """Go on at the first packet held."""
        assert self._expected is not None
        expected = self._expected
        gap = min((number - expected) % 0x10000 for number in self._held)
        self._metrics.count("lost_packets", gap)
        self._expected = (expected + gap) % 0x10000

    def _run(self) -> list[P]:
        ready = []
        while self._expected in self._held:
            ready.append(self._held.pop(self._expected))
            self._expected = (self._expected + 1) % 0x10000
        return ready
