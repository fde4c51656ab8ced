"""Cuts faces out of pictures the way the networks were trained to see them."""

import numpy as np
from numpy.typing import NDArray

from rtc_voice.faces.opencv import cv2
from rtc_voice.faces.types import Picture

FIVE_POINTS = (263, 362, 33, 133, 2)
"""MediaPipe's landmarks for dlib's five: left eye outer and inner, right eye outer and inner, base of the nose."""

TEMPLATE = np.array(
    [
        [0.8595674595992, 0.2134981538014],
        [0.6460604764104, 0.2289674387677],
        [0.1205750620789, 0.2137274526848],
        [0.3340850613712, 0.2290642403242],
        [0.4901123135679, 0.6277975316475],
    ]
)
"""Where the five points lie in a unit square around the face (dlib, ``get_face_chip_details``)."""


def fit_similarity(source: NDArray[np.floating], target: NDArray[np.floating]) -> NDArray[np.float64]:
    """The shift, turn and scale that bring ``source`` nearest to ``target`` (least squares), ``[2, 3]``.

    In the complex plane a similarity is ``y = a x + b``, so the fit is a division and a mirror image cannot come out.

    Args:
        source: points ``[N, 2]``.
        target: points ``[N, 2]``.

    Source:
        Umeyama 1991, https://doi.org/10.1109/34.88573, for two dimensions.
    """
    x, y = (points[:, 0].astype(np.float64) + 1j * points[:, 1] for points in (source, target))
    a = np.vdot(x - x.mean(), y - y.mean()) / np.vdot(x - x.mean(), x - x.mean()).real
    b = y.mean() - a * x.mean()
    return np.array([[a.real, -a.imag, b.real], [a.imag, a.real, b.imag]])


def five_point_chip(
    picture: Picture, landmarks: NDArray[np.float32], *, size: int = 150, padding: float = 0.25
) -> Picture:
    """The face turned upright, eyes and nose on dlib's template, ``[size, size, 3]``; black outside the picture.

    Args:
        picture: RGB.
        landmarks: MediaPipe's, px, ``[478, 2]``.
        size: side of the chip, px.
        padding: border around the template as a share of its side.
    """
    return warp(picture, five_point_similarity(landmarks, size, padding), size)


def five_point_similarity(landmarks: NDArray[np.float32], size: int, padding: float) -> NDArray[np.float64]:
    """The similarity ``[2, 3]`` from the picture to dlib's chip of ``size`` px."""
    target = (TEMPLATE + padding) / (1 + 2 * padding) * size
    return fit_similarity(landmarks[list(FIVE_POINTS)], target)


def warp(picture: Picture, similarity: NDArray[np.float64], size: int) -> Picture:
    """The picture under ``similarity``, cut to ``[size, size, 3]``.

    A large face is first averaged down by a whole factor: bilinear sampling alone would alias, and the same face would
    look different from near and from far.
    """
    shrink = int(1 / np.hypot(similarity[0, 0], similarity[1, 0]))
    if shrink > 1:
        height, width = (side // shrink for side in picture.shape[:2])
        picture = cv2.resize(  # type: ignore[assignment]
            picture[: height * shrink, : width * shrink], (width, height), interpolation=cv2.INTER_AREA
        )
        # The centre of small pixel i lies at shrink * i + (shrink - 1) / 2 of the large ones.
        similarity = similarity @ np.array([[shrink, 0, (shrink - 1) / 2], [0, shrink, (shrink - 1) / 2], [0, 0, 1]])
    return cv2.warpAffine(picture, similarity, (size, size), flags=cv2.INTER_LINEAR)  # type: ignore[return-value]
