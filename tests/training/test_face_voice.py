from dataclasses import replace

import numpy as np
import pytest

from rtc_voice.training.face_voice import (
    Settings,
    cross_validate,
    fit_learned,
    fit_map,
    fold_of_people,
    map_inputs,
    speak,
)
from rtc_voice.training.pairs import Pairs
from rtc_voice.training.rivals import canonical, contrastive, kernel_ridge, light_look, ridge, shuffled


def made_up(count: int = 240, seed: int = 0) -> Pairs:
    """People whose voices follow their faces along a few directions, and one in eight of whom comes twice."""
    rng = np.random.default_rng(seed)
    people = np.sort(np.concatenate([np.arange(count), np.arange(0, count, 8)]))
    males = (rng.random(count) < 0.5).astype(np.float64)[people]
    identities = rng.normal(0, 0.05, (count, 128))[people] + rng.normal(0, 0.005, (people.size, 128))
    identities[:, 0] += 0.2 * (males - 0.5)
    told = identities[:, :6] @ np.linalg.qr(rng.standard_normal((256, 6)))[0].T
    mean = np.abs(rng.normal(0, 0.06, 256))
    own = rng.normal(0, 0.01, (count, 256))[people] + rng.normal(0, 0.002, (people.size, 256))
    voices = np.maximum(mean + 0.5 * told + own, 0)
    voices /= np.linalg.norm(voices, axis=1, keepdims=True)
    log_traits = np.column_stack([np.log(200) - 0.6 * males, np.full(people.size, 1.0), 0.1 * males])
    log_traits[::7, 0] = np.nan
    light = rng.random((people.size, 2)) * 100
    ages = rng.uniform(20, 60, count)[people]
    labels, rows = np.where(males > 0.5, "m", "f"), np.arange(people.size)
    return Pairs(identities, males, ages, np.ones(people.size), light, voices, log_traits, people, labels, rows)


@pytest.fixture(scope="module")
def pairs() -> Pairs:
    return made_up()


def accuracy(pairs: Pairs, fit: object) -> float:
    trials = cross_validate(pairs, fit, folds=4).trials(pairs)  # type: ignore[arg-type]
    return float(trials.one_of(2)(np.ones((1, len(pairs))))[0])


def test_nobody_is_in_two_folds(pairs: Pairs) -> None:
    folds = fold_of_people(pairs.people, 5)
    assert all(len(set(folds[pairs.people == person])) == 1 for person in pairs.people)
    assert np.bincount(folds).min() > 30


def test_a_map_that_exists_is_learnt(pairs: Pairs) -> None:
    predicted = cross_validate(pairs, lambda known: speak(fit_learned(known), drawn=False), folds=4)
    weights = np.ones((1, len(pairs)))
    assert predicted.trials(pairs).one_of(2)(weights)[0] > 0.8
    known = np.isfinite(pairs.log_traits[:, 0])
    assert np.abs(predicted.log_f0 - pairs.log_traits[:, 0])[known].mean() < 0.1


@pytest.mark.parametrize(
    "fit",
    [ridge(map_inputs), kernel_ridge(map_inputs), canonical(map_inputs), contrastive(map_inputs)],
    ids=["ridge", "kernel ridge", "canonical", "contrastive"],
)
def test_so_do_its_rivals(pairs: Pairs, fit: object) -> None:
    assert accuracy(pairs, fit) > 0.75


def test_what_tells_nothing_stays_at_chance(pairs: Pairs) -> None:
    assert accuracy(pairs, ridge(light_look)) == pytest.approx(0.5, abs=0.09)


def test_voices_of_other_people_teach_nothing(pairs: Pairs) -> None:
    weights = np.ones((1, len(pairs)))
    folds = fold_of_people(pairs.people, 4)
    found = [one.one_of(2)(weights)[0] for one in shuffled(pairs, map_inputs, 1.0, folds, times=40)]
    assert np.mean(found) == pytest.approx(0.5, abs=0.02)


def test_a_prediction_does_not_depend_on_the_voice_it_is_for(pairs: Pairs) -> None:
    folds = fold_of_people(pairs.people, 4)
    other = pairs.voices.copy()
    other[folds == 2] = other[folds == 2][::-1]
    one, two = (
        cross_validate(replace(pairs, voices=voices), lambda known: speak(fit_learned(known)), folds=4)
        for voices in (pairs.voices, other)
    )
    assert np.array_equal(one.voices[folds == 2], two.voices[folds == 2])
    assert not np.array_equal(one.voices[folds == 1], two.voices[folds == 1])


def test_predictions_are_stretched_towards_the_spread_of_real_voices(pairs: Pairs) -> None:
    def spread(most: float) -> float:
        predictor = fit_map(pairs, Settings(voice_penalty=2.0, stretch=most, trait_penalty=2.0))
        made = np.array([predictor.expected(face).embedding for face in pairs.faces()])
        return float(np.linalg.norm(made - made.mean(axis=0)))

    real = np.linalg.norm(pairs.voices - pairs.voices.mean(axis=0))
    shy, bold, boldest = spread(1.0), spread(3.0), spread(100.0)
    assert shy < 0.8 * bold < boldest
    assert 0.8 * real < boldest < 1.1 * real
