"""Turns a face into numbers: who it is, and how it comes across."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rtc_voice.faces.nets import ATTRIBUTE_SIZE, RECOGNITION_SIZE, load_attribute_net, load_recognition_net
from rtc_voice.faces.steady import STILL, Views, chip_views, upright_views
from rtc_voice.faces.types import Face, FaceEmbedding, Picture


class FaceEmbedder:
    """The bundled networks, loaded once for all participants.

    Everything is the mean over the face a little moved and over its mirror image, so that another picture of it, or a
    mirrored, smaller or darker one, says the same.
    """

    def __init__(self) -> None:
        self._recognition = load_recognition_net()
        self._attributes = load_attribute_net()

    def embed(self, picture: Picture, face: Face) -> FaceEmbedding:
        """What the networks say of ``face`` in ``picture``; ``face`` comes from the tracker or from ``find_faces``."""
        crops = _with_mirror_images(upright_views(picture, face.landmarks, ATTRIBUTE_SIZE))
        with torch.inference_mode():
            # Two by two: 30 ms for twelve on a core, and 48 all at once.
            pairs = [torch.stack(self._attributes(pair)) for pair in torch.split(crops, 2)]
        ages, males = torch.cat(pairs, dim=1)
        return FaceEmbedding(
            identity=self._identity(chip_views(picture, face.landmarks, RECOGNITION_SIZE)),
            male=float(males.mean()),
            age=float(ages.mean()),
        )

    def identify(self, picture: Picture, landmarks: NDArray[np.float32]) -> NDArray[np.float32]:
        """The identity alone from a single view, ``[128]``: one person's lie within about 0.5 (L2) of each other.

        Args:
            picture: RGB.
            landmarks: MediaPipe's, px, ``[478, 2]``.
        """
        return self._identity(chip_views(picture, landmarks, RECOGNITION_SIZE, [STILL]))

    def _identity(self, views: Views) -> NDArray[np.float32]:
        with torch.inference_mode():
            identity: NDArray[np.float32] = self._recognition(_with_mirror_images(views)).mean(dim=0).numpy()
        return identity


def _with_mirror_images(views: Views) -> Tensor:
    """The views and their mirror images, ``[2 * views, 3, S, S]``."""
    # The permuted pictures are already channels_last, as the networks like them.
    return torch.from_numpy(np.concatenate([views, views[:, :, ::-1]])).permute(0, 3, 1, 2)
