"""Fits the learned map from face to voice, and measures it on people whom it has not seen."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtc_voice.training.matching import Trials, unit
from rtc_voice.training.pairs import Pairs
from rtc_voice.voices.attributes import decided
from rtc_voice.voices.individual import Individuality
from rtc_voice.voices.learned import SIZE, LearnedPredictor, VoiceMap, features
from rtc_voice.voices.predictor import Predictor

PENALTIES = tuple(float(penalty) for penalty in 10.0 ** np.arange(0.25, 2.5, 0.25))
STRETCHES = (1.0, 2.0, 3.0, 4.0, 6.0)
DIRECTIONS = 32  # that voices are drawn along
BANDWIDTH = 0.6  # L2 between identities at which what is drawn for them correlates by 0.61
SHARE = 0.2  # of the spread, for the first draw
TRAIT_SHARE = 0.15  # of the spread of F0, its range and the tract: a face that moves should not change its pitch
MOST_BOOST = 2.2  # of all directions alike, which leaves the order of voices as it is
SEED = 20261125
OUTER, INNER = 10, 5  # folds over people

Array = NDArray[np.float64]


Model = Callable[[Pairs], tuple[Array, Array]]
"""Voices ``[N, 256]`` and natural logarithms of F0 (Hz) ``[N]`` of the faces of pairs; looks at the faces only."""

Fit = Callable[[Pairs], Model]


@dataclass(frozen=True, slots=True)
class Settings:
    """What is chosen by cross-validation: identities tell much of the voice, sex and age most of the traits."""

    voice_penalty: float  # of the ridge
    stretch: float  # at most, of any direction
    trait_penalty: float


@dataclass(frozen=True, slots=True)
class Predicted:
    """What was predicted for N faces by models that knew neither these people nor their voices."""

    voices: Array  # ``[N, 256]``
    log_f0: Array  # ``[N]``
    means: Array  # ``[N, 256]``, the mean of what the face's model predicts for the faces it knows
    voice_means: Array  # ``[N, 256]``, the mean voice of the people that it knows
    folds: NDArray[np.int64]  # ``[N]``
    models: list[Model]  # one for each fold

    def trials(self, pairs: Pairs) -> Trials:
        """All faces with all voices of the same fold: distractors are as new to the model as the true voice."""
        return trials(self.voices - self.means, pairs.voices, self.voice_means, pairs.people, self.folds)

    def take(self, index: NDArray[Any]) -> "Predicted":
        """What was predicted for the faces of an index or a mask."""
        means, voice_means = self.means[index], self.voice_means[index]
        return Predicted(self.voices[index], self.log_f0[index], means, voice_means, self.folds[index], self.models)

    def centred(self) -> Array:
        """The predicted voices as unit vectors from the mean predicted voice, ``[N, 256]``."""
        return unit(self.voices - self.means)


def trials(
    steps: Array, voices: Array, voice_means: Array, people: NDArray[np.int64], folds: NDArray[np.int64]
) -> Trials:
    """The cosines of ``steps`` from the mean and voices less ``voice_means``, other people of one fold comparable."""
    scores, faces = np.zeros((len(people), len(people))), unit(steps)
    for fold in np.unique(folds):
        of_fold = np.flatnonzero(folds == fold)
        scores[np.ix_(of_fold, of_fold)] = faces[of_fold] @ unit(voices[of_fold] - voice_means[of_fold[0]]).T
    return Trials(scores, (people[:, None] != people) & (folds[:, None] == folds), people)


def cross_validate(pairs: Pairs, fit: Fit, folds: int = OUTER, seed: int = 0) -> Predicted:
    """Each fold of people predicted by what ``fit`` makes of the others."""
    number = fold_of_people(pairs.people, folds, seed)
    voices, means, voice_means = (np.zeros((len(pairs), SIZE)) for _ in range(3))
    log_f0, models = np.zeros(len(pairs)), []
    for fold in range(folds):
        known, new = pairs.take(number != fold), number == fold
        model = fit(known)
        voices[new], log_f0[new] = model(pairs.take(new))
        means[new] = model(known)[0].mean(axis=0)
        voice_means[new] = known.voices.mean(axis=0)
        models.append(model)
    return Predicted(voices, log_f0, means, voice_means, number, models)


def speak(predictor: Predictor, *, drawn: bool = True) -> Model:
    """A predictor as a model: as the program uses it, first draw and all, or only what it knows."""
    make = predictor.predict if drawn else predictor.expected

    def model(pairs: Pairs) -> tuple[Array, Array]:
        made = [make(face) for face in pairs.faces()]
        return np.array([voice.embedding for voice in made], np.float64), np.log([voice.f0_hz for voice in made])

    return model


def fold_of_people(people: NDArray[np.int64], folds: int, seed: int = 0) -> NDArray[np.int64]:
    """The fold of each pair, ``[N]``; all pairs of one person are in the same."""
    _, index = np.unique(people, return_inverse=True)
    return np.asarray(np.random.default_rng(seed).permutation(index.max() + 1)[index] % folds)


def fit_learned(pairs: Pairs) -> LearnedPredictor:
    """The learned map, its settings chosen on these pairs alone."""
    return fit_map(pairs, choose_settings(pairs))


def choose_settings(pairs: Pairs) -> Settings:
    """The settings under which left-out people are met best, by matching one of two and by the error of F0."""
    inputs, outcomes = map_inputs(pairs), outcomes_of(pairs)
    number = fold_of_people(pairs.people, INNER, seed=1)
    matched, error = np.zeros((len(PENALTIES), len(STRETCHES))), np.zeros(len(PENALTIES))
    for fold in range(INNER):
        known, new = number != fold, number == fold
        spread, axes = _axes(outcomes[known, :SIZE])
        for row, (slope, centre, level) in enumerate(ridges(inputs[known], outcomes[known], PENALTIES)):
            steps, guess = ((inputs[index] - centre) @ slope.T for index in (known, new))
            error[row] += np.sum((guess[:, SIZE] + level[SIZE] - outcomes[new, SIZE]) ** 2)
            along, turned = guess[:, :SIZE] @ axes, (outcomes[new, :SIZE] - level[:SIZE]) @ axes
            missing = _missing(steps[:, :SIZE] @ axes, spread)
            for column, most in enumerate(STRETCHES):
                matched[row, column] += _matched(along * np.clip(missing, 1.0, most), turned, pairs.people[new])
    voice, stretch = np.unravel_index(int(matched.argmax()), matched.shape)
    return Settings(PENALTIES[voice], STRETCHES[stretch], PENALTIES[int(error.argmin())])


def _matched(steps: Array, voices: Array, people: NDArray[np.int64]) -> float:
    """How many faces find their voice among two."""
    one = trials(steps, voices, np.zeros_like(voices), people, np.zeros_like(people))
    return float(one.one_of(2)(np.ones((1, len(people))))[0]) * len(people)


def fit_map(pairs: Pairs, settings: Settings) -> LearnedPredictor:
    """The learned map with given settings."""
    inputs, outcomes = map_inputs(pairs), outcomes_of(pairs)
    (slope, centre, level), (of_traits, _, _) = (
        fit
        for penalty in (settings.voice_penalty, settings.trait_penalty)
        for fit in ridges(inputs, outcomes, (penalty,))
    )
    slope = np.vstack([slope[:SIZE], of_traits[SIZE:]])
    step = (inputs - centre) @ slope.T
    rest = outcomes - level - step
    stretch = _stretch(step[:, :SIZE], outcomes[:, :SIZE], settings.stretch)
    # As far apart as real voices, as far as that goes: along the sexes this exaggerates.
    size = np.sum(np.var(step[:, :SIZE] @ stretch, axis=0)) / np.sum(np.var(outcomes[:, :SIZE], axis=0))
    boost = min(MOST_BOOST, float(np.sqrt((1 - SHARE**2) / size)))
    spread = _spread(rest)
    male = np.array([decided(value) for value in pairs.males])
    covariance = np.cov(inputs.T) * len(pairs) + settings.trait_penalty * np.eye(inputs.shape[1])
    weights = {
        "mean": level,
        "centre": centre,
        "slope": slope,
        "sexes": outcomes[male > 0.5].mean(axis=0) - outcomes[male < 0.5].mean(axis=0),
        "spread": spread,
        "bold": np.vstack([boost * stretch @ slope[:SIZE], slope[SIZE:]]),
        "first": spread * np.where(np.arange(len(spread)) < SIZE, SHARE, TRAIT_SHARE)[:, None],
        "leverage": np.linalg.cholesky(np.linalg.inv(covariance)).T,
    }
    voice_map = VoiceMap(**{name: array.astype(np.float32) for name, array in weights.items()})
    return LearnedPredictor(voice_map, Individuality.seeded(SEED, DIRECTIONS, BANDWIDTH))


def map_inputs(pairs: Pairs) -> Array:
    """The features of all faces, ``[N, F]``."""
    return np.array([features(face) for face in pairs.faces()])


def outcomes_of(pairs: Pairs) -> Array:
    """Embeddings and traits side by side, ``[N, 259]``; traits that could not be measured are the mean ones."""
    known = np.where(np.isnan(pairs.log_traits), np.nanmean(pairs.log_traits, axis=0), pairs.log_traits)
    return np.hstack([pairs.voices, known])


def ridges(inputs: Array, outcomes: Array, penalties: tuple[float, ...]) -> Iterator[tuple[Array, Array, Array]]:
    """Slope ``[M, F]``, centre ``[F]`` and level ``[M]`` for each penalty, from one decomposition."""
    centre, level = inputs.mean(axis=0), outcomes.mean(axis=0)
    values, vectors = np.linalg.eigh((inputs - centre).T @ (inputs - centre))
    products = vectors.T @ ((inputs - centre).T @ (outcomes - level))
    for penalty in penalties:
        yield (vectors @ (products / (values + penalty)[:, None])).T, centre, level


def _spread(rest: Array) -> Array:
    """A root ``[259, K]`` of the covariance of what a face does not tell, in its leading directions."""
    values, vectors = np.linalg.eigh(np.cov(rest[:, :SIZE].T))
    basis, deviations = vectors[:, -DIRECTIONS:], np.sqrt(values[-DIRECTIONS:])
    points = rest[:, :SIZE] @ basis / deviations
    traits = np.linalg.lstsq(points, rest[:, SIZE:], rcond=None)[0]
    return np.vstack([basis * deviations, traits.T])


def _stretch(steps: Array, real: Array, most: float) -> Array:
    """What makes predicted steps ``[N, 256]`` from the mean voice as long as real ones, direction by direction.

    A ``[256, 256]`` that stretches along the directions in which real voices differ: along the sexes hardly, where a
    face tells little by ``most`` at most, and nowhere below 1. What is drawn makes up for its part.
    """
    spread, axes = _axes(real)
    return np.asarray(axes * np.clip(_missing(steps @ axes, spread), 1.0, most) @ axes.T)


def _axes(real: Array) -> tuple[Array, Array]:
    """The variances ``[256]`` of real voices ``[N, 256]`` along their principal directions ``[256, 256]``."""
    values, axes = np.linalg.eigh(np.cov(real.T))
    return np.maximum(values, 0), axes


def _missing(steps: Array, variances: Array) -> Array:
    """By how much steps along the axes ``[N, 256]`` are too short for these variances."""
    return np.asarray(np.sqrt((1 - SHARE**2) * variances / (np.var(steps, axis=0) + 1e-12)))
