"""How loud things are, for a line of a terminal."""

import numpy as np

from rtc_voice.rtc.playout import Samples

FLOOR_DB = -60.0
FALL_DB = 1.5  # a frame: a peak stays readable for a second
_CELLS = 12


class Level:
    """A peak meter: rises at once, falls slowly."""

    def __init__(self) -> None:
        self.db = FLOOR_DB  # of full scale

    def add(self, samples: Samples) -> None:
        """The next samples, peak 1, ``[T]``."""
        peak = float(np.abs(samples).max(initial=0.0))
        self.db = max(self.db - FALL_DB, FLOOR_DB, 20 * float(np.log10(max(peak, 1e-6))))

    def __str__(self) -> str:
        """A bar and its figure, always of the same width."""
        filled = round(_CELLS * (1 - self.db / FLOOR_DB))
        return f"{'▮' * filled}{'▯' * (_CELLS - filled)} {self.db:4.0f} dB"
