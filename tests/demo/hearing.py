"""What a page hears, and how high the voice in it is."""

import base64
import io
from typing import cast

import av
import numpy as np
from av.container import InputContainer
from numpy.typing import NDArray
from playwright.sync_api import Page

SAMPLE_RATE = 24_000  # Hz, of what is heard
SPEECH_LEVEL = 0.01  # rms of full scale: -40 dB, which a silent line stays far below


def start_recording(page: Page) -> None:
    page.evaluate(
        """() => {
            const recorder = new MediaRecorder(document.getElementById("voice").srcObject);
            const parts = [];
            recorder.ondataavailable = ({ data }) => parts.push(data);
            window.recorded = new Promise((resolve) => { recorder.onstop = () => resolve(new Blob(parts)); });
            window.recorder = recorder;
            recorder.start();
        }"""
    )


def stop_recording(page: Page) -> NDArray[np.float32]:
    """What the page has heard since ``start_recording``, mono at ``SAMPLE_RATE``."""
    encoded = page.evaluate(
        """async () => {
            recorder.stop();
            const bytes = new Uint8Array(await (await recorded).arrayBuffer());
            return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
        }"""
    )
    resampler = av.AudioResampler(format="flt", layout="mono", rate=SAMPLE_RATE)
    with cast(InputContainer, av.open(io.BytesIO(base64.b64decode(encoded)))) as file:
        frames = [frame for heard in file.decode(audio=0) for frame in resampler.resample(heard)]
    return np.concatenate([frame.to_ndarray()[0] for frame in frames]).astype(np.float32)


def levels(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rms of each 40 ms."""
    size = SAMPLE_RATE * 40 // 1000
    pieces = samples[: len(samples) // size * size].reshape(-1, size)
    return np.asarray(np.sqrt(np.square(pieces).mean(axis=1)))


def median_f0_hz(samples: NDArray[np.float32]) -> float:
    """F0 of the voiced parts, by the first high peak of each piece's autocorrelation."""
    size = SAMPLE_RATE * 40 // 1000
    pieces = samples[: len(samples) // size * size].reshape(-1, size)
    found = [f0 for f0 in map(_f0_hz, pieces[levels(samples) > SPEECH_LEVEL]) if f0]
    assert len(found) > 10, f"only {len(found)} voiced pieces"
    return float(np.median(found))


def _f0_hz(piece: NDArray[np.float32]) -> float:
    """0 where nothing repeats between 60 and 400 Hz."""
    shortest, longest = SAMPLE_RATE // 400, SAMPLE_RATE // 60
    window = np.hanning(len(piece))
    # The window's own autocorrelation falls with the lag and would hide low voices (Boersma 1993).
    inner = _autocorrelation(piece * window)[shortest:longest] / _autocorrelation(window)[shortest:longest]
    peaks = [lag for lag in range(1, len(inner) - 1) if inner[lag - 1] < inner[lag] > inner[lag + 1]]
    high = [lag for lag in peaks if inner[lag] > max(0.6, 0.85 * inner.max())]
    return SAMPLE_RATE / (high[0] + shortest) if high else 0.0


def _autocorrelation(x: NDArray[np.float64]) -> NDArray[np.float64]:
    correlation = np.fft.irfft(np.abs(np.fft.rfft(x, 2 * len(x))) ** 2)[: len(x)]
    return np.asarray(correlation / correlation[0])
