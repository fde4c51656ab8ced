"""Face to voice as pairs of faces and voices teach it: a linear map, and a voice drawn around what it says.

How it works: a ridge regression from the face's identity embedding and its apparent sex and age says which way from the
mean voice this face's voice lies, in the speaker encoder's space, and which mean F0, F0 range and vocal tract it has.
Regression is careful: what it says lies near the mean voice, so it is stretched until voices are as far apart as real
ones. The face's individuality (``individual``) then moves the voice a little along the directions in which voices
differ and faces say nothing. Children's voices, of which there were none to learn from, follow ``ages``.
"""

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import load_file

from rtc_voice.faces.types import FaceEmbedding
from rtc_voice.voices.ages import f0_shift_semitones, tract_factor, voice_maleness
from rtc_voice.voices.attributes import decided
from rtc_voice.voices.individual import Individuality
from rtc_voice.voices.traits import F0_HZ, RANGE_SEMITONES, TRACT, clip
from rtc_voice.voices.types import Voice

WEIGHTS = Path(__file__).parents[1] / "assets" / "face_voice_learned.safetensors"
AGES = (16.0, 75.0)  # years, that the pairs teach; beyond, the literature goes on
SIZE = 256  # of a voice embedding; the three traits come after it

Array = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class VoiceMap:
    """The weights, all float32. An outcome is a voice embedding and the logarithms of F0, F0 range and tract: 259."""

    mean: Array  # ``[259]``, outcome of the average face
    centre: Array  # ``[F]``, features of the average face
    slope: Array  # ``[259, F]``, what to expect
    bold: Array  # ``[259, F]``, the same stretched until voices are as far apart as real ones
    sexes: Array  # ``[259]``, from women's outcomes to men's
    spread: Array  # ``[259, K]``, what the face does not tell: a root of its covariance
    first: Array  # ``[259, K]``, the part of it that the first draw takes
    leverage: Array  # ``[F, F]``: the length of it times the features is how unlike the learnt faces a face is

    @classmethod
    def load(cls, path: Path = WEIGHTS) -> Self:
        """The map in a safetensors file."""
        stored = load_file(path)
        return cls(**{field.name: stored[field.name] for field in fields(cls)})


class LearnedPredictor:
    """Predicts a voice from a face's identity, apparent sex and apparent age. Stateless after loading."""

    def __init__(self, voice_map: VoiceMap, individuality: Individuality) -> None:
        self.map = voice_map
        self.individuality = individuality

    @classmethod
    def load(cls, path: Path = WEIGHTS) -> Self:
        """The predictor in a safetensors file."""
        return cls(VoiceMap.load(path), Individuality.load(path))

    @staticmethod
    def trained_on(path: Path = WEIGHTS) -> str:
        """The fingerprint of the speakers that the map was learnt from; empty if it was not written."""
        with safe_open(path, "numpy") as file:
            return str((file.metadata() or {}).get("speakers", ""))

    def predict(self, face: FaceEmbedding, draw: int = 0) -> Voice:
        """The voice of ``face``.

        Args:
            face: of one frame, or better the mean over several.
            draw: 0 stays near to what the face tells; each other number is any voice that fits it.
        """
        slope, spread = (self.map.bold, self.map.first) if draw == 0 else (self.map.slope, self.map.spread)
        drawn = spread.astype(np.float64) @ self.individuality.of(face.identity, draw)
        return self._voice(face, self._step(face, slope) + drawn)

    def expected(self, face: FaceEmbedding) -> Voice:
        """The voice of ``face`` as far as the face tells, stretched, with nothing drawn."""
        return self._voice(face, self._step(face, self.map.bold))

    def f0_error_semitones(self, face: FaceEmbedding) -> float:
        """Standard deviation of the true F0 around the predicted one; more for a face unlike those learnt from."""
        unlike = np.linalg.norm(self.map.leverage @ (features(face) - self.map.centre))
        return float(12 / np.log(2) * np.linalg.norm(self.map.spread[SIZE]) * np.sqrt(1 + unlike**2))

    def _step(self, face: FaceEmbedding, slope: Array) -> NDArray[np.float64]:
        """How the face's outcome differs from the average one, ``[259]``."""
        grown = replace(face, age=clip(face.age, AGES))
        boyish = voice_maleness(decided(face.male), face.age) - decided(face.male)
        step = slope.astype(np.float64) @ (features(grown) - self.map.centre) + boyish * self.map.sexes
        return np.asarray(step, dtype=np.float64)

    def _voice(self, face: FaceEmbedding, step: NDArray[np.float64]) -> Voice:
        outcome = self.map.mean + step
        male, learnt_age = voice_maleness(decided(face.male), face.age), clip(face.age, AGES)
        f0_hz, f0_range, tract = np.exp(outcome[SIZE:])
        shift = f0_shift_semitones(male, face.age) - f0_shift_semitones(male, learnt_age)
        embedding = np.maximum(outcome[:SIZE], 0)
        return Voice(
            embedding=np.asarray(embedding / np.linalg.norm(embedding), dtype=np.float32),
            f0_hz=clip(f0_hz * 2 ** (shift / 12), F0_HZ),
            f0_range_semitones=clip(f0_range, RANGE_SEMITONES),
            tract=clip(tract * tract_factor(male, face.age) / tract_factor(male, learnt_age), TRACT),
        )


def features(face: FaceEmbedding) -> NDArray[np.float64]:
    """What the map looks at, ``[F]``: the identity, and the apparent sex and age on a like scale."""
    male, age = 2 * decided(face.male) - 1, (face.age - 40) / 15
    return np.concatenate([face.identity.astype(np.float64), [0.25 * male, 0.15 * age, 0.1 * male * age]])
