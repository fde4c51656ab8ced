"""Whether predicted voices find the right people: matching, verification and F0, beside chance and simpler maps."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rtc_voice.faces.quality import USABLE
from rtc_voice.training.face_voice import Model, Predicted, cross_validate, fit_learned, map_inputs, speak, trials
from rtc_voice.training.matching import Figure, Statistic, Trials, correlation, difference, figure, mean
from rtc_voice.training.pairs import Pairs
from rtc_voice.training.rivals import label_look, light_look, ridge, sex_look, shuffled, study_look
from rtc_voice.voices.attributes import AttributePredictor
from rtc_voice.voices.learned import SIZE, LearnedPredictor

SHUFFLES = 200  # one shuffle proves nothing: they spread by 4 points
SHUFFLE_PENALTY = 10.0
CURVES = 200  # resamples of an area under a curve, which costs a pass over all pairs of pairs

Array = NDArray[np.float64]
Row = dict[str, object]
DEFAULT, UNDRAWN, RIDGE = "learned", ", nothing drawn", "ridge of the study"


@dataclass(frozen=True, slots=True)
class Task:
    """One question asked of all maps: matching among ``count``, or verification where that is None."""

    name: str
    count: int | None = None
    groups: NDArray[np.str_] | None = None  # only comparisons within one of these count

    @property
    def chance(self) -> float:
        """What guessing gets."""
        return 1 / self.count if self.count else 0.5

    @property
    def figure(self) -> str:
        """What is measured."""
        return "accuracy" if self.count else "auc"

    def narrow(self, trials: Trials) -> Trials:
        """The comparisons that count."""
        return trials if self.groups is None else trials.within(self.groups)

    def ask(self, trials: Trials) -> Statistic:
        """The figure of these trials."""
        asked = self.narrow(trials)
        return asked.one_of(self.count) if self.count else asked.auc()


def tasks(pairs: Pairs) -> list[Task]:
    """Matching among two, five and ten, and verification; the same again within one sex, labelled or apparent."""
    sexes = pairs.sexes if _labelled(pairs) else np.where(pairs.males > 0.5, "m", "f")
    return [
        Task("match_1of2", 2),
        Task("match_1of2_same_sex", 2, sexes),
        Task("match_1of5", 5),
        Task("match_1of10", 10),
        Task("match_1of10_same_sex", 10, sexes),
        Task("verification"),
        Task("verification_same_sex", None, sexes),
    ]


def rows(pairs: Pairs, learned: LearnedPredictor | None, resamples: int) -> tuple[list[Row], Predicted]:
    """All rows about matching, and what the default map predicts; of the faces that the program makes a voice of.

    Args:
        pairs: faces and voices.
        learned: the map to be judged as it is; None fits it anew to the other folds, its settings chosen there alone.
        resamples: how often the people are drawn again for an interval.
    """
    whole, good = predictions(pairs, learned), pairs.qualities >= USABLE
    every = whole[DEFAULT].trials(pairs)
    pairs, maps = pairs.take(good), {name: one.take(good) for name, one in whole.items()}
    asked = tasks(pairs)
    found = {name: one.trials(pairs) for name, one in maps.items()}
    found["ceiling: another clip"] = another_clip(pairs, maps[DEFAULT].folds)
    null = list(shuffled(pairs, map_inputs, SHUFFLE_PENALTY, maps[RIDGE].folds, SHUFFLES))
    out: list[Row] = []
    for task in asked:
        out += [_row(task, name, one, resamples) for name, one in found.items()]
        out.append(_null_row(task, null))
        out += [_difference_row(task, found, other, resamples) for other in ("attributes", RIDGE)]
    out.append(_row(asked[0], "every face that is found", every, resamples))
    return [*out, *_f0_rows(pairs, maps, resamples)], maps[DEFAULT]


def predictions(pairs: Pairs, learned: LearnedPredictor | None) -> dict[str, Predicted]:
    """What every map predicts for people it does not know."""
    attributes = AttributePredictor()
    fitted: list[LearnedPredictor] = []

    def fit_once(known: Pairs) -> Model:
        fitted.append(fit_learned(known))
        return speak(fitted[-1])

    if learned is None:
        maps = {DEFAULT: cross_validate(pairs, fit_once)}
        again = iter(fitted)
        maps[DEFAULT + UNDRAWN] = cross_validate(pairs, lambda _: speak(next(again), drawn=False))
    else:
        maps = {DEFAULT: as_it_is(pairs, learned), DEFAULT + UNDRAWN: as_it_is(pairs, learned, drawn=False)}
    maps["attributes"] = cross_validate(pairs, lambda _: speak(attributes))
    maps["attributes" + UNDRAWN] = cross_validate(pairs, lambda _: speak(attributes, drawn=False))
    maps[RIDGE] = cross_validate(pairs, ridge(study_look))
    maps["apparent sex only"] = cross_validate(pairs, ridge(sex_look))
    if _labelled(pairs):
        maps["oracle: sex"] = cross_validate(pairs, ridge(label_look))
    maps["brightness and sharpness only"] = cross_validate(pairs, ridge(light_look))
    return maps


def as_it_is(pairs: Pairs, learned: LearnedPredictor, *, drawn: bool = True) -> Predicted:
    """What a finished map predicts for people that it was not fitted to."""
    voices, log_f0 = speak(learned, drawn=drawn)(pairs)
    mean_voice = learned.map.mean[:SIZE].astype(np.float64)
    means = np.broadcast_to(mean_voice, voices.shape)
    return Predicted(voices, log_f0, means, means, np.zeros(len(pairs), np.int64), [speak(learned, drawn=drawn)])


def another_clip(pairs: Pairs, folds: NDArray[np.int64]) -> Trials:
    """As if the prediction were the person's other clip: only people with two or more count as faces."""
    voices = pairs.voices
    other = np.full(len(pairs), -1)
    for index, person in enumerate(pairs.people):
        same = np.flatnonzero((pairs.people == person) & (np.arange(len(pairs)) != index))
        other[index] = same[0] if len(same) else -1
    mean_voice = voices.mean(axis=0)
    means = np.broadcast_to(mean_voice, voices.shape)
    made = trials(voices[other] - mean_voice, voices, means, pairs.people, folds)
    return Trials(made.scores, made.comparable & (other >= 0)[:, None], pairs.people)


