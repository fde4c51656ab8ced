"""Other ways from a face to a voice, measured beside the learned map: what the field uses, and what less would do."""

from collections.abc import Callable, Iterable

import numpy as np
import torch
from numpy.typing import NDArray

from rtc_voice.training.face_voice import (
    INNER,
    PENALTIES,
    Fit,
    Model,
    fold_of_people,
    outcomes_of,
    ridges,
    trials,
)
from rtc_voice.training.matching import Trials, unit
from rtc_voice.training.pairs import Pairs
from rtc_voice.voices.learned import SIZE

Array = NDArray[np.float64]
Look = Callable[[Pairs], Array]
"""Features of the faces of pairs, ``[N, F]``."""


def study_look(pairs: Pairs) -> Array:
    """What the feasibility study's ridge saw: identity, apparent sex and age."""
    return np.column_stack([pairs.identities, 0.3 * pairs.males, pairs.ages / 100])


def sex_look(pairs: Pairs) -> Array:
    """Apparent sex alone."""
    return pairs.males[:, None]


def attribute_look(pairs: Pairs) -> Array:
    """Apparent sex and age alone."""
    return np.column_stack([pairs.males, pairs.ages / 30, pairs.males * pairs.ages / 30])


def light_look(pairs: Pairs) -> Array:
    """Brightness and sharpness of the picture: must tell nothing."""
    return np.log(pairs.light + 1)


def label_look(pairs: Pairs) -> Array:
    """The manifest's word on the sex: an oracle."""
    return np.asarray(pairs.sexes == "m", dtype=np.float64)[:, None]


def ridge(look: Look) -> Fit:
    """A ridge regression, its penalty chosen on the pairs that it is fitted to."""

    def fit(pairs: Pairs) -> Model:
        inputs, outcomes = look(pairs), outcomes_of(pairs)

        def made(index: NDArray[np.bool_], penalties: Iterable[float]) -> Iterable[Callable[[Array], Array]]:
            for slope, centre, level in ridges(inputs[index], outcomes[index], tuple(penalties)):
                yield lambda x, s=slope, c=centre, y=level: (x - c) @ s.T + y  # type: ignore[misc]

        return _chosen(look, pairs, PENALTIES, made)

    return fit


def kernel_ridge(look: Look) -> Fit:
    """Ridge regression with a Gaussian kernel, as wide as the median distance."""

    def fit(pairs: Pairs) -> Model:
        inputs, outcomes = look(pairs), outcomes_of(pairs)
        width = np.median(_squares(inputs[:200], inputs[:200]))

        def made(index: NDArray[np.bool_], penalties: Iterable[float]) -> Iterable[Callable[[Array], Array]]:
            known, level = inputs[index], outcomes[index].mean(axis=0)
            values, vectors = np.linalg.eigh(np.exp(-_squares(known, known) / width))
            products = vectors.T @ (outcomes[index] - level)
            for penalty in penalties:
                weights = vectors @ (products / (values + penalty)[:, None])
                yield lambda x, k=known, w=weights, y=level: np.exp(-_squares(x, k) / width) @ w + y  # type: ignore[misc]

        return _chosen(look, pairs, tuple(10.0 ** np.arange(-1.5, 1.5, 0.25)), made)

    return fit


def canonical(look: Look, ridge_share: float = 0.1) -> Fit:
    """Canonical correlations: the voice as far as the leading pairs of directions carry it."""

    def fit(pairs: Pairs) -> Model:
        inputs, outcomes = look(pairs), outcomes_of(pairs)

        def made(index: NDArray[np.bool_], counts: Iterable[float]) -> Iterable[Callable[[Array], Array]]:
            x, y = inputs[index], outcomes[index]
            centre, level, spread = x.mean(axis=0), y.mean(axis=0), y.std(axis=0) + 1e-9
            whiten_x, whiten_y = (_whitening(part, ridge_share) for part in (x - centre, (y - level) / spread))
            cross = whiten_x.T @ (x - centre).T @ ((y - level) / spread) @ whiten_y / len(x)
            left, strength, right = np.linalg.svd(cross, full_matrices=False)
            back = np.linalg.pinv(whiten_y)
            for count in counts:
                few = int(count)
                slope = whiten_x @ left[:, :few] * strength[:few] @ right[:few] @ back * spread
                yield lambda z, s=slope, c=centre, v=level: (z - c) @ s + v  # type: ignore[misc]

        return _chosen(look, pairs, (4, 8, 16, 32), made)

    return fit


