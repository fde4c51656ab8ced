"""How busy this machine is, and what to leave out before the sound of standing calls suffers."""

import statistics
from collections import deque
from dataclasses import dataclass

from rtc_voice.config import AUDIO
from rtc_voice.errors import CapacityError

WINDOW = 40  # looks: two seconds of one every 50 ms
FULL_LAG_S, FULL_SHARE = 0.1, 0.9  # no more calls from here on
BUSY_LAG_S, BUSY_SHARE = 0.02, 0.6  # pictures are looked at less often from here on
SLOWER_S, SLOWEST_S = 0.2, 1.0  # between pictures then; without load it is what the video has
KNOWN_S = 0.1  # between pictures of a face whose voice is known: nobody is told its place more often


@dataclass(frozen=True, slots=True)
class _Look:
    time_s: float
    lag_s: float
    worked_s: float
    ticks: int


class Load:
    """Keeps the last two seconds of what tells: how late the event loop comes back, and how long the engine works.

    An engine whose voices come one by one works nearly all the time, in short ticks, long before it is full: voices
    that come during a tick share the next one. Full is the engine that works all the time in ticks as long as a chunk.
    """

    def __init__(self) -> None:
        self._looks: deque[_Look] = deque(maxlen=WINDOW)

    def add(self, time_s: float, lag_s: float, worked_s: float, ticks: int) -> None:
        """One look: the time, the loop's lateness, and the engine's working time and ticks since it was started."""
        self._looks.append(_Look(time_s, lag_s, worked_s, ticks))

    @property
    def lag_s(self) -> float:
        """The loop's median lateness."""
        return statistics.median(look.lag_s for look in self._looks) if self._looks else 0.0

    @property
    def share(self) -> float:
        """How full the engine is: the smaller of its share of the time and a tick's share of a chunk."""
        if len(self._looks) < WINDOW:
            return 0.0
        first, last = self._looks[0], self._looks[-1]
        worked_s = last.worked_s - first.worked_s
        a_tick_s = worked_s / max(last.ticks - first.ticks, 1)
        return min(worked_s / max(last.time_s - first.time_s, 1e-9), a_tick_s / (AUDIO.chunk_ms / 1000))

    def picture_interval_s(self, *, has_voice: bool = False) -> float:
        """How far apart pictures are that are worth a look now.

        Args:
            has_voice: what is to be learned from them has been; then the face is followed, and they wait while anybody
                speaks.
        """
        if self.lag_s > FULL_LAG_S or self.share > FULL_SHARE:
            return SLOWEST_S
        is_busy = self.lag_s > BUSY_LAG_S or self.share > BUSY_SHARE or (has_voice and self.share > 0)
        if is_busy:
            return SLOWER_S
        return KNOWN_S if has_voice else 0.0

    def check(self) -> None:
        """Whether one more call can be taken.

        Raises:
            CapacityError: it could not be heard in time, nor could those that stand.
        """
        if len(self._looks) < WINDOW:
            return
        if self.share > FULL_SHARE:
            raise CapacityError(f"speaking takes {self.share:.0%} of the time there is", "try again later")
        if self.lag_s > FULL_LAG_S:
            raise CapacityError(f"this machine is {1000 * self.lag_s:.0f} ms behind", "try again later")
