"""What the room hands on: faces in a picture and what a network says of them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
"""One picture, RGB, ``[height, width, 3]``."""


@dataclass(frozen=True, slots=True)
class Quality:
    """How well a face can be judged from this picture; each part and the whole lie in [0, 1]."""

    size: float  # 1 from about 112 px between chin and brow
    frontality: float  # 1 looking into the camera, 0 in profile
    sharpness: float
    light: float  # 0 in the dark or burnt out

    @property
    def score(self) -> float:
        """The product of the parts: one bad part spoils a crop."""
        return self.size * self.frontality * self.sharpness * self.light


@dataclass(frozen=True, slots=True)
class Face:
    """One face in one picture."""

    id: int  # the same person's for as long as the tracker can follow
    box: tuple[float, float, float, float]  # left, top, right, bottom in px, upright
    landmarks: NDArray[np.float32]  # MediaPipe's 478 points in px, ``[478, 2]``
    quality: Quality


@dataclass(frozen=True, slots=True)
class FaceEmbedding:
    """What the networks say of one face."""

    identity: NDArray[np.float32]  # ``[128]``, face-api's recognition net, mean of the face and its mirror image
    male: float  # apparent sex as the attribute net scores it: 0 female to 1 male; an impression, no fact
    age: float  # apparent age in years


@dataclass(frozen=True, slots=True)
class SeenFace:
    """One face of one picture of a video, and what the networks say of it when this picture was worth asking them."""

    face: Face
    embedding: FaceEmbedding | None
