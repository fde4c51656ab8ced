"""Finds the faces of a picture, and follows those of a video."""

from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from rtc_voice.errors import PictureError
from rtc_voice.faces.ids import FaceIds
from rtc_voice.faces.landmarker import Landmarker
from rtc_voice.faces.quality import judge
from rtc_voice.faces.types import Face, Picture
from rtc_voice.faces.views import Box, area, around, bordered, erase, overlap, tiles, whole

Identify = Callable[[Picture, NDArray[np.float32]], NDArray[np.float32]]
"""A picture and landmarks ``[478, 2]`` to the identity of that face, ``[128]``."""

MAX_FACES = 8
RECOGNISABLE = 0.2  # quality above which an identity is worth comparing
SCOUTED, SCOUTED_BESIDE = 2, 1  # parts of each picture searched for new faces, in turn, without and beside known ones
ONE_FACE = 0.5  # two boxes that share this much show the same face


class FaceTracker:
    """Follows the faces of one video, each under an id of its own.

    Args:
        max_faces: more are not looked for.
        identify: tells people apart where their motion does not; without it only motion counts.

    Raises:
        MissingPartError: mediapipe or a system library it needs is not installed.
    """

    def __init__(self, max_faces: int = MAX_FACES, identify: Identify | None = None) -> None:
        self._landmarker = Landmarker(max_faces)
        self._max_faces = max_faces
        self._ids = FaceIds()
        self._identify = identify
        self._places: list[Box] = []
        self._turn = 0

    def track(self, picture: Picture, time_ms: float) -> list[Face]:
        """The faces of the next picture.

        Args:
            picture: RGB; its size may change from one to the next.
            time_ms: of the picture; must not go back.

        Raises:
            PictureError: not an RGB picture of 8 bits, or an empty one.
        """
        check_picture(picture)
        shapes = self._find(picture)
        qualities = [judge(picture, landmarks) for landmarks in shapes]
        boxes = self._places = [bounding_box(landmarks) for landmarks in shapes]

        def look(index: int) -> NDArray[np.float32] | None:
            if self._identify is None or qualities[index].score < RECOGNISABLE:
                return None
            return self._identify(picture, shapes[index])

        ids = self._ids.assign(boxes, time_ms, look)
        return [Face(*parts) for parts in zip(ids, boxes, shapes, qualities, strict=True)]

    def _find(self, picture: Picture) -> list[NDArray[np.float32]]:
        """Landmarks of the faces near their last places, and of new ones in the parts whose turn it is."""
        known = self._search(picture, around(self._places))
        rest = picture
        if known:
            # Hidden, known faces do not cost the time for their landmarks again.
            rest = picture.copy()
            for shape in known:
                erase(rest, bounding_box(shape))
        parts = [whole(picture), *tiles(picture)]
        count = min(SCOUTED_BESIDE if known else SCOUTED, len(parts))
        chosen = [parts[(self._turn + n) % len(parts)] for n in range(count)]
        self._turn += len(chosen)
        return distinct([*known, *self._search(rest, chosen)])[: self._max_faces]

    def _search(self, picture: Picture, parts: list[Box]) -> list[NDArray[np.float32]]:
        return distinct(shape for part in parts for shape in self._landmarker.find(picture, part))

    def close(self) -> None:
        """Free MediaPipe's threads."""
        self._landmarker.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def find_faces(picture: Picture, landmarker: Landmarker | None = None) -> list[Face]:
    """The faces of one photo, the largest first; their ids count from 0.

    Making a landmarker takes a tenth of a second: who looks at many photos hands one over.

    Where the whole picture shows none, it is tried with a border (a face that fills the picture: 6 of 11 such were
    found so), then in overlapping quarters (a small face: MediaPipe needs a tenth of the width).

    Raises:
        PictureError: not an RGB picture of 8 bits, or an empty one.
        MissingPartError: mediapipe or a system library it needs is not installed.
    """
    check_picture(picture)
    if landmarker is None:
        # Not kept for the next photo: left to the end of the program, mediapipe's finaliser hangs or raises.
        with Landmarker(MAX_FACES) as once:
            return find_faces(picture, once)
    found: list[tuple[Box, NDArray[np.float32]]] = []
    for parts in ([whole(picture)], [bordered(picture)], tiles(picture, levels=1)):
        shapes = distinct(shape for part in parts for shape in landmarker.find(picture, part))
        found = sorted(((bounding_box(shape), shape) for shape in shapes), key=lambda pair: -area(pair[0]))
        if found:
            break
    return [Face(index, box, shape, judge(picture, shape)) for index, (box, shape) in enumerate(found)]


def check_picture(picture: Picture) -> None:
    """Raises ``PictureError`` unless it is RGB, 8 bits, ``[height, width, 3]`` and not empty."""
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3 or not picture.size:
        raise PictureError(f"a picture of {picture.dtype} {picture.shape}", "needed: uint8 [height, width, 3]")


def bounding_box(landmarks: NDArray[np.float32]) -> Box:
    """Left, top, right, bottom of the landmarks, px."""
    left, top = landmarks.min(axis=0)
    right, bottom = landmarks.max(axis=0)
    return float(left), float(top), float(right), float(bottom)


def distinct(shapes: Iterable[NDArray[np.float32]]) -> list[NDArray[np.float32]]:
    """Each face once, although overlapping parts show it twice."""
    kept: list[NDArray[np.float32]] = []
    for shape in shapes:
        if all(overlap(bounding_box(shape), bounding_box(other)) < ONE_FACE for other in kept):
            kept.append(shape)
    return kept
