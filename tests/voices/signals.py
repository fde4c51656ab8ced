"""Sounds and faces that several tests of this folder use; none is of a person."""

import numpy as np
from numpy.typing import NDArray

from rtc_voice.faces.types import FaceEmbedding


def glide(seconds: float, f0_hz: float = 120.0, sample_rate: int = 16_000) -> NDArray[np.float32]:
    """A buzz of 29 harmonics whose pitch and timbre move, ``[T]``."""
    t = np.arange(round(seconds * sample_rate)) / sample_rate
    phase = 2 * np.pi * np.cumsum(f0_hz * 2 ** (0.25 * np.sin(2 * np.pi * 0.7 * t))) / sample_rate
    parts = [np.sin(k * phase) / k * (1 + 0.8 * np.sin(2 * np.pi * (0.9 + 0.13 * k) * t)) for k in range(1, 30)]
    wave = np.sum(parts, axis=0)
    return np.asarray(0.1 * wave / np.abs(wave).max(), dtype=np.float32)


def random_face(rng: np.random.Generator, male: float = 0.5, age: float = 35.0) -> FaceEmbedding:
    """A made-up identity; two of them lie about 0.8 apart, as two people do in the recognition net's space."""
    return FaceEmbedding(rng.normal(0, 0.8 / np.sqrt(2 * 128), 128).astype(np.float32), male, age)
