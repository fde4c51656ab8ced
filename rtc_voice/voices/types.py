"""What a voice is, for everything that makes, keeps or speaks one."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Voice:
    """One voice. Immutable: a changed voice is another voice."""

    embedding: NDArray[np.float32]  # unit vector, ``[256]``, the speaker encoder's space
    f0_hz: float  # mean F0 of its speech (geometric)
    f0_range_semitones: float  # standard deviation of its F0 around the mean
    tract: float  # vocal-tract length relative to the average speaker; 0.9 raises all formants by a ninth
    tilt_db: float = 0.0  # brightness: gain at 8 kHz against 500 Hz


@dataclass(frozen=True, slots=True)
class Knobs:
    """What a participant may turn on their voice; the defaults change nothing."""

    pitch_semitones: float = 0.0  # -12 to 12
    size: float = 1.0  # 0.8 to 1.25: longer vocal tract, deeper formants
    brightness_db: float = 0.0  # -12 to 12, gain at 8 kHz against 500 Hz
    redraw: int = 0  # another draw from what the face allows; 0 is the first
