"""The learned map from a manifest of pairs to shipped weights, with a report on how well it does on unseen people."""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

from rtc_voice.errors import InputError
from rtc_voice.faces.quality import USABLE
from rtc_voice.training.face_voice import (
    Fit,
    Predicted,
    choose_settings,
    cross_validate,
    fit_learned,
    fit_map,
    map_inputs,
    speak,
)
from rtc_voice.training.matching import Figure, Statistic, Trials, correlation, figure, mean, unit
from rtc_voice.training.pairs import Pairs
from rtc_voice.training.rivals import canonical, contrastive, kernel_ridge, ridge, sex_look, study_look
from rtc_voice.voices.attributes import AttributePredictor
from rtc_voice.voices.learned import LearnedPredictor

LEAST_PEOPLE = 60  # fewer cannot be split into folds that say anything
AGE_GROUPS = ((0, 18), (18, 30), (30, 45), (45, 60), (60, 120))
CURVE = (0.25, 0.5, 0.75)  # shares of the people to learn from, beside all

Array = NDArray[np.float64]
Progress = Callable[[str], None]


def train(
    pairs: Pairs, out: Path, report: Path, progress: Progress, *, speakers: str = "", compare: bool = False
) -> dict[str, Any]:
    """Cross-validate, fit to all pairs, and write the weights, their figures and the report.

    Args:
        pairs: faces and voices.
        out: safetensors file; the figures lie beside it as JSON.
        report: folder for ``report.md`` and its plots.
        progress: called with a line now and then.
        speakers: their ``fingerprint``, so that a benchmark can tell whom the map knows.
        compare: also the ways that were not chosen; takes minutes.

    Returns:
        The figures of the map.

    Raises:
        InputError: too few people.
    """
    people = len(np.unique(pairs.people))
    if people < LEAST_PEOPLE:
        raise InputError(f"{people} people with a usable face and voice", f"at least {LEAST_PEOPLE} are needed")
    predicted, good = {}, pairs.qualities >= USABLE
    for name, fit in _ways(compare).items():
        progress(f"cross-validating: {name} …")
        predicted[name] = cross_validate(pairs, fit).take(good)
    progress("fitting to all pairs …")
    settings = choose_settings(pairs)
    save(fit_map(pairs, settings), out, speakers)
    curve = _curve(pairs, progress)
    progress("drawing the report …")
    pairs = pairs.take(good)  # of which the program makes a voice
    figures = {
        "people": people,
        "pairs": len(good),
        "usable": len(pairs),
        "settings": asdict(settings),
        "maps": {name: _figures(pairs, one) for name, one in predicted.items()},
        "by_group": _by_group(pairs, predicted["learned"]),
        "curve": curve,
    }
    out.with_suffix(".json").write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    report.mkdir(parents=True, exist_ok=True)
    _write(figures, pairs, predicted["learned"], report)
    return figures


def save(predictor: LearnedPredictor, out: Path, speakers: str = "") -> None:
    """Write everything the predictor needs, and the fingerprint of the speakers it learnt from."""
    arrays = {**asdict(predictor.map), **asdict(predictor.individuality)}
    save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, out, {"speakers": speakers})


def _ways(compare: bool) -> dict[str, Fit]:
    attributes = AttributePredictor()
    ways: dict[str, Fit] = {
        "learned": lambda known: speak(fit_learned(known)),
        "attributes": lambda known: speak(attributes),
        "apparent sex only": ridge(sex_look),
        "ridge of the study": ridge(study_look),
    }
    if compare:
        ways |= {
            "kernel ridge": kernel_ridge(map_inputs),
            "canonical correlations": canonical(map_inputs),
            "network, InfoNCE": contrastive(map_inputs),
        }
    return ways


def _figures(pairs: Pairs, one: Predicted) -> dict[str, Any]:
    trials, true = one.trials(pairs), pairs.log_traits[:, 0]
    sexes = np.where(pairs.males > 0.5, "m", "f")
    asked: dict[str, Statistic] = {
        "match_1of2": trials.one_of(2),
        "match_1of2_same_sex": trials.within(sexes).one_of(2),
        "match_1of10": trials.one_of(10),
        "verification_auc": trials.auc(),
        "f0_mae_semitones": mean(np.abs(one.log_f0 - true) * 12 / np.log(2)),
        "f0_correlation": correlation(one.log_f0, true),
    }
    return {name: _rounded(figure(statistic, pairs.people, 300)) for name, statistic in asked.items()}


def _by_group(pairs: Pairs, one: Predicted) -> list[dict[str, Any]]:
    """Where the map errs more: by apparent sex and age."""
    trials = one.trials(pairs)
    error = np.abs(one.log_f0 - pairs.log_traits[:, 0]) * 12 / np.log(2)
    cosine = np.sum(one.centred() * unit(pairs.voices - one.voice_means), axis=1)
    out = []
    for sex, of_sex in (("female", pairs.males <= 0.5), ("male", pairs.males > 0.5)):
        for low, high in AGE_GROUPS:
            group = of_sex & (pairs.ages >= low) & (pairs.ages < high)
            if len(np.unique(pairs.people[group])) < 10:
                continue
            queries = Trials(trials.scores, trials.comparable & group[:, None], trials.people)
            out.append(
                {
                    "looks": f"{sex}, {low} to {high}" if high < 100 else f"{sex}, {low} or more",
                    "n": int(group.sum()),
                    "match_1of2": _rounded(figure(queries.one_of(2), pairs.people, 300)),
                    "f0_mae_semitones": _rounded(figure(mean(np.where(group, error, np.nan)), pairs.people, 300)),
                    "cosine": round(float(cosine[group].mean()), 3),
                }
            )
    return out


