"""From what aiortc decodes (48 kHz stereo) to what the rooms work with (24 kHz mono), in any chunk sizes."""

import numpy as np
from numpy.typing import NDArray
from scipy.signal import firwin

INPUT_RATE = 48_000  # Hz; Opus decodes to nothing else in aiortc
OUTPUT_RATE = 24_000  # Hz
TAPS = 95  # odd, so the delay is a whole number of input samples: 47, which is 0.98 ms


class Halver:
    """Streaming 48 to 24 kHz conversion: a linear-phase low-pass of which every second output is computed.

    Flat up to 10.7 kHz; from 13.3 kHz, which would fold to below 10.7 kHz, at least 75 dB down (Kaiser window).
    """

    delay_s = (TAPS - 1) / 2 / INPUT_RATE

    def __init__(self) -> None:
        self._taps: NDArray[np.float32] = firwin(TAPS, OUTPUT_RATE / 2, fs=INPUT_RATE, window=("kaiser", 7.9)).astype(
            np.float32
        )
        self._history = np.zeros(TAPS - 1, np.float32)  # so that the first output sample is that of the first input

    def __call__(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """The next outputs: 48 kHz mono ``[T]`` to 24 kHz ``[T / 2]``; an odd sample is kept for the next call."""
        signal = np.concatenate([self._history, samples])
        outputs = (signal.size - TAPS) // 2 + 1 if signal.size >= TAPS else 0
        self._history = signal[2 * outputs :]
        if not outputs:
            return np.zeros(0, np.float32)
        filtered: NDArray[np.float32] = np.convolve(signal[: 2 * outputs + TAPS - 2], self._taps, "valid")
        return filtered[::2].copy()


def to_mono(frame: NDArray[np.int16], channels: int) -> NDArray[np.float32]:
    """Interleaved samples as one channel, peak 1: ``[1, T * channels]`` to ``[T]``, the mean of the channels."""
    mono: NDArray[np.float32] = frame.reshape(-1, channels).mean(axis=1, dtype=np.float32) / np.float32(32_768)
    return mono
