"""The formants of a recording, and what they tell of the vocal tract's length."""

import numpy as np
from numpy.typing import NDArray
from scipy.signal import resample_poly

from rtc_voice.errors import AudioError

AVERAGE_SPACING_HZ = 1075.0  # of formants, halfway between LibriSpeech's women (1146) and men (1000)
_SAMPLE_RATE = 11_000  # Hz: the first four or five formants of an adult lie below half of it
_ORDER = 12
_FRAME = 275  # samples, 25 ms
_MOST_FRAMES = 300  # voiced frames judged per recording


def tract_length(samples: NDArray[np.float32], sample_rate: int, times: NDArray[np.float64]) -> float:
    """The vocal tract's length relative to the average speaker; arguments and errors as for ``formant_scale``."""
    return AVERAGE_SPACING_HZ / formant_scale(samples, sample_rate, times)


def formant_scale(samples: NDArray[np.float32], sample_rate: int, times: NDArray[np.float64]) -> float:
    """The spacing of the third and fourth formant in Hz: inversely proportional to the vocal tract's length.

    The lower two are left out: they follow the vowels more than the speaker.

    Args:
        samples: mono speech, ``[T]``.
        sample_rate: Hz.
        times: seconds at which the voice sounds, ``[F]``.

    Raises:
        AudioError: no formants are found, as in a tone or in noise.

    Source:
        Lammert and Narayanan 2015, On short-time estimation of vocal tract length from formant frequencies,
        https://doi.org/10.1371/journal.pone.0132193.
    """
    common = int(np.gcd(sample_rate, _SAMPLE_RATE))
    speech = resample_poly(samples, _SAMPLE_RATE // common, sample_rate // common)
    speech = np.append(speech[:1], speech[1:] - 0.97 * speech[:-1])
    starts = (times * _SAMPLE_RATE).astype(int) - _FRAME // 2
    starts = starts[(starts >= 0) & (starts + _FRAME <= speech.size)]
    starts = starts[:: max(1, starts.size // _MOST_FRAMES)]
    formants = _formants(speech[starts[:, None] + np.arange(_FRAME)] * np.hamming(_FRAME))
    if not np.isfinite(formants[:, 2:4]).any(axis=0).all():
        raise AudioError("no formants are to be found in the recording", "use one of a person who speaks")
    # A uniform tube resonates at odd multiples of half the spacing.
    spacings = formants[:, 2:4] / np.array([2.5, 3.5])
    return float(np.exp(np.mean(np.log(np.nanmedian(spacings, axis=0)))))


def _formants(frames: NDArray[np.float64]) -> NDArray[np.float64]:
    """First four formants in Hz of windowed frames ``[F, T]``, NaN where fewer are found, ``[F, 4]``."""
    spectrum = np.abs(np.fft.rfft(frames, 1024)) ** 2
    correlation = np.fft.irfft(spectrum)[:, : _ORDER + 1]
    lags = np.abs(np.subtract.outer(np.arange(_ORDER), np.arange(_ORDER)))
    floor = 1e-6 * correlation[:, :1, None] + 1e-12  # also of digital silence
    matrices = correlation[:, lags] + floor * np.eye(_ORDER)
    coefficients = np.linalg.solve(matrices, correlation[:, 1:, None])[..., 0]
    companion = np.zeros((len(frames), _ORDER, _ORDER))
    companion[:, 0] = coefficients
    companion[:, np.arange(1, _ORDER), np.arange(_ORDER - 1)] = 1
    poles = np.linalg.eigvals(companion)
    hz = np.angle(poles) * _SAMPLE_RATE / (2 * np.pi)
    width_hz = -np.log(np.abs(poles) + 1e-12) * _SAMPLE_RATE / np.pi
    formants: NDArray[np.float64] = np.where((hz > 200) & (hz < 5200) & (width_hz < 600), hz, np.nan)
    return np.sort(formants, axis=1)[:, :4]
