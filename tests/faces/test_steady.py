from collections.abc import Callable

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.scenes import astronaut
from rtc_voice.faces.steady import STILL, Views, chip_views, upright_views
from rtc_voice.faces.tracker import find_faces
from rtc_voice.faces.types import Picture

Cut = Callable[..., Views]
SIZE = 112


@pytest.fixture(scope="module")
def landmarks() -> NDArray[np.float32]:
    return find_faces(astronaut())[0].landmarks


@pytest.fixture(params=[chip_views, upright_views])
def cut(request: pytest.FixtureRequest) -> Cut:
    made: Cut = request.param
    return made


def difference(one: Views, other: Views) -> float:
    """Mean absolute, grey levels."""
    return float(np.abs(one - other).mean())


@pytest.mark.parametrize("gain", [0.3, 0.67])
def test_a_darker_picture_gives_the_same_views(cut: Cut, gain: float, landmarks: NDArray[np.float32]) -> None:
    darker = (astronaut() * gain).astype(np.uint8)
    assert difference(cut(astronaut(), landmarks, SIZE), cut(darker, landmarks, SIZE)) < 2.5  # from whole grey levels


def test_darkness_is_not_brightened_without_end(cut: Cut, landmarks: NDArray[np.float32]) -> None:
    assert cut(np.full((512, 512, 3), 2, np.uint8), landmarks, SIZE).max() == pytest.approx(8, abs=0.1)


@pytest.mark.parametrize("scale", [0.5, 2.0, 5.0])
def test_a_picture_of_another_size_gives_the_same_views(cut: Cut, scale: float, landmarks: NDArray[np.float32]) -> None:
    side = round(512 * scale)
    other: Picture = cv2.resize(astronaut(), (side, side), interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
    moved = ((landmarks + 0.5) * scale - 0.5).astype(np.float32)
    assert difference(cut(astronaut(), landmarks, SIZE), cut(other, moved, SIZE)) < 2


def test_a_small_picture_is_not_blurred_twice(landmarks: NDArray[np.float32]) -> None:
    small: Picture = cv2.resize(astronaut(), (256, 256), interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
    moved = ((landmarks + 0.5) / 2 - 0.5).astype(np.float32)
    # Its own pixels have blurred it already; with our blur added in full the difference is 0.48.
    assert difference(chip_views(astronaut(), landmarks, SIZE), chip_views(small, moved, SIZE)) < 0.4


def test_what_is_too_fine_to_be_seen_from_afar_is_not_seen_from_near(cut: Cut, landmarks: NDArray[np.float32]) -> None:
    even = (astronaut() * 0.6 + 50).astype(np.uint8)
    near = np.kron(even, np.ones((4, 4, 1), np.uint8))
    weave = 40 * (np.indices(near.shape[:2]).sum(axis=0) % 2 * 2 - 1)[..., None]
    moved = ((landmarks + 0.5) * 4 - 0.5).astype(np.float32)
    woven = cut((near + weave).astype(np.uint8), moved, SIZE)
    assert difference(woven, cut(near, moved, SIZE)) < 1


def test_views_of_the_mirrored_face_are_the_mirrored_views(cut: Cut, landmarks: NDArray[np.float32]) -> None:
    mirrored = np.ascontiguousarray(astronaut()[:, ::-1])
    swapped = (landmarks * (-1, 1) + (511, 0)).astype(np.float32)
    swapped[[263, 362, 33, 133]] = swapped[[33, 133, 263, 362]]  # the corners of the eyes, as dlib's points want them
    there, back = cut(astronaut(), landmarks, SIZE), cut(mirrored, swapped, SIZE)[:, :, ::-1]
    for view in there:
        assert min(difference(view, other) for other in back) < 0.5


def test_a_nudge_moves_and_zooms_the_view(cut: Cut, landmarks: NDArray[np.float32]) -> None:
    still, right, near = cut(astronaut(), landmarks, 100, [STILL, (0.1, 0.0, 1.0), (0.0, 0.0, 1.25)])
    assert difference(right[:, 10:], still[:, :-10]) < 0.5
    inner = cv2.resize(still[10:90, 10:90], (100, 100), interpolation=cv2.INTER_LINEAR)
    assert difference(near[5:95, 5:95], inner[5:95, 5:95].astype(np.float32)) < 2


@pytest.mark.parametrize("shift", [(-400, 0), (0, 300), (5000, 5000), (-5000, 0)])
def test_a_face_beyond_the_edge_does_no_harm(cut: Cut, shift: tuple[int, int], landmarks: NDArray[np.float32]) -> None:
    views = cut(astronaut(), landmarks + np.array(shift, np.float32), SIZE)
    assert views.shape[1:] == (SIZE, SIZE, 3) and np.isfinite(views).all()


def test_a_face_without_extent_does_no_harm() -> None:
    assert np.isfinite(upright_views(astronaut(), np.full((478, 2), 50, np.float32), SIZE)).all()