def _row(task: Task, name: str, one: Trials, resamples: int) -> Row:
    if task.count is None:
        resamples = min(resamples, CURVES)
    shown = figure(task.ask(one), one.people, resamples)
    row: Row = {"name": _name(task.name, name), **_interval(task.figure, shown), "chance": task.chance}
    if task.figure == "auc":
        errors = figure(task.narrow(one).eer(), one.people, resamples)
        row |= {"eer": errors.value, "eer_low": errors.low, "eer_high": errors.high}
    return {**row, "n": int(np.sum(one.comparable.any(axis=1)))}


def _null_row(task: Task, null: list[Trials]) -> Row:
    ones = np.ones((1, len(null[0].people)))
    values = np.array([task.ask(one)(ones)[0] for one in null])
    low, high = np.quantile(values, (0.025, 0.975))
    shown = Figure(float(values.mean()), float(low), float(high))
    row = {"name": _name(task.name, f"null: {len(null)} shuffles"), **_interval(task.figure, shown)}
    return {**row, "chance": task.chance, "n": len(null)}


def _difference_row(task: Task, found: dict[str, Trials], other: str, resamples: int) -> Row:
    one, two = task.ask(found[DEFAULT]), task.ask(found[other])
    shown = difference(one, two, found[DEFAULT].people, resamples)
    name = f"{task.name} (learned minus {other})"
    return {"name": name, **_interval("difference", shown), "chance": 0.0, "n": len(found[DEFAULT].people)}


def _f0_rows(pairs: Pairs, maps: dict[str, Predicted], resamples: int) -> list[Row]:
    """The error of mean F0, and its correlation, for every map, for the constant guess and for another clip."""
    true = pairs.log_traits[:, 0]
    guesses = {name: one.log_f0 for name, one in maps.items()}
    guesses["constant"] = np.full(len(pairs), np.nanmedian(true))
    guesses["ceiling: another clip"] = _f0_of_another_clip(pairs)
    out = []
    for name, guess in guesses.items():
        error = np.abs(guess - true) * 12 / np.log(2)
        if not np.isfinite(error).any():
            continue  # nobody's other clip has a pitch
        row: Row = {
            "name": _name("f0", name),
            **_interval("mae_semitones", figure(mean(error), pairs.people, resamples)),
        }
        if np.nanstd(guess) > 1e-6:  # a constant has none but by rounding
            row["correlation"] = figure(correlation(guess, true), pairs.people, resamples).value
        out.append({**row, "n": int(np.isfinite(error).sum())})
    return out


def _f0_of_another_clip(pairs: Pairs) -> Array:
    out = np.full(len(pairs), np.nan)
    for index, person in enumerate(pairs.people):
        same = np.flatnonzero((pairs.people == person) & (np.arange(len(pairs)) != index))
        if len(same):
            out[index] = pairs.log_traits[same[0], 0]
    return out


def _name(task: str, map_name: str) -> str:
    return task if map_name == DEFAULT else f"{task} ({map_name})"


def _interval(name: str, shown: Figure) -> Row:
    return {name: round(shown.value, 4), "low": round(shown.low, 4), "high": round(shown.high, 4)}


def _labelled(pairs: Pairs) -> bool:
    return bool(np.isin(pairs.sexes, ("m", "f")).all())
