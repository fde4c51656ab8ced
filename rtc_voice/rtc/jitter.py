"""When incoming audio packets are played: at once on a clean network, and as late as the network needs on others.

aiortc's own buffer waits for four packets more (80 ms), and adds another 200 ms for the rest of the call when one is
lost. This one looks at the clock instead: a packet that is not there when its sound is due is concealed.
"""

import math
from bisect import bisect_left, insort
from collections import deque
from dataclasses import dataclass

from rtc_voice.metrics import Metrics
from rtc_voice.rtc.opus import RTP_RATE

GRACE_S = 0.005  # what a packet may come later than planned before its place is concealed
IGNORED_S = 0.003  # jitter that needs no delay, and three times as much needs all: a player has some in reserve
SOON_S = 1e-4  # what is due this soon is due now
MAX_DELAY_S = 0.25  # a network that needs more loses packets
MAX_CONCEALED_S = 0.2  # at a stretch; a longer silence is a pause of the sender (discontinuous transmission)
DELAY_WINDOW_S = 2.0  # of arrivals that decide on the delay: it shrinks that long after the network calmed down
TRANSIT_WINDOW_S = 10.0  # of arrivals of which the fastest says when sound is due; clocks may drift apart meanwhile
ON_TIME = 0.98  # share of the packets that the delay is meant for
MAX_HELD = 64  # packets that wait for their time or their turn
MAX_JUMP_S = 2.0  # a timestamp further than this from its time, either way, begins a new stream


@dataclass(frozen=True, slots=True)
class AudioPacket:
    """One received packet of Opus."""

    number: int  # RTP sequence number, 16 bits
    timestamp: int  # of its first sample, 48 kHz, 32 bits
    source: int  # RTP SSRC
    ticks: int  # length of its sound, 48 kHz
    data: bytes


@dataclass(frozen=True, slots=True)
class Piece:
    """What is to be played next: a packet, or sound in the place of one that is not there."""

    ticks: int  # length, 48 kHz
    packet: AudioPacket | None  # None: to be concealed
    following: bytes | None = None  # for concealing: the packet right after it, which may hold a copy


class DelayEstimate:
    """Follows how late packets come: when the sound of a timestamp is due, and how much delay that takes."""

    def __init__(self) -> None:
        self._fastest: deque[tuple[float, float]] = deque()  # (arrival, transit), of growing transit
        self._recent: deque[tuple[float, float]] = deque()  # (arrival, transit) of the last packets
        self._ordered: list[float] = []  # their transits, ascending
        self.delay_s = 0.0

    @property
    def transit_s(self) -> float:
        """The fastest packet's arrival minus its media time: an unknown constant plus the shortest transit."""
        return self._fastest[0][1]

    def add(self, arrival_s: float, media_s: float) -> None:
        """Take in one packet: it grows the delay at once if need be."""
        transit = arrival_s - media_s
        while self._fastest and self._fastest[-1][1] >= transit:
            self._fastest.pop()
        self._fastest.append((arrival_s, transit))
        while self._fastest[0][0] < arrival_s - TRANSIT_WINDOW_S:
            self._fastest.popleft()
        self._recent.append((arrival_s, transit))
        insort(self._ordered, transit)
        while self._recent[0][0] < arrival_s - DELAY_WINDOW_S:
            del self._ordered[bisect_left(self._ordered, self._recent.popleft()[1])]
        needed = self._ordered[math.ceil(ON_TIME * (len(self._ordered) - 1))] - self.transit_s
        # No step between none and all of it: what the player cut out at the one would be missing at the other.
        self.delay_s = min(max(1.5 * (needed - IGNORED_S), 0.0), needed, MAX_DELAY_S)

    def due_s(self, media_s: float) -> float:
        """When the sound of ``media_s`` should be played."""
        return self.transit_s + media_s + self.delay_s


