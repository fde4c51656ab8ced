import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.signal import lfilter

from rtc_voice.training.voice_labels import formant_scale, voiced_f0
from tests.voices.signals import glide


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


def test_f0_is_found_where_the_voice_sounds() -> None:
    pytest.importorskip("swift_f0", reason="of the extra `train`")
    speech = np.pad(glide(2.0, f0_hz=150.0), (16_000, 16_000))
    f0, times = voiced_f0(speech, 16_000)
    assert f0.size > 60 and times.min() > 0.9 and times.max() < 3.1
    expected = 150 * 2 ** (0.25 * np.sin(2 * np.pi * 0.7 * (times - 1.0)))
    assert np.median(np.abs(12 * np.log2(f0 / expected))) < 0.3


def test_silence_has_no_f0() -> None:
    pytest.importorskip("swift_f0", reason="of the extra `train`")
    f0, times = voiced_f0(np.zeros(16_000, dtype=np.float32), 16_000)
    assert f0.size == 0 and times.size == 0
