"""What a recording shows of its F0, with all of its future known."""

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtc_voice.voices.recording import without_octave_errors


def voiced_f0(samples: NDArray[np.float32], sample_rate: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """F0 and its times where the voice sounds, octave errors left out.

    Args:
        samples: mono speech, ``[T]``.
        sample_rate: Hz.

    Returns:
        Hz and seconds, ``[F]`` each.
    """
    result = _detector().detect(samples, sample_rate, fmin=55.0, fmax=500.0)
    sure = result.confidence >= 0.8
    return without_octave_errors(result.pitch_hz[sure], result.timestamps[sure])


def voicing_confidence(
    samples: NDArray[np.float32], sample_rate: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """How sure it is in [0, 1] that a voice sounds, and when (seconds), ``[F]`` each; ``samples`` are ``[T]``."""
    result = _detector().detect(samples, sample_rate, fmin=50.0, fmax=800.0)
    return result.confidence, result.timestamps


@cache
def _detector() -> Any:
    """SwiftF0, loaded once; of the extra `train` only."""
    from swift_f0 import SwiftF0

    return SwiftF0(threads=1, spin=False)
