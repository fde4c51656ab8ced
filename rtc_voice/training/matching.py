"""How well predicted voices find the real ones: matching, verification, and what chance would do.

Every figure is an exact expectation over the distractors there are, not one random draw of them, and its interval comes
from drawing the *people* again (a person's two clips are not two people).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Statistic = Callable[[Array], Array]
"""Weights of the pairs ``[R, N]``, one row for each time the people are drawn, to ``[R]`` figures."""

RESAMPLES = 1000
_AT_ONCE = 100  # rows of weights in memory with a matrix of all pairs


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure with its 95 % interval over people."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Trials:
    """N faces with N voices: how well each face's prediction fits each voice, and which may be compared."""

    scores: Array  # ``[N, N]``, face by voice; the diagonal is the true one
    comparable: NDArray[np.bool_]  # ``[N, N]``, a distractor: another person, judged by a model that knows neither
    people: NDArray[np.int64]  # ``[N]``

    def within(self, groups: NDArray[np.generic]) -> "Trials":
        """The same with distractors of the same group only, ``[N]`` labels."""
        return Trials(self.scores, self.comparable & (groups[:, None] == groups), self.people)

    def one_of(self, count: int) -> Statistic:
        """The share of faces whose voice comes first among ``count``, the others drawn from the comparable ones."""
        own = np.diag(self.scores)[:, None]
        beaten = ((own > self.scores) + 0.5 * (own == self.scores)) * self.comparable

        def accuracy(weights: Array) -> Array:
            wins, others = weights @ beaten.T, weights @ self.comparable.T.astype(np.float64)
            counts = others >= count - 1
            chosen = np.where(counts, others, count)
            # Of the ways to draw count - 1 distractors, those that draw beaten ones only.
            steps = [np.maximum(wins - n, 0) / (chosen - n) for n in range(count - 1)]
            return _ratio(np.sum(weights * counts * np.prod(steps, axis=0), axis=1), np.sum(weights * counts, axis=1))

        return accuracy

    def auc(self) -> Statistic:
        """The share of true pairs that fit better than a false pair, over all of both."""
        return lambda weights: self._curve(weights)[0]

    def eer(self) -> Statistic:
        """The error rate where as many true pairs are refused as false ones are accepted."""
        return lambda weights: self._curve(weights)[1]

    def _curve(self, weights: Array) -> tuple[Array, Array]:
        rows, columns = np.nonzero(self.comparable)
        own = np.flatnonzero(self.comparable.any(axis=1))
        count = len(own)
        scores = np.concatenate([self.scores[own, own], self.scores[rows, columns]])
        order = np.argsort(-scores, kind="stable")
        is_true = (np.arange(len(scores)) < count)[order]
        rows, columns = (np.concatenate([own, index])[order] for index in (rows, columns))
        areas, errors = [], []
        for weight in weights:
            product = np.where(is_true, weight[rows], weight[rows] * weight[columns])
            hits, alarms = (np.cumsum(product * which) for which in (is_true, ~is_true))
            if not hits[-1] or not alarms[-1]:
                areas.append(np.nan)
                errors.append(np.nan)
                continue
            hits, alarms = hits / hits[-1], alarms / alarms[-1]
            areas.append(np.sum(np.diff(alarms, prepend=0) * hits))
            crossing = int(np.argmin(np.abs(1 - hits - alarms)))
            errors.append((1 - hits[crossing] + alarms[crossing]) / 2)
        return np.array(areas), np.array(errors)


def figure(statistic: Statistic, people: NDArray[np.int64], resamples: int = RESAMPLES, seed: int = 0) -> Figure:
    """The statistic over all pairs, and its interval over people."""
    drawn = _over_people(statistic, people, resamples, seed)
    low, high = np.nanquantile(drawn, (0.025, 0.975))
    return Figure(float(statistic(np.ones((1, len(people))))[0]), float(low), float(high))


def difference(
    one: Statistic, other: Statistic, people: NDArray[np.int64], resamples: int = RESAMPLES, seed: int = 0
) -> Figure:
    """How much ``one`` is above ``other`` on the same people, drawn together."""
    return figure(lambda weights: one(weights) - other(weights), people, resamples, seed)


def mean(values: Array) -> Statistic:
    """The mean of a value that each pair has, ``[N]``; NaN where it has none."""
    known = np.isfinite(values)
    filled = np.where(known, values, 0)
    return lambda weights: _ratio(weights @ filled, weights @ known)


def correlation(one: Array, other: Array) -> Statistic:
    """Pearson's, of two values that each pair has, ``[N]`` each; pairs with a NaN are left out."""
    known = np.isfinite(one) & np.isfinite(other)
    a, b = np.where(known, one, 0), np.where(known, other, 0)

    def pearson(weights: Array) -> Array:
        share = weights * known / np.maximum(np.sum(weights * known, axis=1, keepdims=True), 1e-12)
        mean_a, mean_b = share @ a, share @ b
        covariance = share @ (a * b) - mean_a * mean_b
        spread = (share @ a**2 - mean_a**2) * (share @ b**2 - mean_b**2)
        return _ratio(covariance, np.sqrt(np.maximum(spread, 0)))

    return pearson


def _over_people(statistic: Statistic, people: NDArray[np.int64], resamples: int, seed: int) -> Array:
    rng = np.random.default_rng(seed)
    _, index = np.unique(people, return_inverse=True)
    count = int(index.max()) + 1
    parts = []
    for start in range(0, resamples, _AT_ONCE):
        drawn = rng.multinomial(count, np.full(count, 1 / count), size=min(_AT_ONCE, resamples - start))
        parts.append(statistic(drawn[:, index].astype(np.float64)))
    return np.concatenate(parts)


def unit(vectors: Array) -> Array:
    """The vectors ``[..., D]`` at length 1."""
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12))


def _ratio(part: Array, whole: Array) -> Array:
    """Part over whole; NaN where a draw of the people left nobody to ask, or all alike."""
    return np.where(whole > 0, part / np.where(whole > 0, whole, 1), np.nan)
