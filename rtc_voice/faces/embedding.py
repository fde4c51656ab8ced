"""Turns a face into numbers: who it is, and how it comes across."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rtc_voice.faces.align import five_point_chip, upright_box_crop
from rtc_voice.faces.nets import ATTRIBUTE_SIZE, RECOGNITION_SIZE, load_attribute_net, load_recognition_net
from rtc_voice.faces.types import Face, FaceEmbedding, Picture

SEX_PADDING = 0.2  # of the landmark box; a tight box costs accuracy in sex, a wide one in age
AGE_PADDING = 0.0


class FaceEmbedder:
    """The bundled networks, loaded once for all participants.

    Everything is the mean over the face and its mirror image, so a mirrored portrait says the same.
    """

    def __init__(self) -> None:
        self._recognition = load_recognition_net()
        self._attributes = load_attribute_net()

    def embed(self, picture: Picture, face: Face) -> FaceEmbedding:
        """What the networks say of ``face`` in ``picture``; ``face`` comes from the tracker or from ``find_faces``."""
        wide, tight = (
            upright_box_crop(picture, face.box, padding, size=ATTRIBUTE_SIZE) for padding in (SEX_PADDING, AGE_PADDING)
        )
        with torch.inference_mode():
            ages, males = self._attributes(_with_mirror_images(wide, tight))
        return FaceEmbedding(
            identity=self.identify(picture, face.landmarks),
            male=float(males[:2].mean()),
            age=float(ages[2:].mean()),
        )

    def identify(self, picture: Picture, landmarks: NDArray[np.float32]) -> NDArray[np.float32]:
        """The identity alone, ``[128]``: one person's lie within about 0.5 (L2) of each other.

        Args:
            picture: RGB.
            landmarks: MediaPipe's, px, ``[478, 2]``.
        """
        chip = five_point_chip(picture, landmarks, size=RECOGNITION_SIZE)
        with torch.inference_mode():
            identity: NDArray[np.float32] = self._recognition(_with_mirror_images(chip)).mean(dim=0).numpy()
        return identity


def _with_mirror_images(*chips: Picture) -> Tensor:
    """Each chip and its mirror image, one after the other, ``[2 N, 3, S, S]``."""
    batch = np.stack([view for chip in chips for view in (chip, chip[:, ::-1])])
    # channels_last strides come free from the pictures' own order, and convolve twice as fast on a CPU.
    return torch.from_numpy(batch).permute(0, 3, 1, 2).float()
