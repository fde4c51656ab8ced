import cv2
import numpy as np
import pytest

from benchmarks.scenes import astronaut
from rtc_voice.faces.align import FIVE_POINTS, TEMPLATE, fit_similarity, five_point_chip
from rtc_voice.faces.tracker import find_faces


@pytest.mark.parametrize(("scale", "degrees", "shift"), [(1, 0, (0, 0)), (0.3, 170, (-40, 9)), (5, -30, (100, 200))])
def test_fit_recovers_a_known_similarity(
    scale: float, degrees: float, shift: tuple[float, float], rng: np.random.Generator
) -> None:
    turn = scale * np.exp(1j * np.deg2rad(degrees))
    known = np.array([[turn.real, -turn.imag, shift[0]], [turn.imag, turn.real, shift[1]]])
    points = rng.uniform(0, 100, (5, 2))
    moved = points @ known[:, :2].T + known[:, 2]
    np.testing.assert_allclose(fit_similarity(points, moved), known, atol=1e-10 * scale * 100)


def test_fit_never_mirrors() -> None:
    points = np.array([[0.0, 0.0], [2.0, 0.0], [2.0, 1.0], [0.0, 1.5]])
    fitted = fit_similarity(points, points * (-1, 1))
    assert np.linalg.det(fitted[:, :2]) >= 0


def test_chip_puts_the_five_points_on_the_template() -> None:
    landmarks = np.zeros((478, 2), np.float32)
    turn = np.array([[0.8, -0.6], [0.6, 0.8]])
    landmarks[list(FIVE_POINTS)] = (TEMPLATE * 90) @ turn.T + (200, 150)
    picture = np.zeros((400, 400, 3), np.uint8)
    for x, y in landmarks[list(FIVE_POINTS)]:
        cv2.circle(picture, (round(16 * x), round(16 * y)), 48, (255, 255, 255), -1, cv2.LINE_AA, shift=4)
    chip = five_point_chip(picture, landmarks)
    for x, y in (TEMPLATE + 0.25) / 1.5 * 150:
        spot = chip[round(y) - 6 : round(y) + 7, round(x) - 6 : round(x) + 7, 0].astype(float)
        rows, columns = np.mgrid[:13, :13]
        centre = np.array([(rows * spot).sum(), (columns * spot).sum()]) / spot.sum() - 6 + (round(y), round(x))
        np.testing.assert_allclose(centre, (y, x), atol=0.3)  # px: the pixel grid of two resamplings


@pytest.mark.parametrize("times", [4, 6])
def test_chip_does_not_depend_on_how_large_the_face_is(times: int) -> None:
    picture = (astronaut() * 0.6 + 50).astype(np.uint8)
    (face,) = find_faces(picture)
    # The same scene from near, with a weave too fine to be seen from afar.
    weave = 40 * (np.indices((512 * times, 512 * times)).sum(axis=0) % 2 * 2 - 1)[..., None]
    near = (np.kron(picture, np.ones((times, times, 1), np.uint8)) + weave).astype(np.uint8)
    landmarks = ((face.landmarks + 0.5) * times - 0.5).astype(np.float32)
    difference = five_point_chip(near, landmarks).astype(float) - five_point_chip(picture, face.landmarks)
    assert np.abs(difference).mean() < 4  # grey levels, from sampling on another grid
