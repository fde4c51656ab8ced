"""Cuts faces out of pictures the way the networks were trained to see them."""

import cv2
import numpy as np
from numpy.typing import NDArray

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
    target = (TEMPLATE + padding) / (1 + 2 * padding) * size
    return warp(picture, fit_similarity(landmarks[list(FIVE_POINTS)], target), size)


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


def upright_box_crop(
    picture: Picture, box: tuple[float, float, float, float], padding: float, *, size: int = 112
) -> Picture:
    """The box grown by ``padding`` of its sides, cut at the picture's edge, centred on black, ``[size, size, 3]``.

    Args:
        picture: RGB.
        box: left, top, right, bottom in px.
        padding: share of the box's width and height added on each side.
        size: side of the result, px.
    """
    left, top, right, bottom = box
    grow_x, grow_y = padding * (right - left), padding * (bottom - top)
    rows = slice(max(0, round(top - grow_y)), max(1, round(bottom + grow_y)))
    columns = slice(max(0, round(left - grow_x)), max(1, round(right + grow_x)))
    crop = picture[rows, columns]
    height, width = crop.shape[:2]
    square = np.zeros((max(height, width, 1), max(height, width, 1), 3), np.uint8)
    y, x = (len(square) - height) // 2, (len(square) - width) // 2
    square[y : y + height, x : x + width] = crop
    method = cv2.INTER_AREA if len(square) > size else cv2.INTER_LINEAR
    return cv2.resize(square, (size, size), interpolation=method)  # type: ignore[return-value]
