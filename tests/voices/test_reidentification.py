"""Who gets which voice while people move: the tracker and the estimates together, on pictures of two people."""

from collections.abc import Iterable, Iterator

import numpy as np
import pytest

from benchmarks.scenes import astronaut, crossing, somebody_else
from rtc_voice.faces.embedding import FaceEmbedder
from rtc_voice.faces.tracker import FaceTracker
from rtc_voice.faces.types import Picture
from rtc_voice.voices.average import VoiceEstimate
from rtc_voice.voices.predictor import load_predictor
from rtc_voice.voices.types import Voice


def seats(left: Picture | None, right: Picture | None) -> Picture:
    """Two seats side by side, grey where nobody sits."""
    empty = np.full((480, 320, 3), 128, np.uint8)
    return np.hstack([empty if seat is None else seat[:480, 60:380] for seat in (left, right)])


class Room:
    """Watches pictures as a call does."""

    def __init__(self, embedder: FaceEmbedder, middle: int = 320, picture_ms: float = 200.0) -> None:
        self._embedder = embedder
        self._middle, self._picture_ms = middle, picture_ms
        self._predictor = load_predictor()
        self.estimates: dict[int, VoiceEstimate] = {}

    def watch(self, pictures: Iterable[Picture]) -> Iterator[dict[str, Voice | None]]:
        """The voice at the left and at the right seat in each picture."""
        with FaceTracker(identify=self._embedder.identify) as tracker:
            for n, picture in enumerate(pictures):
                voices: dict[str, Voice | None] = {}
                for face in tracker.track(picture, n * self._picture_ms):
                    estimate = self.estimates.setdefault(face.id, VoiceEstimate(self._predictor, good_frames=3))
                    if not estimate.frozen:
                        estimate.add(self._embedder.embed(picture, face), face.quality.score)
                    voices["left" if face.box[0] + face.box[2] < 2 * self._middle else "right"] = estimate.voice
                yield voices


@pytest.fixture(scope="module")
def embedder() -> FaceEmbedder:
    return FaceEmbedder()


def test_who_leaves_and_returns_keeps_the_voice(embedder: FaceEmbedder) -> None:
    one, two = astronaut(), somebody_else()
    together, alone = [seats(one, two)] * 5, [seats(one, None)] * 20  # four seconds: longer than a place is remembered
    room = Room(embedder)
    seen = list(room.watch([*together, *alone, *together]))
    first, second = seen[4]["left"], seen[4]["right"]
    assert first is not None and second is not None
    assert first.embedding @ second.embedding < 0.95
    assert "right" not in seen[20]
    assert seen[20]["left"] is first
    assert seen[-1]["left"] is first and seen[-1]["right"] is second
    assert len(room.estimates) == 2


def test_who_swaps_places_takes_the_voice_along(embedder: FaceEmbedder) -> None:
    pictures = [picture for picture, _, _ in crossing(40)]
    room = Room(embedder, middle=400, picture_ms=33.0)
    seen = list(room.watch([*[pictures[0]] * 4, *pictures, *[pictures[-1]] * 2]))
    first, second = seen[3]["left"], seen[3]["right"]
    assert first is not None and second is not None and first is not second
    assert seen[-1]["left"] is second and seen[-1]["right"] is first


def test_a_face_too_poor_waits_instead_of_guessing(embedder: FaceEmbedder) -> None:
    dark = (astronaut() * 0.06).astype(np.uint8)
    room = Room(embedder)
    seen = list(room.watch([seats(dark, None)] * 4 + [seats(astronaut(), None)] * 2))
    assert all(voices.get("left") is None for voices in seen[:4])
    assert seen[-1]["left"] is not None
