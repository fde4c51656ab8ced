"""Pictures and videos with one or two people, made from one public-domain portrait."""

from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from rtc_voice.faces.picture import read_picture
from rtc_voice.faces.types import Picture

PORTRAITS = Path(str(files("rtc_voice") / "assets" / "portraits"))
HEAD = (slice(10, 210), slice(120, 330))  # rows and columns of the astronaut's head


def astronaut() -> Picture:
    """NASA's portrait, 512 px."""
    return read_picture(PORTRAITS / "astronaut.jpg")


def somebody_else() -> Picture:
    """The astronaut bent and recoloured half way to a stranger, as the recognition net sees it (L2 .53)."""
    picture = astronaut()
    for centre, radius, gain in (
        ((225, 136), 35, 0.48),  # nose
        ((225, 177), 60, -0.71),  # chin
        ((245, 103), 25, -0.54),  # eyes
        ((205, 103), 25, -0.54),
        ((225, 153), 35, 0.73),  # mouth
    ):
        picture = _bulge(picture, centre, radius, gain)
    widen = np.array([[1.17, 0, -0.17 * 225], [0, 1, 0]])
    picture = cv2.warpAffine(picture, widen, (512, 512), borderMode=cv2.BORDER_REPLICATE)  # type: ignore[assignment]
    tinted = picture.astype(np.float32) * (0.92, 0.94, 0.45)
    return tinted.astype(np.uint8)


def two_people(gap: int = 0) -> Picture:
    """Both side by side, 480 rows."""
    left, right = astronaut()[:480, 60:380], somebody_else()[:480, 60:380]
    return np.hstack([left, np.full((480, gap, 3), 128, np.uint8), right])


def crossing(frames: int, occluder: bool = False) -> Iterator[tuple[Picture, int, int]]:
    """Two heads that walk past each other on grey; yields the picture and the columns of both heads' centres.

    The first walks in front from left to right. With ``occluder``, a pillar in the middle hides each for a while.
    """
    front, back = astronaut()[HEAD], somebody_else()[HEAD]
    height, width = front.shape[:2]
    for share in np.linspace(0, 1, frames):
        canvas = np.full((480, 800, 3), 150, np.uint8)
        x_front, x_back = round(share * (800 - width)), round((1 - share) * (800 - width))
        canvas[140 : 140 + height, x_back : x_back + width] = back
        canvas[150 : 150 + height, x_front : x_front + width] = front
        if occluder:
            canvas[:, 330:470] = 60
        yield canvas, x_front + width // 2, x_back + width // 2


def _bulge(picture: Picture, centre: tuple[int, int], radius: int, gain: float) -> Picture:
    rows, columns = np.mgrid[: picture.shape[0], : picture.shape[1]].astype(np.float32)
    x, y = columns - centre[0], rows - centre[1]
    inside = np.clip(1 - np.hypot(x, y) / radius, 0, 1)
    scale: NDArray[np.float32] = (1 - gain * inside**2).astype(np.float32)
    bent = cv2.remap(picture, centre[0] + x * scale, centre[1] + y * scale, cv2.INTER_LINEAR)
    return bent  # type: ignore[return-value]
