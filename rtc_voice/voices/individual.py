"""What sets one face's voice apart from those of like faces: a seeded draw that stays with the face.

The identity embedding is turned into cosines of random projections (random Fourier features), whose correlation between
two faces falls with the distance of their embeddings alone. So the same person stays put from picture to picture, and
two people come out like two random speakers. It is a choice, not knowledge.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file


@dataclass(frozen=True, slots=True)
class Individuality:
    """Seeded waves in the space of identities, K of them; float32.

    Source:
        Rahimi and Recht 2007, Random features for large-scale kernel machines; orthogonal waves as in Yu et al. 2016,
        https://arxiv.org/abs/1610.09072.
    """

    waves: NDArray[np.float32]  # ``[K, 128]``, radians per unit of the identity embedding
    phases: NDArray[np.float32]  # ``[K]``, radians
    rotation: NDArray[np.float32]  # ``[K, K]``, from one draw to the next

    @classmethod
    def load(cls, path: Path) -> Self:
        """The waves in a safetensors file of a predictor."""
        stored = load_file(path)
        return cls(stored["waves"], stored["phases"], stored["rotation"])

    @classmethod
    def seeded(cls, seed: int, directions: int, bandwidth: float) -> Self:
        """New waves, the same for ever by their seed.

        Args:
            seed: of the generator.
            directions: K, at most 128.
            bandwidth: L2 between identities at which their values correlate by 0.61.
        """
        rng = np.random.default_rng(seed)
        waves = _orthogonal(rng, 128)[:directions] * np.sqrt(128) / bandwidth
        phases = rng.uniform(0, 2 * np.pi, directions)
        return cls(*(part.astype(np.float32) for part in (waves, phases, _orthogonal(rng, directions))))

    def of(self, identity: NDArray[np.float32], draw: int = 0) -> NDArray[np.float64]:
        """The values of one face, ``[K]``, about unit variance each; every ``draw`` is another turn of them."""
        angles = self.waves.astype(np.float64) @ identity + self.phases
        rotation = np.linalg.matrix_power(self.rotation.astype(np.float64), draw)
        return np.asarray(rotation @ (np.sqrt(2) * np.cos(angles)), dtype=np.float64)


def _orthogonal(rng: np.random.Generator, size: int) -> NDArray[np.float64]:
    q, r = np.linalg.qr(rng.standard_normal((size, size)))
    return np.asarray(q * np.sign(np.diag(r)))