def _curve(pairs: Pairs, progress: Progress) -> list[dict[str, Any]]:
    """How much more people would help: the same test after learning from a share of them."""
    out = []
    for share in (*CURVE, 1.0):
        progress(f"learning from {share:.0%} of the people …")

        def fit(known: Pairs, share: float = share) -> Any:
            people = np.unique(known.people)
            kept = np.random.default_rng(3).permutation(people)[: round(share * len(people))]
            return ridge(map_inputs)(known.take(np.isin(known.people, kept)))

        trials = cross_validate(pairs, fit).trials(pairs)
        shown = _rounded(figure(trials.one_of(2), pairs.people, 300))
        out.append({"people": round(0.9 * share * len(np.unique(pairs.people))), "match_1of2": shown})
    return out


def _rounded(shown: Figure) -> list[float]:
    return [round(part, 4) for part in (shown.value, shown.low, shown.high)]


def _write(figures: dict[str, Any], pairs: Pairs, predicted: Predicted, folder: Path) -> None:
    """``report.md`` and ``report.png``."""
    lines = [
        "# Face to voice: the report",
        "",
        f"{figures['people']} people, {figures['pairs']} pairs to learn from; measured on the {figures['usable']}",
        "whose faces are good enough for the program. Nested cross-validation over people: settings are chosen",
        "inside the training folds, distractors are as new to the map as the true voice. In brackets: 95 % when",
        "the people are drawn again.",
        "",
        "| map | 1 of 2 | 1 of 2, same sex | 1 of 10 | AUC | F0 error, semitones | F0 correlation |",
        "|---|---|---|---|---|---|---|",
        *(f"| {name} | {' | '.join(_cell(part) for part in one.values())} |" for name, one in figures["maps"].items()),
        "",
        "| looks | n | 1 of 2 | F0 error, semitones | centred cosine |",
        "|---|---|---|---|---|",
        *(
            f"| {group['looks']} | {group['n']} | {_cell(group['match_1of2'])} | {_cell(group['f0_mae_semitones'])} "
            f"| {group['cosine']:.2f} |"
            for group in figures["by_group"]
        ),
        "",
        "Sex and age are the attribute net's impressions. A face does not determine a voice.",
        "",
        "![plots](report.png)",
        "",
    ]
    (folder / "report.md").write_text("\n".join(lines), encoding="utf-8")
    _draw(figures, pairs, predicted, folder / "report.png")


def _cell(shown: list[float]) -> str:
    value, low, high = (f"{part:.3g}" for part in shown)
    return f"{value} [{low}, {high}]"


def _draw(figures: dict[str, Any], pairs: Pairs, predicted: Predicted, path: Path) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure as Sheet

    sheet = Sheet(figsize=(13, 9), layout="constrained", facecolor="white")
    FigureCanvasAgg(sheet)
    axes: Any = sheet.subplots(2, 2)
    names = list(figures["maps"])
    _draw_intervals(axes[0, 0], names, [figures["maps"][name]["match_1of2"] for name in names], "one of two", 0.5)
    groups = [group["looks"] for group in figures["by_group"]]
    values = [group["f0_mae_semitones"] for group in figures["by_group"]]
    _draw_intervals(axes[0, 1], groups, values, "error of mean F0, semitones", None)
    for sex, color in (("female", "#c2542d"), ("male", "#3767c9")):
        chosen = (pairs.males > 0.5) == (sex == "male")
        guessed, true = np.exp(predicted.log_f0[chosen]), np.exp(pairs.log_traits[chosen, 0])
        axes[1, 0].plot(guessed, true, ".", color=color, alpha=0.5, label=f"looks {sex}")
    axes[1, 0].plot([80, 300], [80, 300], color="#d9dde6", zorder=0)
    axes[1, 0].set(xscale="log", yscale="log", xlabel="predicted F0, Hz", ylabel="measured F0, Hz")
    axes[1, 0].legend(frameon=False)
    curve = figures["curve"]
    shown, low, high = np.array([point["match_1of2"] for point in curve]).T
    people = [point["people"] for point in curve]
    axes[1, 1].errorbar(people, shown, [shown - low, high - shown], fmt="o-", color="#3767c9")
    axes[1, 1].set(xlabel="people learnt from", ylabel="one of two, ridge")
    sheet.savefig(path, dpi=90)


def _draw_intervals(axes: Any, names: list[str], values: list[list[float]], title: str, chance: float | None) -> None:
    shown = np.array(values)
    rows = np.arange(len(names))
    axes.errorbar(shown[:, 0], rows, xerr=np.abs(shown[:, 1:] - shown[:, :1]).T, fmt="o", color="#1b1f2a")
    if chance is not None:
        axes.axvline(chance, color="#d9dde6")
    axes.set_yticks(rows, names)
    axes.invert_yaxis()
    axes.set_title(title, loc="left", size=10)
