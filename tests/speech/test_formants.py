"""Formants of synthetic tubes, and of what has none."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.signal import lfilter

from rtc_voice.errors import AudioError
from rtc_voice.speech.formants import formant_scale


def tube(spacing_hz: float, f0_hz: float = 110.0, sample_rate: int = 16_000) -> NDArray[np.float32]:
    """One second of a pulse train through the resonances of a uniform tube, at odd multiples of half the spacing."""
    wave = (np.diff(np.floor(np.arange(sample_rate + 1) * f0_hz / sample_rate)) > 0).astype(np.float64)
    wave = lfilter([1], [1, -0.97], wave)
    for formant_hz in spacing_hz * np.arange(0.5, sample_rate / 2 / spacing_hz):
        radius, angle = np.exp(-np.pi * 80 / sample_rate), 2 * np.pi * formant_hz / sample_rate
        wave = lfilter([1], [1, -2 * radius * np.cos(angle), radius**2], wave)
    return np.asarray(0.1 * wave / np.abs(wave).max(), dtype=np.float32)


@pytest.mark.parametrize("spacing_hz", [920.0, 1000.0, 1150.0])
def test_formants_of_a_tube_tell_its_length(spacing_hz: float) -> None:
    times = np.arange(0.1, 0.9, 0.016)
    # Pulses spaced by F0 sample the spectrum: a formant is known to a fraction of F0.
    assert formant_scale(tube(spacing_hz), 16_000, times) == pytest.approx(spacing_hz, rel=0.03)


def test_silence_has_no_formants() -> None:
    with pytest.raises(AudioError, match="formants"):
        formant_scale(np.zeros(16_000, dtype=np.float32), 16_000, np.arange(0.1, 0.9, 0.016))
    with pytest.raises(AudioError, match="formants"):
        formant_scale(tube(1000.0), 16_000, np.zeros(0))