class JitterBuffer:
    """Gives packets out in order, each when its sound is due, and says what to conceal.

    ``add`` what comes, then ``take`` what is to be played now; ``take`` again at ``wake_s``. Times are seconds on one
    monotonic clock. A packet whose place has been concealed is still played if nothing later has been and the delay,
    now grown, is meant for it: the concealment has then stretched the sound, as a larger delay needs. Other late
    packets are dropped and counted.
    """

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._begin(None)

    def _begin(self, packet: AudioPacket | None) -> None:
        """Forget everything; ``packet`` is the first of what comes now."""
        self._estimate = DelayEstimate()
        self._held: dict[int, AudioPacket] = {}  # by unwrapped timestamp
        self._source = packet.source if packet else None
        self._next = packet.timestamp if packet else 0  # timestamp of what is played next, unwrapped
        self._heard_to = self._next  # end of the last packet that was played
        self._last_number: int | None = None  # of that packet
        self._frame = packet.ticks if packet else 0  # length of a packet
        self._concealed = 0  # ticks, since a packet was played
        self._holes: deque[int] = deque(maxlen=MAX_HELD)  # timestamps that were concealed: who comes there is late

    @property
    def delay_s(self) -> float:
        """What packets are held back at present."""
        return self._estimate.delay_s

    @property
    def is_paused(self) -> bool:
        """Whether so much has been concealed that the sender must have paused; true before the first packet."""
        return self._source is None or self._concealed >= MAX_CONCEALED_S * RTP_RATE

    def add(self, packet: AudioPacket, now_s: float) -> None:
        """Take a packet in; late and repeated ones are counted and dropped."""
        self._metrics.count("received_packets")
        timestamp = self._unwrap(packet.timestamp)
        if self._is_new_stream(packet, timestamp, now_s):
            self._begin(packet)
            timestamp = packet.timestamp
        if timestamp in self._held or (timestamp < self._heard_to and timestamp not in self._holes):
            self._metrics.count("repeated_packets")
            return
        self._estimate.add(now_s, timestamp / RTP_RATE)
        due_s = self._estimate.due_s(timestamp / RTP_RATE)
        if timestamp < self._heard_to or (timestamp < self._next and now_s > due_s + GRACE_S):
            self._metrics.count("late_packets")
        elif len(self._held) >= MAX_HELD:
            self._metrics.count("dropped_packets")
        else:
            self._held[timestamp] = packet
            self._frame = packet.ticks
            self._next = min(self._next, timestamp)

    def _is_new_stream(self, packet: AudioPacket, timestamp: int, now_s: float) -> bool:
        if packet.source != self._source:
            return True
        late_s = now_s - timestamp / RTP_RATE - self._estimate.transit_s
        if self.is_paused and not self._held and timestamp >= self._heard_to:
            return late_s > MAX_DELAY_S  # the sender's clock stood still, or the network's worst is over
        return abs(late_s) > MAX_JUMP_S

    def _unwrap(self, timestamp: int) -> int:
        """The timestamp nearest to what is played next among those that are the same in 32 bits."""
        return self._next + (timestamp - self._next + (1 << 31)) % (1 << 32) - (1 << 31)

    def take(self, now_s: float) -> list[Piece]:
        """What is to be played now, in order."""
        pieces = []
        while (piece := self._piece(now_s)) is not None:
            pieces.append(piece)
        return pieces

    def wake_s(self) -> float | None:
        """When something is to be played or concealed next if no packet comes; None when nothing is."""
        if self._held:
            first = min(self._held)
            if self._continues(first):
                return self._estimate.due_s(first / RTP_RATE)
        elif self.is_paused:
            return None
        return self._estimate.due_s(self._next / RTP_RATE) + GRACE_S

    def _piece(self, now_s: float) -> Piece | None:
        wake_s = self.wake_s()
        if wake_s is None or now_s < wake_s - SOON_S:
            return None
        if self._held:
            first = min(self._held)
            if self._continues(first):
                return self._play(first)
        return self._conceal()

    def _continues(self, timestamp: int) -> bool:
        """Whether the held packet of ``timestamp`` is played next: no lost packet is between, or too many are."""
        packet = self._held[timestamp]
        follows = self._last_number is not None and packet.number == (self._last_number + 1) % (1 << 16)
        return timestamp <= self._next or follows or self.is_paused

    def _play(self, timestamp: int) -> Piece:
        packet = self._held.pop(timestamp)
        self._next = self._heard_to = timestamp + packet.ticks
        self._last_number = packet.number
        self._concealed = 0
        self._metrics.count("played_packets")
        return Piece(packet.ticks, packet)

    def _conceal(self) -> Piece:
        """Sound for the place that is due, as long as a packet or as the hole."""
        after = min(self._held, default=None)
        ticks = self._frame if after is None else min(self._frame, after - self._next)
        self._holes.append(self._next)
        self._next += ticks
        self._concealed += ticks
        self._metrics.count("concealed_ms", 1000 * ticks // RTP_RATE)
        return Piece(ticks, None, self._held[after].data if after == self._next else None)
