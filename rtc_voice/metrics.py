"""Figures that a running call keeps: counters and bounded records of measured times."""

from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Iterable

import numpy as np

BOUNDS_MS = (1, 2.5, 5, 10, 20, 40, 60, 100, 150, 200, 300, 500, 1000, 2500, 5000)


class Recent:
    """The last ``size`` measurements of one quantity, with their quantiles, and how all of them are spread."""

    def __init__(self, size: int = 4096) -> None:
        self._values: deque[float] = deque(maxlen=size)
        self.counts = [0] * (len(BOUNDS_MS) + 1)  # of all measurements: up to each bound but above the one before
        self.total = 0.0  # the sum of all

    def __len__(self) -> int:
        return len(self._values)

    @property
    def values(self) -> list[float]:
        """What is kept, the oldest first."""
        return list(self._values)

    def add(self, value: float) -> None:
        """Record one measurement."""
        self._values.append(value)
        self.counts[bisect_left(BOUNDS_MS, value)] += 1
        self.total += value

    def merge(self, other: "Recent") -> None:
        """Add the spread of ``other``; its single measurements, and so its quantiles, stay its own."""
        self.counts = [mine + theirs for mine, theirs in zip(self.counts, other.counts, strict=True)]
        self.total += other.total

    def quantile(self, q: float) -> float | None:
        """The ``q`` quantile (0 to 1) of what is kept; None before the first measurement."""
        return float(np.quantile(list(self._values), q)) if self._values else None

    def summary(self, digits: int = 3) -> dict[str, float]:
        """``p50``, ``p95``, ``p99``, ``max`` and ``n``; empty before the first measurement."""
        return summarize(self._values, digits)


class Metrics:
    """The counters and measured times of one call, by name.

    Written from one thread each; reading from another sees a value that is at most one event old.
    """

    def __init__(self) -> None:
        self.counters: Counter[str] = Counter()
        self.times: dict[str, Recent] = {}

    def count(self, name: str, amount: int = 1) -> None:
        """Add ``amount`` to the counter ``name``."""
        self.counters[name] += amount

    def record(self, name: str, value: float) -> None:
        """Record one measurement of ``name`` (its unit is the name's suffix)."""
        self.times.setdefault(name, Recent()).add(value)

    def merge(self, other: "Metrics") -> None:
        """Add all that ``other`` has counted and measured."""
        self.counters.update(other.counters)
        for name, recent in list(other.times.items()):
            self.times.setdefault(name, Recent()).merge(recent)

    def snapshot(self) -> dict[str, object]:
        """All counters and the summaries of all measured times, ready for JSON."""
        return {**self.counters, **{name: recent.summary() for name, recent in list(self.times.items())}}


def summarize(values: Iterable[float], digits: int = 3) -> dict[str, float]:
    """``p50``, ``p95``, ``p99``, ``max`` and ``n`` of ``values``; empty for none."""
    data = np.asarray(list(values), dtype=np.float64)
    if not data.size:
        return {}
    p50, p95, p99 = (round(float(v), digits) for v in np.quantile(data, (0.5, 0.95, 0.99)))
    return {"p50": p50, "p95": p95, "p99": p99, "max": round(float(data.max()), digits), "n": data.size}
