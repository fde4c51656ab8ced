"""Finds the faces of a picture, and follows those of a video."""

from collections.abc import Callable
from functools import cache
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from rtc_voice.faces.ids import Box, FaceIds
from rtc_voice.faces.landmarker import Landmarker
from rtc_voice.faces.quality import judge
from rtc_voice.faces.types import Face, Picture

Identify = Callable[[Picture, NDArray[np.float32]], NDArray[np.float32]]
"""A picture and landmarks ``[478, 2]`` to the identity of that face, ``[128]``."""

MAX_FACES = 8
RECOGNISABLE = 0.2  # quality above which an identity is worth comparing


class FaceTracker:
    """Follows the faces of one video, each under an id of its own.

    Args:
        max_faces: more are not looked for.
        identify: tells people apart where their motion does not; without it only motion counts.

    Raises:
        MissingPartError: mediapipe or a system library it needs is not installed.
    """

    def __init__(self, max_faces: int = MAX_FACES, identify: Identify | None = None) -> None:
        self._landmarker = Landmarker(max_faces, video=True)
        self._ids = FaceIds()
        self._identify = identify

    def track(self, picture: Picture, time_ms: float) -> list[Face]:
        """The faces of the next picture.

        Args:
            picture: RGB; its size may change from one to the next.
            time_ms: of the picture; must not go back.
        """
        shapes = self._landmarker.find(picture, time_ms)
        qualities = [judge(picture, landmarks) for landmarks in shapes]
        boxes = [bounding_box(landmarks) for landmarks in shapes]

        def look(index: int) -> NDArray[np.float32] | None:
            if self._identify is None or qualities[index].score < RECOGNISABLE:
                return None
            return self._identify(picture, shapes[index])

        ids = self._ids.assign(boxes, time_ms, look)
        return [Face(*parts) for parts in zip(ids, boxes, shapes, qualities, strict=True)]

    def close(self) -> None:
        """Free MediaPipe's threads."""
        self._landmarker.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def find_faces(picture: Picture) -> list[Face]:
    """The faces of one photo, the largest first; their ids count from 0.

    Raises:
        MissingPartError: mediapipe or a system library it needs is not installed.
    """
    shapes = _photo_landmarker().find(picture)
    found = sorted(((bounding_box(shape), shape) for shape in shapes), key=lambda pair: -_area(pair[0]))
    return [Face(index, box, shape, judge(picture, shape)) for index, (box, shape) in enumerate(found)]


def bounding_box(landmarks: NDArray[np.float32]) -> Box:
    """Left, top, right, bottom of the landmarks, px."""
    left, top = landmarks.min(axis=0)
    right, bottom = landmarks.max(axis=0)
    return float(left), float(top), float(right), float(bottom)


@cache
def _photo_landmarker() -> Landmarker:
    return Landmarker(MAX_FACES, video=False)


def _area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])
