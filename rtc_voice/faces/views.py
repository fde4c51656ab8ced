"""Which parts of a picture to search for faces.

MediaPipe's detector sees any picture at 128 px, so it misses a face below about an eighth of the picture's width; in a
part cut around the face it finds the same face down to 30 px. A search costs 1 ms, and 5.5 ms for each face found (one
core), so known faces are searched for where they were, and new ones in one further part at a time.
"""

from collections.abc import Iterable

import numpy as np

from rtc_voice.faces.types import Picture

Box = tuple[float, float, float, float]
"""Left, top, right, bottom in px; may reach beyond the picture."""

REACH = 1.0  # of a face's size: searched on each side of where it was
SEARCHABLE = 6.0  # the widest part that still shows a face well, in sizes of its smallest face
OVERLAP = 1 / 3  # of a tile, so that no face lies on a border
SHRINK = 0.6  # from one size of tiles to the next
SMALLEST_TILE = 256  # px: shows a face of 32 px, and smaller ones make no voice


def whole(picture: Picture) -> Box:
    """All of the picture."""
    return 0, 0, picture.shape[1], picture.shape[0]


def bordered(picture: Picture) -> Box:
    """All of the picture with a quarter more on each side: shows a face that fills the picture."""
    height, width = picture.shape[:2]
    return -width / 4, -height / 4, 1.25 * width, 1.25 * height


def tiles(picture: Picture, levels: int | None = None) -> list[Box]:
    """Overlapping squares, the large ones first; all sizes down to ``SMALLEST_TILE``, or the first ``levels``."""
    height, width = picture.shape[:2]
    found: list[Box] = []
    side = SHRINK * max(width, height)
    while side >= SMALLEST_TILE and levels != 0:
        starts = [(x, y) for y in _starts(height, side) for x in _starts(width, side)]
        found += [(x, y, min(x + side, width), min(y + side, height)) for x, y in starts]
        side *= SHRINK
        levels = levels and levels - 1
    return found


def around(faces: Iterable[Box]) -> list[Box]:
    """One part per face with room to move, or one for several that stand close: each is then searched for once."""
    parts: list[tuple[Box, float]] = []  # with the size of the smallest face in it
    for face in faces:
        size = max(face[2] - face[0], face[3] - face[1])
        part, smallest = grow(face, REACH * size), size
        for other in list(parts):
            union, least = _union(part, other[0]), min(smallest, other[1])
            if overlap(part, other[0]) and max(union[2] - union[0], union[3] - union[1]) <= SEARCHABLE * least:
                parts.remove(other)
                part, smallest = union, least
        parts.append((part, smallest))
    return [part for part, _ in parts]


def cut(picture: Picture, view: Box) -> tuple[Picture, tuple[int, int]]:
    """The part of the picture, black where it reaches beyond, and its left and top in px."""
    left, top, right, bottom = (round(edge) for edge in view)
    part = np.zeros((max(bottom - top, 1), max(right - left, 1), 3), np.uint8)
    inside = picture[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)]
    y, x = max(-top, 0), max(-left, 0)
    part[y : y + inside.shape[0], x : x + inside.shape[1]] = inside
    return part, (left, top)


def erase(picture: Picture, box: Box) -> None:
    """Paint the box grey, in place."""
    left, top, right, bottom = (max(round(edge), 0) for edge in box)
    picture[top:bottom, left:right] = 128


def grow(box: Box, margin: float) -> Box:
    """The box with ``margin`` px more on each side."""
    return box[0] - margin, box[1] - margin, box[2] + margin, box[3] + margin


def overlap(one: Box, other: Box) -> float:
    """The common area over the smaller box's area."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    return width * height / min(area(one), area(other))


def area(box: Box) -> float:
    """In square px."""
    return (box[2] - box[0]) * (box[3] - box[1])


def _union(one: Box, other: Box) -> Box:
    return min(one[0], other[0]), min(one[1], other[1]), max(one[2], other[2]), max(one[3], other[3])


def _starts(length: float, side: float) -> list[float]:
    if side >= length:
        return [0.0]
    count = int(np.ceil((length - side) / (side * (1 - OVERLAP)))) + 1
    return [float(start) for start in np.linspace(0, length - side, count)]