def contrastive(look: Look, epochs: int = 60, noise: float = 0.03) -> Fit:
    """A small network that learns to tell the right voice from the others (InfoNCE), noise added to the faces."""

    def fit(pairs: Pairs) -> Model:
        generator = torch.Generator().manual_seed(0)
        torch.manual_seed(0)
        x, y = (torch.from_numpy(part).float() for part in (look(pairs), outcomes_of(pairs)))
        centre, level = x.mean(0), y.mean(0)
        net = torch.nn.Sequential(torch.nn.Linear(x.shape[1], 128), torch.nn.GELU(), torch.nn.Dropout(0.3))
        net.append(torch.nn.Linear(128, y.shape[1]))
        optimiser = torch.optim.AdamW(net.parameters(), lr=2e-3, weight_decay=0.05)
        voices = torch.nn.functional.normalize(y[:, :SIZE] - level[:SIZE], dim=1)
        for _ in range(epochs):
            for batch in torch.split(torch.randperm(len(x), generator=generator), 256):
                seen = x[batch] - centre + noise * torch.randn(len(batch), x.shape[1], generator=generator)
                out = net(seen)
                logits = torch.nn.functional.normalize(out[:, :SIZE], dim=1) @ voices[batch].T / 0.15
                pitch = torch.nn.functional.mse_loss(out[:, SIZE:], y[batch, SIZE:] - level[SIZE:])
                loss = torch.nn.functional.cross_entropy(logits, torch.arange(len(batch))) + 5 * pitch
                optimiser.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimiser.step()
        net.eval()

        def model(others: Pairs) -> tuple[Array, Array]:
            with torch.inference_mode():
                out = (net(torch.from_numpy(look(others)).float() - centre) + level).double().numpy()
            return out[:, :SIZE], out[:, SIZE]

        return model

    return fit


def shuffled(pairs: Pairs, look: Look, penalty: float, folds: NDArray[np.int64], times: int) -> Iterable[Trials]:
    """The trials of ridges that learnt from faces with the voices of other people, ``times`` over.

    What is left above chance is a fault of the measuring.
    """
    rng = np.random.default_rng(7)
    inputs, steps = look(pairs), {}
    for fold in np.unique(folds):
        known, new = folds != fold, folds == fold
        centred = inputs[known] - inputs[known].mean(axis=0)
        inverse = np.linalg.inv(centred.T @ centred + penalty * np.eye(inputs.shape[1]))
        steps[fold] = (inputs[new] - inputs[known].mean(axis=0)) @ inverse @ centred.T
    for _ in range(times):
        voices = pairs.voices[rng.permutation(len(pairs))]
        predicted, means = np.zeros_like(voices), np.zeros_like(voices)
        for fold, hat in steps.items():
            means[folds == fold] = mean = voices[folds != fold].mean(axis=0)
            predicted[folds == fold] = hat @ (voices[folds != fold] - mean)
        yield trials(predicted, voices, means, pairs.people, folds)


def _chosen(
    look: Look,
    pairs: Pairs,
    settings: tuple[float, ...],
    made: Callable[[NDArray[np.bool_], Iterable[float]], Iterable[Callable[[Array], Array]]],
) -> Model:
    """The model with the setting under which left-out people's voices are met best, fitted to all."""
    inputs, outcomes = look(pairs), outcomes_of(pairs)
    number = fold_of_people(pairs.people, INNER, seed=1)
    fits = np.zeros(len(settings))
    for fold in range(INNER):
        mean = outcomes[number != fold, :SIZE].mean(axis=0)
        voices = unit(outcomes[number == fold, :SIZE] - mean)
        for row, guess in enumerate(made(number != fold, settings)):
            fits[row] += np.sum(unit(guess(inputs[number == fold])[:, :SIZE] - mean) * voices)
    (final,) = made(np.ones(len(pairs), bool), [settings[int(fits.argmax())]])

    def model(others: Pairs) -> tuple[Array, Array]:
        out = final(look(others))
        return out[:, :SIZE], out[:, SIZE]

    return model


def _squares(one: Array, other: Array) -> Array:
    return np.asarray(np.square(one).sum(1)[:, None] + np.square(other).sum(1) - 2 * one @ other.T)


def _whitening(centred: Array, share: float) -> Array:
    """A symmetric root of the inverse covariance, its small directions held down by ``share`` of the mean variance."""
    values, vectors = np.linalg.eigh(centred.T @ centred / len(centred))
    return np.asarray(vectors / np.sqrt(np.maximum(values, 0) + share * values.mean()) @ vectors.T)
