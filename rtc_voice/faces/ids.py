"""Keeps one id on one person while faces move, hide, cross and come back."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from rtc_voice.faces.views import Box

Look = Callable[[int], NDArray[np.float32] | None]
"""The identity of a box of this picture by its index; None when it cannot be judged. Costs a network run."""

FRESH_MS = 300.0  # up to here a face is simply where it was going
MEMORY_MS = 2000.0  # how long a place is remembered
ACQUAINTANCE_MS = 600_000.0  # how long a look is remembered
CHECK_MS = 2000.0  # how often a face is compared with whom we take it for
REACH = 1.0  # of its size: how far a face gets between two pictures
CLEAR = 0.5  # a match is clear when any other is worse by this much
SAME = 0.5  # L2 between identities of one person; of two people 0.8, and 0.65 for the closest 5 % of pairs
OTHER = 0.6  # above this it is somebody else (dlib's threshold)


@dataclass(slots=True)
class Track:
    """One person, seen or remembered."""

    id: int
    box: NDArray[np.float64]
    seen_ms: float
    velocity: NDArray[np.float64] = field(default_factory=lambda: np.zeros(2))  # px per ms
    identity: NDArray[np.float32] | None = None
    checked_ms: float = -np.inf

    def distance(self, box: NDArray[np.float64], time_ms: float) -> float:
        """How far ``box`` is from where this face should be now, in face sizes."""
        coast = min(time_ms - self.seen_ms, FRESH_MS)
        apart = np.linalg.norm(_centre(box) - _centre(self.box) - coast * self.velocity)
        return float(apart / _size(self.box) + abs(np.log(_size(box) / _size(self.box))))

    def move(self, box: NDArray[np.float64], time_ms: float) -> None:
        """Take ``box`` as the new place."""
        step = (_centre(box) - _centre(self.box)) / max(time_ms - self.seen_ms, 1.0)
        self.velocity = 0.5 * self.velocity + 0.5 * step if time_ms - self.seen_ms < FRESH_MS else np.zeros(2)
        self.box, self.seen_ms = box, time_ms

    def unlike(self, identity: NDArray[np.float32] | None) -> float:
        """L2 to the remembered identity; infinite when either is unknown."""
        if identity is None or self.identity is None:
            return float(np.inf)
        return float(np.linalg.norm(self.identity - identity))


class FaceIds:
    """Gives each box of a picture the id of the person it shows.

    A face that is clearly where it was going keeps its id by motion alone, which costs nothing. Where that is not
    clear (faces cross, a face is new, or was away) its look decides; and every ``CHECK_MS`` a look confirms the id, so
    that a cut in the picture does not hand one person's voice to another.
    """

    def __init__(self) -> None:
        self._tracks: list[Track] = []
        self._next_id = 0

    def assign(self, boxes: Sequence[Box], time_ms: float, look: Look) -> list[int]:
        """The id of each box, all different.

        Args:
            boxes: left, top, right, bottom in px.
            time_ms: of the picture; must not go back.
            look: called only for the boxes whose look is needed.
        """
        self._forget(time_ms)
        places = [np.asarray(box, np.float64) for box in boxes]
        looks = _Looks(look)
        found = self._by_motion(places, time_ms)
        self._confirm(found, looks, time_ms)
        self._by_look(found, places, looks, time_ms)
        for index, place in enumerate(places):
            if index not in found:
                found[index] = self._meet(place, time_ms)
            found[index].move(place, time_ms)
            self._remember(found, index, looks, time_ms)
        return [found[index].id for index in range(len(places))]

    def _by_motion(self, places: list[NDArray[np.float64]], time_ms: float) -> dict[int, Track]:
        """Only the clear cases: a fresh track and a box that have no near rival on either side."""
        fresh = [track for track in self._tracks if time_ms - track.seen_ms <= FRESH_MS]
        if not fresh or not places:
            return {}
        cost = np.array([[track.distance(place, time_ms) for track in fresh] for place in places])
        found = {}
        for index, row in enumerate(cost):
            best = int(row.argmin())
            rivals = np.concatenate([np.delete(row, best), np.delete(cost[:, best], index)])
            if row[best] < REACH and not np.any(rivals < row[best] + CLEAR):
                found[index] = fresh[best]
        return found

    def _confirm(self, found: dict[int, Track], looks: "_Looks", time_ms: float) -> None:
        """Drop a match by motion when the face has become somebody else's."""
        for index, track in list(found.items()):
            due = track.identity is not None and time_ms - track.checked_ms > CHECK_MS
            if due and OTHER < track.unlike(looks[index]) < np.inf:
                del found[index]

    def _by_look(
        self, found: dict[int, Track], places: list[NDArray[np.float64]], looks: "_Looks", time_ms: float
    ) -> None:
        """Match what is left: by look where both are known, else by place; the best pairs first."""
        taken = {track.id for track in found.values()}
        free = [track for track in self._tracks if track.id not in taken]
        open_boxes = [index for index in range(len(places)) if index not in found]
        pairs = [(self._cost(track, places[i], looks[i], time_ms), i, track) for i in open_boxes for track in free]
        for cost, index, track in sorted(pairs, key=lambda pair: pair[0]):
            if cost < 1 and index not in found and track.id not in taken:
                found[index] = track
                taken.add(track.id)

    def _cost(
        self, track: Track, place: NDArray[np.float64], identity: NDArray[np.float32] | None, time_ms: float
    ) -> float:
        """Below 1 for a possible match: by look, less strictly where the place fits too; else by place alone."""
        away_ms = time_ms - track.seen_ms
        reach = REACH * (1 + away_ms / MEMORY_MS)
        apart = track.distance(place, time_ms) / reach if away_ms <= MEMORY_MS else float(np.inf)
        unlike = track.unlike(identity)
        return unlike / (OTHER if apart < 1 else SAME) if unlike < np.inf else apart

    def _meet(self, place: NDArray[np.float64], time_ms: float) -> Track:
        track = Track(self._next_id, place, time_ms)
        self._next_id += 1
        self._tracks.append(track)
        return track

    def _remember(self, found: dict[int, Track], index: int, looks: "_Looks", time_ms: float) -> None:
        """Learn the look of a face when it is first good, and refresh it now and then.

        A face met in profile gets its first look late; if that is somebody we know, it takes their place again.
        """
        track = found[index]
        if time_ms - track.checked_ms <= CHECK_MS:
            return
        identity = looks[index]
        if identity is None:
            return
        if track.identity is None:
            track = found[index] = self._recognise(track, identity, {t.id for t in found.values()})
        old = identity if track.identity is None else track.identity
        track.identity = (0.8 * old + 0.2 * identity).astype(np.float32)
        track.checked_ms = time_ms

    def _recognise(self, track: Track, identity: NDArray[np.float32], taken: set[int]) -> Track:
        known = [other for other in self._tracks if other.id not in taken and other.unlike(identity) < SAME]
        if not known:
            return track
        friend = min(known, key=lambda other: other.unlike(identity))
        friend.box, friend.velocity, friend.seen_ms = track.box, track.velocity, track.seen_ms
        self._tracks.remove(track)
        return friend

    def _forget(self, time_ms: float) -> None:
        def is_kept(track: Track) -> bool:
            limit = MEMORY_MS if track.identity is None else ACQUAINTANCE_MS
            return time_ms - track.seen_ms <= limit

        self._tracks = [track for track in self._tracks if is_kept(track)]


class _Looks:
    """The looks asked for in one picture, each made once."""

    def __init__(self, look: Look) -> None:
        self._look = look
        self._made: dict[int, NDArray[np.float32] | None] = {}

    def __getitem__(self, index: int) -> NDArray[np.float32] | None:
        if index not in self._made:
            self._made[index] = self._look(index)
        return self._made[index]


def _centre(box: NDArray[np.float64]) -> NDArray[np.float64]:
    return (box[:2] + box[2:]) / 2


def _size(box: NDArray[np.float64]) -> float:
    return max(float(np.linalg.norm(box[2:] - box[:2])), 1.0)
