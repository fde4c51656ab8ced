from collections.abc import Iterable

import cv2
import numpy as np
import pytest

from benchmarks.scenes import PORTRAITS, astronaut, crossing, somebody_else, two_people
from rtc_voice.errors import PictureError
from rtc_voice.faces.embedding import FaceEmbedder
from rtc_voice.faces.picture import read_picture
from rtc_voice.faces.tracker import FaceTracker, find_faces
from rtc_voice.faces.types import Face, Picture


def centre(face: Face) -> float:
    return (face.box[0] + face.box[2]) / 2


def ids_of_both_heads(video: Iterable[tuple[Picture, int, int]], embedder: FaceEmbedder) -> tuple[set[int], set[int]]:
    """The ids under which the head in front and the one behind were ever seen."""
    front: set[int] = set()
    back: set[int] = set()
    with FaceTracker(identify=embedder.identify) as tracker:
        for n, (picture, x_front, x_back) in enumerate(video):
            for face in tracker.track(picture, 33 * n):
                is_front = abs(centre(face) - x_front) < abs(centre(face) - x_back)
                (front if is_front else back).add(face.id)
    return front, back


def test_a_photo_of_two_shows_two() -> None:
    faces = find_faces(two_people())
    assert sorted(centre(face) for face in faces) == pytest.approx([165, 485], abs=8)
    assert [face.id for face in faces] == [0, 1]


def test_the_landmarks_lie_on_the_face() -> None:
    (face,) = find_faces(astronaut())
    eyes_and_nose = face.landmarks[[33, 263, 1]]  # where they are, read off the picture
    np.testing.assert_allclose(eyes_and_nose, [[193, 98], [257, 103], [223, 131]], atol=6)


@pytest.mark.parametrize("width", [1400, 2400])
def test_a_small_face_in_a_large_photo_is_found(width: int) -> None:
    photo = np.full((900, width, 3), 128, np.uint8)
    photo[200:712, -600:-88] = astronaut()
    if width == 2400:  # beyond what the detector sees even in a quarter
        assert find_faces(photo[:, -1400:])
    else:
        (face,) = find_faces(photo)
        assert centre(face) == pytest.approx(1400 - 600 + 225, abs=4)


def test_a_face_that_fills_the_photo_is_found() -> None:
    close = cv2.resize(astronaut()[60:185, 170:280], (440, 500), interpolation=cv2.INTER_CUBIC)
    assert len(find_faces(close)) == 1  # type: ignore[arg-type]


def test_no_face_is_found_in_coffee() -> None:
    coffee = read_picture(PORTRAITS / "coffee.jpg")
    assert find_faces(coffee) == []
    with FaceTracker() as tracker:
        assert [tracker.track(coffee, 33 * n) for n in range(10)] == [[]] * 10


def test_ids_survive_a_crossing(embedder: FaceEmbedder) -> None:
    front, back = ids_of_both_heads(crossing(60), embedder)
    assert len(front) == len(back) == 1
    assert front != back


def test_ids_survive_a_pillar(embedder: FaceEmbedder) -> None:
    front, back = ids_of_both_heads(crossing(60, occluder=True), embedder)
    assert len(front) == len(back) == 1
    assert front != back


def test_a_second_small_face_is_noticed_within_a_second() -> None:
    picture = np.full((720, 1280, 3), 128, np.uint8)
    picture[100:612, 50:562] = astronaut()
    seen: list[int] = []
    with FaceTracker() as tracker:
        for n in range(60):
            if n == 10:
                small = cv2.resize(somebody_else(), (256, 256), interpolation=cv2.INTER_AREA)
                picture[300:556, 950:1206] = small
            seen.append(len(tracker.track(picture, 40 * n)))
    assert seen[9] == 1
    assert 2 in seen[10:35]
    assert seen[-1] == 2


def test_the_size_of_the_picture_may_change() -> None:
    with FaceTracker() as tracker:
        (large,) = tracker.track(astronaut(), 0)
        (small,) = tracker.track(astronaut()[::2, ::2], 200)
        assert small.box[0] == pytest.approx(large.box[0] / 2, abs=4)


def test_no_more_faces_than_asked_for() -> None:
    with FaceTracker(max_faces=1) as tracker:
        assert len(tracker.track(two_people(), 0)) == 1


@pytest.mark.parametrize("picture", [np.zeros((0, 0, 3), np.uint8), np.zeros((9, 9)), np.zeros((9, 9, 4), np.uint8)])
def test_what_is_no_picture_is_refused_and_does_no_harm(picture: Picture) -> None:
    with FaceTracker() as tracker:
        with pytest.raises(PictureError):
            tracker.track(picture, 0)
        assert len(tracker.track(astronaut(), 33)) == 1


def test_a_tiny_picture_has_no_face() -> None:
    assert find_faces(np.zeros((1, 1, 3), np.uint8)) == []
