"""The synthetic voices that are shipped to compare others with; none is a person's."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open

from rtc_voice.voices.types import Voice

WEIGHTS = Path(__file__).parents[1] / "assets" / "voices.safetensors"


@dataclass(frozen=True, slots=True)
class Shelf:
    """N named voices in the speaker encoder's space."""

    names: list[str]
    embeddings: NDArray[np.float32]  # ``[N, 256]``
    f0_hz: NDArray[np.float32]  # ``[N]``

    @classmethod
    def load(cls, path: Path = WEIGHTS) -> Self:
        """The shipped voices."""
        with safe_open(path, "numpy") as file:
            names = json.loads(file.metadata()["names"])
            return cls(names, *(file.get_tensor(name).astype(np.float32) for name in ("embeddings", "f0_hz")))

    def nearest(self, voice: Voice, count: int = 3) -> list[tuple[str, float]]:
        """The names of the most similar voices and their cosines with ``voice``, the best first."""
        cosines = self.embeddings @ voice.embedding
        return [(self.names[i], float(cosines[i])) for i in np.argsort(-cosines)[:count]]
