from itertools import combinations

import numpy as np
import pytest
from numpy.typing import NDArray

from rtc_voice.training.matching import Trials, correlation, difference, figure, mean


def trials(count: int, signal: float, people: NDArray[np.int64] | None = None, seed: int = 0) -> Trials:
    scores = np.random.default_rng(seed).standard_normal((count, count)) + signal * np.eye(count)
    people = np.arange(count) if people is None else people
    return Trials(scores, people[:, None] != people, people)


def ones(count: int) -> NDArray[np.float64]:
    return np.ones((1, count))


@pytest.mark.parametrize("count", [2, 3, 5])
def test_matching_is_the_mean_over_every_choice_of_distractors(count: int) -> None:
    one = trials(8, signal=1.0)
    won = [
        one.scores[i, i] > max(one.scores[i, list(others)])
        for i in range(8)
        for others in combinations([j for j in range(8) if j != i], count - 1)
    ]
    assert one.one_of(count)(ones(8))[0] == pytest.approx(np.mean(won))


def test_area_is_the_share_of_true_pairs_above_false_ones() -> None:
    one = trials(9, signal=0.7)
    true, false = np.diag(one.scores), one.scores[~np.eye(9, dtype=bool)]
    assert one.auc()(ones(9))[0] == pytest.approx(np.mean(true[:, None] > false), abs=1e-9)


def test_a_perfect_and_a_useless_map() -> None:
    perfect, useless = trials(40, signal=20.0), trials(400, signal=0.0)
    assert perfect.one_of(10)(ones(40))[0] == 1 and perfect.auc()(ones(40))[0] == 1 and perfect.eer()(ones(40))[0] == 0
    assert useless.one_of(10)(ones(400))[0] == pytest.approx(0.1, abs=0.03)
    assert useless.eer()(ones(400))[0] == pytest.approx(0.5, abs=0.05)


def test_ties_are_half_won() -> None:
    flat = Trials(np.zeros((6, 6)), ~np.eye(6, dtype=bool), np.arange(6))
    assert flat.one_of(2)(ones(6))[0] == 0.5


def test_distractors_are_other_people_of_the_group() -> None:
    people = np.array([0, 0, 1, 2, 3, 3])
    scores = np.full((6, 6), 2.0)  # whoever is compared wins
    np.fill_diagonal(scores, 1.0)
    scores[0, 1] = scores[1, 0] = scores[4, 5] = scores[5, 4] = 9.0
    groups = np.array(["f", "f", "m", "f", "m", "m"])
    one = Trials(scores, people[:, None] != people, people).within(groups)
    assert one.comparable.sum(axis=1).tolist() == [1, 1, 2, 2, 1, 1]


def test_a_person_with_many_clips_is_one_person() -> None:
    # Ten people with twenty clips each, whose clips are alike: the interval is that of ten, not of two hundred.
    people = np.repeat(np.arange(10), 20)
    value = np.repeat(np.arange(10) % 2, 20).astype(np.float64)
    shown = figure(mean(value), people)
    assert shown.value == 0.5
    assert shown.high - shown.low == pytest.approx(4 * 0.5 / np.sqrt(10), rel=0.15)


def test_a_map_does_not_differ_from_itself() -> None:
    one = trials(50, signal=1.0).one_of(2)
    shown = difference(one, one, np.arange(50), resamples=50)
    assert (shown.value, shown.low, shown.high) == (0, 0, 0)


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    inside = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        shown = figure(mean(rng.standard_normal(40)), np.arange(40), resamples=200, seed=seed)
        inside.append(shown.low <= 0 <= shown.high)
    assert 0.8 < np.mean(inside) <= 1


def test_correlation_is_pearsons_and_leaves_gaps_out() -> None:
    rng = np.random.default_rng(1)
    a, b = rng.standard_normal((2, 30))
    gap = a.copy()
    gap[3] = np.nan
    expected = np.corrcoef(np.delete(a, 3), np.delete(b, 3))[0, 1]
    assert correlation(gap, b)(ones(30))[0] == pytest.approx(expected)
