"""Views of a face that stay the same when only the picture changes: its size, its light, a pixel here or there.

A network's answer jumps with all three, and a voice with it. So every view is blurred to one sharpness and brought to
one brightness, and a face is shown several times, a little moved, for the answers to be averaged.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rtc_voice.faces.align import TEMPLATE, five_point_similarity
from rtc_voice.faces.opencv import cv2
from rtc_voice.faces.types import Picture

Views = NDArray[np.float32]
"""RGB 0 to 255 and, once brightened, beyond: ``[views, S, S, 3]``."""

Nudge = tuple[float, float, float]
"""Right and down in sides of the view, and a zoom about its middle."""

STILL: Nudge = (0.0, 0.0, 1.0)
# As far to the right as to the left, so that a mirrored picture gets the same views.
CHIP_NUDGES: tuple[Nudge, ...] = (
    (-0.015, 0.015, 1.03),
    (0.015, 0.015, 1.03),
    (-0.015, -0.015, 0.97),
    (0.015, -0.015, 0.97),
)
UPRIGHT_NUDGES: tuple[Nudge, ...] = (
    (-0.03, 0.02, 1.03),
    (0.03, 0.02, 1.03),
    (-0.03, -0.02, 0.96),
    (0.03, -0.02, 0.96),
    (0.0, 0.0, 1.07),
    (0.0, 0.0, 0.92),
)

CHIP_BLUR = 2.2  # px of the view: a face of 50 px is no less sharp
UPRIGHT_BLUR = 0.85  # px of the view; more makes people younger, and the sexes alike
# Variance in px of the picture: what the camera's pixels and our bilinear sampling have blurred already. Without it a
# picture of half the size is the more blurred one: identities moved by 0.046 (L2, median) in place of 0.030.
PIXEL_BLUR = 0.12
LEAST_BLUR = 0.2  # px of the picture
# Height of MediaPipe's mesh over the root mean square distance from its centre, median of 169 faces of AVSpeech, and
# 5 % more on each side. From all 478 points a face's place wanders half as much as from the outermost ones.
UPRIGHT_SIDE = 3.34 * 1.1
LUMA = np.array([0.299, 0.587, 0.114], np.float32)
MEAN_LUMA = 115.0  # of the middle of a view
LARGEST_GAIN = 4.0


def chip_views(
    picture: Picture, landmarks: NDArray[np.float32], size: int, nudges: Sequence[Nudge] = CHIP_NUDGES
) -> Views:
    """The face turned upright on dlib's template, as the recognition net was trained.

    Args:
        picture: RGB.
        landmarks: MediaPipe's, px, ``[478, 2]``.
        size: side of each view, px.
        nudges: one for each view.
    """
    similarity = five_point_similarity(landmarks, size, padding=0.25)
    # The template's middle onto the view's, or a mirrored face would come out a pixel off.
    similarity[0, 2] += (size - 1) / 2 - (TEMPLATE[:, 0].mean() + 0.25) / 1.5 * size
    return _views(picture, similarity, size, nudges, CHIP_BLUR)


def upright_views(
    picture: Picture, landmarks: NDArray[np.float32], size: int, nudges: Sequence[Nudge] = UPRIGHT_NUDGES
) -> Views:
    """A square around the face, not turned, as the attribute net was trained; arguments as ``chip_views``."""
    centre = landmarks.mean(axis=0).astype(np.float64)
    spread = float(np.sqrt(np.square(landmarks - centre).sum(axis=1).mean()))
    scale = size / max(UPRIGHT_SIDE * spread, 1.0)
    shift = (size - 1) / 2 - scale * centre
    similarity = np.array([[scale, 0.0, shift[0]], [0.0, scale, shift[1]]])
    return _views(picture, similarity, size, nudges, UPRIGHT_BLUR)


def _views(
    picture: Picture, similarity: NDArray[np.float64], size: int, nudges: Sequence[Nudge], blur_px: float
) -> Views:
    part, similarity = _smooth(picture, similarity, size, blur_px)
    views = np.stack(
        [cv2.warpAffine(part, _nudged(similarity, nudge, size), (size, size)) for nudge in nudges], dtype=np.float32
    )
    middle = views[:, size // 4 : size - size // 4, size // 4 : size - size // 4]
    luma = max(float((middle @ LUMA).mean()), 1.0)
    return views * np.float32(np.clip(MEAN_LUMA / luma, 1 / LARGEST_GAIN, LARGEST_GAIN))


def _smooth(
    picture: Picture, similarity: NDArray[np.float64], size: int, blur_px: float
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """The part of the picture that the views show, blurred to their sharpness, and the similarity from it."""
    part, similarity = _cut_out(picture, similarity, size)
    scale = float(np.hypot(similarity[0, 0], similarity[1, 0]))
    # A large face is first averaged down by a whole factor, which costs less than a wide blur.
    shrink = int(np.clip(1 / scale, 1, min(part.shape[:2])))
    height, width = (side // shrink for side in part.shape[:2])
    small = cv2.resize(part[: height * shrink, : width * shrink], (width, height), interpolation=cv2.INTER_AREA)
    # The centre of small pixel i lies at shrink * i + (shrink - 1) / 2 of the large ones.
    half = (shrink - 1) / 2
    similarity = similarity @ np.array([[shrink, 0, half], [0, shrink, half], [0, 0, 1]])
    missing = (blur_px / scale / shrink) ** 2 - PIXEL_BLUR
    blurred = cv2.GaussianBlur(small.astype(np.float32), (0, 0), max(missing, LEAST_BLUR**2) ** 0.5)
    return np.asarray(blurred, dtype=np.float32), similarity


def _cut_out(picture: Picture, similarity: NDArray[np.float64], size: int) -> tuple[Picture, NDArray[np.float64]]:
    """The part of the picture under the view, with room for the nudges, and the similarity from it."""
    corners = (np.array([[0, 0], [0, 1], [1, 0], [1, 1]]) * 1.2 - 0.1) * size
    turn = similarity[:, :2]
    there = (corners - similarity[:, 2]) @ np.linalg.inv(turn).T
    height, width = picture.shape[:2]
    left, top = np.clip(np.floor(there.min(axis=0)), 0, (width - 1, height - 1)).astype(int)
    right, bottom = np.clip(np.ceil(there.max(axis=0)), (left + 1, top + 1), (width, height)).astype(int)
    return picture[top:bottom, left:right], np.column_stack([turn, similarity[:, 2] + turn @ (left, top)])


def _nudged(similarity: NDArray[np.float64], nudge: Nudge, size: int) -> NDArray[np.float64]:
    right, down, zoom = nudge
    middle = (size - 1) / 2
    step = [[0, 0, (1 - zoom) * middle + right * size], [0, 0, (1 - zoom) * middle + down * size]]
    return np.asarray(zoom * similarity + np.array(step), dtype=np.float64)
