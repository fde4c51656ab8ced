"""What a voice embedding tells of pitch and vocal tract."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

F0_HZ = (70.0, 320.0)  # mean F0 of human speakers, deep men to small children
RANGE_SEMITONES = (1.0, 5.0)
TRACT = (0.72, 1.22)  # five-year-olds to tall men, against the mean of women and men


@dataclass(frozen=True, slots=True)
class Traits:
    """What a synthesiser without a trained speaker network needs to know of a voice."""

    f0_hz: float
    f0_range_semitones: float
    tract: float


@dataclass(frozen=True, slots=True)
class TraitReadout:
    """Linear readouts of the logarithms of the three traits, fitted by ridge regression."""

    weights: NDArray[np.float32]  # ``[3, 256]``
    bias: NDArray[np.float32]  # ``[3]``

    def read(self, embedding: NDArray[np.float32]) -> Traits:
        """The traits of a voice embedding ``[256]``, within what people have."""
        f0_hz, range_semitones, tract = np.exp(self.weights @ embedding + self.bias)
        return Traits(clip(f0_hz, F0_HZ), clip(range_semitones, RANGE_SEMITONES), clip(tract, TRACT))


def clip(value: float, limits: tuple[float, float]) -> float:
    """``value``, or the limit it goes beyond."""
    return float(min(max(value, limits[0]), limits[1]))
