"""Face to voice with what licensed speech teaches: apparent sex and age, and a voice of one's own among those that fit.

How it works: voices of one sex have a mean and a covariance in the speaker encoder's space. The face's ``male`` score
mixes the two means, and the face's individuality (``individual``) picks a point of the covariance; no face is needed
for fitting.
That part is a choice, not knowledge: nothing was learned about which face has which voice beyond sex and age.
"""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file

from rtc_voice.faces.types import FaceEmbedding
from rtc_voice.voices.ages import f0_shift_semitones, tract_factor, voice_maleness
from rtc_voice.voices.individual import Individuality
from rtc_voice.voices.traits import F0_HZ, TRACT, TraitReadout, clip
from rtc_voice.voices.types import Voice

# Of the natural spread of mean F0 within a sex. A face says nearly nothing of it, and with all of it a picture a third
# darker moved F0 by up to 1 semitone.
F0_SHARE = 0.5
WEIGHTS = Path(__file__).parents[1] / "assets" / "face_voice_attributes.safetensors"


@dataclass(frozen=True, slots=True)
class VoiceSpace:
    """Where the voices of women and men lie, K directions around their means; all arrays float32."""

    mean_female: NDArray[np.float32]  # ``[256]``
    mean_male: NDArray[np.float32]  # ``[256]``
    basis: NDArray[np.float32]  # ``[256, K]``, orthonormal
    spread_female: NDArray[np.float32]  # ``[K, K]``, root of the covariance in the basis
    spread_male: NDArray[np.float32]  # ``[K, K]``
    trait_weights: NDArray[np.float32]  # ``[3, 256]``
    trait_bias: NDArray[np.float32]  # ``[3]``

    @classmethod
    def load(cls, path: Path = WEIGHTS) -> Self:
        """The space in a safetensors file."""
        stored = load_file(path)
        return cls(**{field.name: stored[field.name] for field in fields(cls)})


class AttributePredictor:
    """Predicts a voice from a face's apparent sex, apparent age and identity embedding. Stateless after loading."""

    def __init__(self, weights: Path = WEIGHTS) -> None:
        self._space = VoiceSpace.load(weights)
        self._traits = TraitReadout(self._space.trait_weights, self._space.trait_bias)
        self._individuality = Individuality.load(weights)

    def predict(self, face: FaceEmbedding, draw: int = 0) -> Voice:
        """The voice of ``face``.

        Args:
            face: of one frame, or better the mean over several.
            draw: number of the draw, 0 or more; each is as fitting as the first, and the same for the same face.
        """
        return self._voice(face, self._individuality.of(face.identity, draw))

    def expected(self, face: FaceEmbedding) -> Voice:
        """The mean voice of faces of this apparent sex and age."""
        return self._voice(face, np.zeros(self._space.basis.shape[1]))

    def f0_error_semitones(self, face: FaceEmbedding) -> float:
        """Standard deviation of the F0 of speakers of one sex around their mean, as the licensed speech has it."""
        space, male = self._space, decided(face.male)
        spread = (1 - male) * space.spread_female + male * space.spread_male
        # The space holds no more than F0_SHARE of the natural spread of F0.
        return float(12 / np.log(2) * np.linalg.norm(space.trait_weights[0] @ space.basis @ spread) / F0_SHARE)

    def _voice(self, face: FaceEmbedding, individuality: NDArray[np.float64]) -> Voice:
        male = voice_maleness(decided(face.male), face.age)
        embedding = self._embedding(male, individuality)
        traits = self._traits.read(embedding)
        return Voice(
            embedding=embedding,
            f0_hz=clip(traits.f0_hz * 2 ** (f0_shift_semitones(male, face.age) / 12), F0_HZ),
            f0_range_semitones=traits.f0_range_semitones,
            tract=clip(traits.tract * tract_factor(male, face.age), TRACT),
        )

    def _embedding(self, male: float, individuality: NDArray[np.float64]) -> NDArray[np.float32]:
        """Unit vector ``[256]``, no entry negative, as the speaker encoder's."""
        space = self._space
        mean = (1 - male) * space.mean_female + male * space.mean_male
        spread = (1 - male) * space.spread_female + male * space.spread_male
        embedding = np.maximum(mean + space.basis @ (spread @ individuality), 0)
        return np.asarray(embedding / np.linalg.norm(embedding), dtype=np.float32)


def decided(male: float) -> float:
    """``male`` with its ends made firm, and no steeper between them than need be.

    A score wanders by 0.03 from picture to picture (95 % of faces of AVSpeech): at worst half a semitone.
    """
    t = clip((male - 0.1) / 0.8, (0.0, 1.0))
    return t * t * (3 - 2 * t)
