import cv2
import numpy as np
import pytest

from benchmarks.scenes import astronaut
from rtc_voice.faces.quality import NOSE, judge
from rtc_voice.faces.tracker import find_faces
from rtc_voice.faces.types import Picture

PICTURE = astronaut()
LANDMARKS = find_faces(PICTURE)[0].landmarks


def is_falling(values: list[float]) -> bool:
    return all(late < early for early, late in zip(values, values[1:], strict=False))


def test_a_good_portrait_scores_well() -> None:
    assert judge(PICTURE, LANDMARKS).score > 0.8


def test_all_parts_lie_between_0_and_1(rng: np.random.Generator) -> None:
    for _ in range(20):
        points = rng.uniform(-50, 600, (478, 2)).astype(np.float32)
        quality = judge(PICTURE, points)
        for part in (quality.size, quality.frontality, quality.sharpness, quality.light, quality.score):
            assert 0 <= part <= 1


def test_size_falls_with_distance() -> None:
    def at(scale: float) -> float:
        small = cv2.resize(PICTURE, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        return judge(small, LANDMARKS * scale).size  # type: ignore[arg-type]

    assert is_falling([at(scale) for scale in (1, 0.7, 0.5, 0.25, 0.1)])


def test_size_falls_as_the_face_leaves_the_picture() -> None:
    assert is_falling([judge(PICTURE[:rows], LANDMARKS).size for rows in (178, 150, 120, 90)])


def test_sharpness_falls_with_blur() -> None:
    def blurred(sigma: float) -> Picture:
        return cv2.GaussianBlur(PICTURE, (0, 0), sigma)  # type: ignore[return-value]

    assert is_falling([judge(blurred(sigma), LANDMARKS).sharpness for sigma in (2, 3, 4, 6, 10)])


@pytest.mark.parametrize("levels", [(0.3, 0.2, 0.12), (1.3, 1.5, 1.7)])
def test_light_falls_towards_dark_and_towards_glare(levels: tuple[float, ...]) -> None:
    pictures = [(PICTURE * level).clip(0, 255).astype(np.uint8) for level in (1.0, *levels)]
    assert is_falling([judge(picture, LANDMARKS).light for picture in pictures])


def test_a_pale_or_a_dim_picture_without_a_white_or_a_black_spot_is_badly_lit() -> None:
    pale, dim = ((PICTURE * 0.08 + level).astype(np.uint8) for level in (228, 8))
    assert judge(pale, LANDMARKS).light < 0.3
    assert judge(dim, LANDMARKS).light < 0.3


def test_frontality_falls_as_the_head_turns() -> None:
    def turned(degrees: float) -> float:
        # A head as a cylinder with a nose: x moves with the sine of the angle at which a point sits.
        centre, radius = 225.0, np.where(np.arange(478) == NOSE, 62.0, 48.0)
        angles = np.arcsin(np.clip((LANDMARKS[:, 0] - centre) / radius, -1, 1)) + np.deg2rad(degrees)
        points = np.stack([centre + radius * np.sin(angles), LANDMARKS[:, 1]], axis=1)
        return judge(PICTURE, points.astype(np.float32)).frontality

    values = [turned(degrees) for degrees in (0, 20, 30, 40, 50)]
    assert values[0] == 1
    assert is_falling(values[1:])
    assert values[-1] < 0.1


def test_frontality_does_not_change_when_the_head_tilts() -> None:
    turn = np.array([[0.8, -0.6], [0.6, 0.8]], np.float32)
    tilted = (LANDMARKS - 225) @ turn.T + 225
    assert judge(PICTURE, tilted).frontality == pytest.approx(judge(PICTURE, LANDMARKS).frontality, abs=1e-3)
