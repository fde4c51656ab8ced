import numpy as np
from numpy.typing import NDArray

from rtc_voice.faces.ids import FaceIds
from rtc_voice.faces.views import Box

ANN = np.eye(128, dtype=np.float32)[0]
BEN = np.eye(128, dtype=np.float32)[1]  # L2 from ANN: 1.4


class Watcher:
    """Feeds boxes and looks, and counts how often a look was needed."""

    def __init__(self) -> None:
        self.ids = FaceIds()
        self.looked = 0

    def see(self, time_ms: float, *faces: tuple[float, NDArray[np.float32] | None]) -> list[int]:
        def look(index: int) -> NDArray[np.float32] | None:
            self.looked += 1
            return faces[index][1]

        return self.ids.assign([box(x) for x, _ in faces], time_ms, look)


def box(x: float) -> Box:
    return x, 100, x + 80, 200


def test_two_people_apart_keep_their_ids_and_are_looked_at_rarely() -> None:
    watcher = Watcher()
    seen = [watcher.see(33 * n, (100 + n, ANN), (400 - n, BEN)) for n in range(60)]
    assert seen == [[0, 1]] * 60
    assert watcher.looked == 2  # once each in 2 s


def test_order_of_the_boxes_does_not_matter() -> None:
    watcher = Watcher()
    assert watcher.see(0, (100, ANN), (400, BEN)) == [0, 1]
    assert watcher.see(33, (400, BEN), (100, ANN)) == [1, 0]


def test_faces_that_meet_and_turn_back_are_told_apart_by_look() -> None:
    watcher = Watcher()
    for n in range(20):  # both walk towards each other, so motion alone would have them cross
        watcher.see(50 * n, (100 + 10 * n, ANN), (500 - 10 * n, BEN))
    for n in range(20):
        assert watcher.see(1000 + 50 * n, (300 - 10 * n, ANN), (300 + 10 * n, BEN)) == [0, 1]


def test_motion_carries_unknown_faces_across_each_other() -> None:
    watcher = Watcher()
    for n in range(21):
        watcher.see(33 * n, (100 + 15 * n, None), (700 - 15 * n, None))
    for n in range(21, 41):
        assert watcher.see(33 * n, (700 - 15 * n, None), (100 + 15 * n, None)) == [1, 0]


def test_a_hidden_face_is_known_again_by_place() -> None:
    watcher = Watcher()
    watcher.see(0, (100, None))
    assert watcher.see(1500) == []
    assert watcher.see(1600, (110, None)) == [0]
    assert watcher.see(9000, (110, None)) == [1]  # too long ago


def test_who_leaves_and_comes_back_elsewhere_is_known_by_look() -> None:
    watcher = Watcher()
    watcher.see(0, (100, ANN), (300, BEN))
    watcher.see(1000)
    assert watcher.see(60_000, (600, BEN)) == [1]
    assert watcher.see(60_033, (600, BEN), (50, ANN)) == [1, 0]


def test_somebody_new_in_an_old_place_gets_a_new_id() -> None:
    watcher = Watcher()
    watcher.see(0, (100, ANN))
    assert watcher.see(1000, (100, BEN)) == [1]


def test_a_cut_to_another_face_is_noticed_within_two_seconds() -> None:
    watcher = Watcher()
    watcher.see(0, (100, ANN))
    ids = [watcher.see(33 * n, (100, BEN))[0] for n in range(1, 70)]
    assert ids[-1] == 1


def test_a_face_met_in_profile_takes_its_id_back_once_it_is_known() -> None:
    watcher = Watcher()
    watcher.see(0, (100, ANN))
    assert watcher.see(10_000, (500, None)) == [1]
    watcher.see(10_033, (500, ANN))
    assert watcher.see(10_066, (500, ANN)) == [0]


def test_ids_of_one_picture_are_all_different(rng: np.random.Generator) -> None:
    watcher = Watcher()
    looks = [ANN, BEN, None]
    for n in range(200):
        faces = [(float(rng.uniform(0, 600)), looks[rng.integers(3)]) for _ in range(rng.integers(0, 6))]
        ids = watcher.see(100 * n, *faces)
        assert len(set(ids)) == len(ids) == len(faces)
