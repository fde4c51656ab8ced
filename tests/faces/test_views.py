import numpy as np
import pytest

from rtc_voice.faces.views import around, bordered, cut, overlap, tiles, whole


@pytest.mark.parametrize("shape", [(480, 640, 3), (720, 1280, 3), (1280, 720, 3), (240, 320, 3), (1, 1, 3)])
def test_tiles_cover_the_picture_so_that_a_face_fits_into_one(shape: tuple[int, int, int]) -> None:
    picture = np.zeros(shape, np.uint8)
    level = tiles(picture, levels=1)
    for x in range(0, shape[1] - 60, 20):
        for y in range(0, shape[0] - 60, 20):
            face = (x, y, x + 60, y + 60)
            assert not level or max(overlap(face, tile) for tile in level) == 1


def test_small_pictures_are_not_tiled() -> None:
    assert tiles(np.zeros((300, 400, 3), np.uint8)) == []


def test_larger_pictures_get_smaller_tiles_too() -> None:
    picture = np.zeros((720, 1280, 3), np.uint8)
    assert len(tiles(picture)) > len(tiles(picture, levels=1)) > 0


def test_the_smallest_tiles_have_no_gaps_between_them() -> None:
    smallest = [tile for tile in tiles(np.zeros((720, 1280, 3), np.uint8)) if tile[2] - tile[0] < 300]
    for x in range(0, 1200, 10):
        for y in range(0, 640, 10):
            assert max(overlap((x, y, x + 80, y + 80), tile) for tile in smallest) == 1


def test_faces_that_stand_close_are_searched_for_together() -> None:
    left, right, far = (100.0, 100.0, 150.0, 150.0), (170.0, 100.0, 220.0, 150.0), (900.0, 100.0, 950.0, 150.0)
    parts = around([left, far, right])
    assert len(parts) == 2
    assert [sum(overlap(face, part) == 1 for part in parts) for face in (left, right, far)] == [1, 1, 1]


def test_a_row_of_faces_is_not_searched_as_one_wide_part() -> None:
    row = [(100.0 * n, 100.0, 100.0 * n + 50, 150.0) for n in range(10)]
    parts = around(row)
    assert len(parts) > 1
    assert max(part[2] - part[0] for part in parts) <= 300
    assert all(any(overlap(face, part) == 1 for part in parts) for face in row)


def test_cut_is_black_beyond_the_picture_and_knows_its_place(rng: np.random.Generator) -> None:
    picture = rng.integers(1, 255, (20, 30, 3), np.uint8)
    part, (left, top) = cut(picture, (-5, -2, 12, 9))
    assert part.shape == (11, 17, 3)
    assert (left, top) == (-5, -2)
    np.testing.assert_array_equal(part[2:, 5:], picture[:9, :12])
    assert part[:2].max() == part[:, :5].max() == 0
    np.testing.assert_array_equal(cut(picture, whole(picture))[0], picture)
    assert cut(picture, bordered(picture))[0].shape == (30, 46, 3)
    for beyond in ((40, 5, 60, 15), (5, 40, 15, 60), (-60, 5, -40, 15)):
        part, _ = cut(picture, beyond)
        assert part.shape[0] * part.shape[1] == 200
        assert part.max() == 0
