"""Face to voice with what licensed speech teaches: apparent sex and age, and a voice of one's own among those that fit.

How it works: voices of one sex have a mean and a covariance in the speaker encoder's space. The face's ``male`` score
mixes the two means. The identity embedding then picks a point of the covariance: it is turned into cosines of random
projections (random Fourier features), whose correlation between two faces falls with the distance of their embeddings
alone. So the same person stays put, two people come out like two random speakers, and no face is needed for fitting.
That part is a choice, not knowledge: nothing was learned about which face has which voice beyond sex and age.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file

from rtc_voice.faces.types import FaceEmbedding
from rtc_voice.voices.ages import f0_shift_semitones, tract_factor, voice_maleness
from rtc_voice.voices.traits import F0_HZ, TRACT, TraitReadout, clip
from rtc_voice.voices.types import Voice

WEIGHTS = Path(__file__).parents[1] / "assets" / "face_voice_attributes.safetensors"


@dataclass(frozen=True, slots=True)
class VoiceSpace:
    """Where the voices of women and men lie, K directions around their means; all arrays float32."""

    mean_female: NDArray[np.float32]  # ``[256]``
    mean_male: NDArray[np.float32]  # ``[256]``
    basis: NDArray[np.float32]  # ``[256, K]``, orthonormal
    spread_female: NDArray[np.float32]  # ``[K, K]``, root of the covariance in the basis
    spread_male: NDArray[np.float32]  # ``[K, K]``
    waves: NDArray[np.float32]  # ``[K, 128]``, radians per unit of the identity embedding
    phases: NDArray[np.float32]  # ``[K]``, radians
    rotation: NDArray[np.float32]  # ``[K, K]``, from one draw to the next
    trait_weights: NDArray[np.float32]  # ``[3, 256]``
    trait_bias: NDArray[np.float32]  # ``[3]``

    @classmethod
    def load(cls, path: Path = WEIGHTS) -> Self:
        """The space in a safetensors file."""
        return cls(**load_file(path))


class AttributePredictor:
    """Predicts a voice from a face's apparent sex, apparent age and identity embedding. Stateless after loading."""

    def __init__(self, weights: Path = WEIGHTS) -> None:
        self._space = VoiceSpace.load(weights)
        self._traits = TraitReadout(self._space.trait_weights, self._space.trait_bias)

    def predict(self, face: FaceEmbedding, draw: int = 0) -> Voice:
        """The voice of ``face``.

        Args:
            face: of one frame, or better the mean over several.
            draw: number of the draw, 0 or more; each is as fitting as the first, and the same for the same face.
        """
        male = voice_maleness(_decided(face.male), face.age)
        embedding = self._embedding(male, self._individuality(face.identity, draw))
        traits = self._traits.read(embedding)
        return Voice(
            embedding=embedding,
            f0_hz=clip(traits.f0_hz * 2 ** (f0_shift_semitones(male, face.age) / 12), F0_HZ),
            f0_range_semitones=traits.f0_range_semitones,
            tract=clip(traits.tract * tract_factor(male, face.age), TRACT),
        )

    def _individuality(self, identity: NDArray[np.float32], draw: int) -> NDArray[np.float64]:
        """What sets this face's voice apart, ``[K]``, about unit variance per direction."""
        angles = self._space.waves.astype(np.float64) @ identity + self._space.phases
        rotation = np.linalg.matrix_power(self._space.rotation.astype(np.float64), draw)
        return np.asarray(rotation @ (np.sqrt(2) * np.cos(angles)), dtype=np.float64)

    def _embedding(self, male: float, individuality: NDArray[np.float64]) -> NDArray[np.float32]:
        """Unit vector ``[256]``, no entry negative, as the speaker encoder's."""
        space = self._space
        mean = (1 - male) * space.mean_female + male * space.mean_male
        spread = (1 - male) * space.spread_female + male * space.spread_male
        embedding = np.maximum(mean + space.basis @ (spread @ individuality), 0)
        return np.asarray(embedding / np.linalg.norm(embedding), dtype=np.float32)


def _decided(male: float) -> float:
    """``male`` with its ends made firm, and no steeper between them than need be.

    A score wanders by 0.03 from picture to picture (95 % of faces of AVSpeech): at worst half a semitone.
    """
    t = clip((male - 0.1) / 0.8, (0.0, 1.0))
    return t * t * (3 - 2 * t)
