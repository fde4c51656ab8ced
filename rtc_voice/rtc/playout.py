"""The bounded hand-over of samples from the thread that makes them to the track that plays them."""

import threading
from collections import deque
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from rtc_voice.metrics import Metrics
from rtc_voice.rtc.conceal import cross_fade
from rtc_voice.timing import Clock, MonotonicClock

Samples = NDArray[np.float32]

FIRST_WINDOW = 50  # pulls: a second of 20 ms frames
LAST_WINDOW = 250
# What a chunk may wait before it is played: concealed sound comes 5 ms later than received, and a chunk takes 2 to 6 ms
# longer when the machine does something else, too.
FIRST_RESERVE_S = 0.012
LAST_RESERVE_S = 0.02
CALM_WINDOWS = 6  # without a late chunk, after which a grown reserve shrinks again
REFILL_CHUNKS = 8  # to have before typed speech goes on after it ran dry
JOIN_S = 0.005  # cross-fade where standing latency is cut out


class ChunkQueue:
    """Chunks on their way out: one thread pushes, the event loop pulls.

    While ``expecting`` is true somebody is speaking, and an empty pull is a late chunk; otherwise it is plain silence.
    ``on_mark(mark, time_s)`` is called in the pulling thread with the time at which the mark's sample is played.
    While ``live`` is true, what chunks wait without need is cut out: speech as it happens, which nobody wants to hear
    later than need be. Typed text, which may be made ahead, leaves it false: when it runs dry, it pauses until a
    reserve is there, since one pause is easier to listen to than many holes.
    """

    def __init__(
        self, sample_rate: int, max_chunks: int, metrics: Metrics | None = None, clock: Clock | None = None
    ) -> None:
        self.sample_rate = sample_rate  # Hz
        self.max_chunks = max_chunks
        self.expecting = False
        self.live = False
        self.hurry_s = 0.0  # how much sooner the next pull may come, from the last one
        self.on_mark: Callable[[str, float], None] | None = None
        self._metrics = metrics or Metrics()
        self._clock = clock or MonotonicClock()  # the pulling track's
        self._chunks: deque[tuple[Samples, str | None, float]] = deque()  # with the time of the push
        self._waiting = 0  # chunks with samples; bare marks take no room
        self._samples = 0
        self._is_refilling = False
        self._has_begun = False  # live speech is being played
        self._missed_s: float | None = None  # when a chunk was first missed that has not come yet
        self._pulled_push_s = 0.0  # when the last sample pulled had been pushed
        self._standing = StandingLatency()
        self._lock = threading.Lock()

    def push(self, samples: Samples, mark: str | None = None) -> bool:
        """Add a chunk at the end; False, and counted as ``refused_chunks``, when there is no room.

        Args:
            samples: peak 1, ``[T]``; empty to set a mark behind everything pushed so far, which needs no room.
            mark: reported when the first of ``samples`` is played.
        """
        with self._lock:
            if samples.size and self._waiting >= self.max_chunks:
                self._metrics.count("refused_chunks")
                return False
            now = self._clock.now()
            if samples.size and self._missed_s is not None:
                self._metrics.record("chunk_late_ms", 1000 * (now - self._missed_s))
                self._missed_s = None
            self._chunks.append((samples, mark, now))
            self._waiting += samples.size > 0
            self._samples += samples.size
        return True

    def room(self) -> int:
        """Chunks that a push would still take."""
        with self._lock:
            return self.max_chunks - self._waiting

    @property
    def waiting_samples(self) -> int:
        """Samples pushed and not pulled yet: the latency that this queue adds."""
        with self._lock:
            return self._samples

    def pull(self, n_samples: int, time_s: float = 0.0) -> Samples | None:
        """Up to ``n_samples`` for playing at ``time_s``, ``[<= n_samples]``; None when nothing is waiting."""
        passed: list[tuple[str, float]] = []
        with self._lock:
            if self._must_wait():
                return None
            was_silent = not self._has_begun
            if self._is_too_early(time_s):
                return np.zeros(n_samples, np.float32)
            samples = self._take(n_samples, time_s, passed)
            late = self.expecting and samples.size < n_samples
            self._is_refilling = late and not self.live
            self._missed_s = (self._missed_s or self._clock.now()) if late else None
            excess_s = self._standing.excess_s(time_s - self._pulled_push_s, late) if self.live else 0.0
            # Whole frames are cut; an earlier pull does for the rest, since chunks come whole.
            excess = min(int(excess_s * self.sample_rate) // n_samples * n_samples, self._samples)
            if excess:
                samples = self._cut(samples, excess, time_s, passed)
            self.hurry_s = excess_s - excess / self.sample_rate
            if was_silent and self._has_begun:  # until now there was silence: its frames may move at once
                self.hurry_s = max(time_s - self._pulled_push_s - FIRST_RESERVE_S, 0.0)
        for mark, moment in passed:
            if self.on_mark is not None:
                self.on_mark(mark, moment)
        return samples if samples.size else None

    def _must_wait(self) -> bool:
        """Whether typed speech ran dry and its reserve is not there yet."""
        reserve = min(REFILL_CHUNKS, self.max_chunks)
        return self._is_refilling and self.expecting and not self.live and self._waiting < reserve

    def _is_too_early(self, time_s: float) -> bool:
        """Whether live speech sets in with a chunk that just came: played now, the next would be late if a bit slower.

        Silence of one frame does for that; what it makes chunks wait too long, the next pull makes up for.
        """
        if not (self.live and self.expecting):
            self._has_begun = False
        elif self._chunks and not self._has_begun:
            self._has_begun = time_s - self._chunks[0][2] >= FIRST_RESERVE_S
            return not self._has_begun
        return False

    def _take(self, n_samples: int, time_s: float, passed: list[tuple[str, float]]) -> Samples:
        parts: list[Samples] = [np.zeros(0, np.float32)]
        taken = 0
        while self._chunks and (taken < n_samples or not self._chunks[0][0].size):
            samples, mark, pushed_s = self._chunks.popleft()
            if mark is not None:
                passed.append((mark, time_s + taken / self.sample_rate))
            part, rest = samples[: n_samples - taken], samples[n_samples - taken :]
            if rest.size:
                self._chunks.appendleft((rest, None, pushed_s))
            self._waiting -= samples.size > 0 and not rest.size
            taken += part.size
            parts.append(part)
            self._pulled_push_s = pushed_s
        self._samples -= taken
        return np.concatenate(parts)

    def _cut(self, samples: Samples, excess: int, time_s: float, passed: list[tuple[str, float]]) -> Samples:
        """``samples`` with a cross-fade at their end into what comes ``excess`` samples later."""
        self._metrics.count("cut_samples", excess)
        later = np.concatenate([samples, self._take(excess, time_s, passed)])[excess:]
        join = min(samples.size, later.size, int(JOIN_S * self.sample_rate))
        joined = samples.copy()
        joined[samples.size - join :] = cross_fade(samples[samples.size - join :], later[later.size - join :])
        return joined

    def clear(self) -> None:
        """Drop all that waits, marks included."""
        with self._lock:
            self._chunks.clear()
            self._waiting = self._samples = 0
            self._is_refilling = False
            self._missed_s = None
            self._standing = StandingLatency()


class StandingLatency:
    """Finds how long every chunk of a window waited at least: latency that bought nothing, but for a small reserve.

    If a chunk comes late after a cut, the cut was too much: the reserve and the window double. After a calm time they
    halve again.
    """

    def __init__(self) -> None:
        self._window = FIRST_WINDOW
        self._reserve_s = FIRST_RESERVE_S
        self._waits_s: list[float] = []
        self._has_cut = False
        self._calm = 0  # windows since the last late chunk

    def excess_s(self, wait_s: float, late: bool) -> float:
        """What can be cut now, given how long the last sample pulled had waited, or that it came late."""
        if late:
            if self._has_cut:
                self._window = min(2 * self._window, LAST_WINDOW)
                self._reserve_s = min(2 * self._reserve_s, LAST_RESERVE_S)
            self._has_cut = False
            self._calm = 0
            self._waits_s.clear()
            return 0.0
        self._waits_s.append(wait_s)
        if len(self._waits_s) < self._window:
            return 0.0
        self._calm += 1
        if self._calm >= CALM_WINDOWS and self._window > FIRST_WINDOW:
            self._calm = 0
            self._window = max(self._window // 2, FIRST_WINDOW)
            self._reserve_s = max(self._reserve_s / 2, FIRST_RESERVE_S)
        excess_s = max(min(self._waits_s) - self._reserve_s, 0.0)
        self._waits_s.clear()
        self._has_cut |= excess_s > 0
        return excess_s
