"""The bounded hand-over of samples from the thread that makes them to the track that plays them."""

import threading
from collections import deque
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from rtc_voice.metrics import Metrics

Samples = NDArray[np.float32]


class ChunkQueue:
    """Chunks on their way out: one thread pushes, the event loop pulls.

    While ``expecting`` is true somebody is speaking, and an empty pull is a late chunk; otherwise it is plain silence.
    ``on_mark(mark, time_s)`` is called in the pulling thread with the time at which the mark's sample is played.
    """

    def __init__(self, sample_rate: int, max_chunks: int, metrics: Metrics | None = None) -> None:
        self.sample_rate = sample_rate  # Hz
        self.max_chunks = max_chunks
        self.expecting = False
        self.on_mark: Callable[[str, float], None] | None = None
        self._metrics = metrics or Metrics()
        self._chunks: deque[tuple[Samples, str | None]] = deque()
        self._waiting = 0  # chunks with samples; bare marks take no room
        self._samples = 0
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
            self._chunks.append((samples, mark))
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
        parts: list[Samples] = []
        passed: list[tuple[str, float]] = []
        taken = 0
        with self._lock:
            while self._chunks and (taken < n_samples or not self._chunks[0][0].size):
                samples, mark = self._chunks.popleft()
                if mark is not None:
                    passed.append((mark, time_s + taken / self.sample_rate))
                part, rest = samples[: n_samples - taken], samples[n_samples - taken :]
                if rest.size:
                    self._chunks.appendleft((rest, None))
                self._waiting -= samples.size > 0 and not rest.size
                taken += part.size
                parts.append(part)
            self._samples -= taken
        for mark, moment in passed:
            if self.on_mark is not None:
                self.on_mark(mark, moment)
        return np.concatenate(parts) if taken else None

    def clear(self) -> None:
        """Drop all that waits, marks included."""
        with self._lock:
            self._chunks.clear()
            self._waiting = self._samples = 0


class Declick:
    """Rounds off the edges where sound breaks off or sets in again, so that a hole does not click."""

    def __init__(self, fade_samples: int) -> None:
        self._fade_samples = fade_samples
        self._last = 0.0  # the last sample played
        self._broken = False  # sound broke off and has not come back

    def fill(self, samples: Samples | None, n_samples: int) -> Samples:
        """``samples`` made ``n_samples`` long: what is missing at the end dies away from the last sample played."""
        have = 0 if samples is None else samples.size
        out = np.zeros(n_samples, np.float32)
        if samples is not None and have:
            out[:have] = samples
            if self._broken:
                rise = min(self._fade_samples, have)
                out[:rise] *= np.linspace(0, 1, rise, dtype=np.float32)
            self._broken = False
            self._last = float(out[have - 1])
        if have < n_samples:
            fall = min(self._fade_samples, n_samples - have)
            out[have : have + fall] = self._last * np.linspace(1, 0, fall, dtype=np.float32)
            self._broken |= self._last != 0
            self._last = 0.0
        return out
