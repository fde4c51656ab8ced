"""Time as a parameter: whoever waits or stamps takes a ``Clock``, so tests can move it."""

import asyncio
import time
from typing import Protocol


class Clock(Protocol):
    """A monotonic clock in seconds."""

    def now(self) -> float:
        """Seconds on a clock that never goes back."""

    async def sleep_until(self, deadline: float) -> None:
        """Returns at ``deadline`` (seconds of ``now``), or at once when it has passed."""


class MonotonicClock:
    """The machine's monotonic clock."""

    def now(self) -> float:
        """Seconds since an arbitrary start."""
        return time.perf_counter()

    async def sleep_until(self, deadline: float) -> None:
        """Sleep on the running loop until ``deadline``."""
        delay = deadline - self.now()
        if delay > 0:
            await asyncio.sleep(delay)
