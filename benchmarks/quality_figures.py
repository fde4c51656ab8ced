"""From what the judges found, clip by clip, to the rows of ``quality``."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.words import word_errors

GROUP = 8  # voices among which a clip's own has to be found
ENCODERS = {"": "second", "resemblyzer_": "resemblyzer"}  # a column's prefix, and the encoder that it comes from
_DRAWS = 2000  # of the bootstrap
_MARGIN = 0.75  # voices less alike than this count as clearly different

Array = NDArray[np.float64]
Row = dict[str, object]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the judges find in one recording."""

    words: str
    dnsmos_ovrl: float  # 1 to 5
    plcmos: float  # 1 to 5
    f0_hz: float  # geometric mean, NaN where nothing is voiced
    embeddings: Mapping[str, NDArray[np.float32]]  # unit vectors, by the encoder's name


@dataclass(frozen=True, slots=True)
class Goal:
    """A voice that is wanted: what the system was shown of it, and what it is judged by."""

    speaker: str
    sex: str  # "f", "m" or empty
    f0_hz: float
    shown: Mapping[str, NDArray[np.float32]]  # embeddings of the first half of the recording
    kept: Mapping[str, NDArray[np.float32]]  # and of the second


@dataclass(frozen=True, slots=True)
class Outcome:
    """One clip that a system made."""

    text: str  # empty where nobody wrote down what is said
    source: Verdict
    made: Verdict
    goal: int | None  # index of the voice that was wanted; None where the source's own


def row(name: str, outcomes: Sequence[Outcome], goals: Sequence[Goal]) -> Row:
    """The figures of one system with 95 % intervals over its clips."""
    out: Row = {"name": name}
    errors = np.array([_errors(one) for one in outcomes])
    known = errors[errors[:, 2] > 0]
    if len(known):
        out |= _interval("wer", known, lambda e: e[..., 0].sum(-1) / e[..., 2].sum(-1))
        out |= _interval("wer_added", known, lambda e: (e[..., 0] - e[..., 1]).sum(-1) / e[..., 2].sum(-1))
    changed = np.array([word_errors(one.source.words, one.made.words) for one in outcomes])
    out["words_changed"] = float(changed[:, 0].sum() / max(1, changed[:, 1].sum()))
    out |= mean("dnsmos_ovrl", [one.made.dnsmos_ovrl for one in outcomes])
    out |= mean("dnsmos_ovrl_drop", [one.source.dnsmos_ovrl - one.made.dnsmos_ovrl for one in outcomes])
    out["plcmos"] = float(np.mean([one.made.plcmos for one in outcomes]))
    for prefix, encoder in ENCODERS.items():
        out |= _similarities(prefix, encoder, outcomes, goals)
    wanted = [(one, goals[one.goal]) for one in outcomes if one.goal is not None]
    if wanted:
        off = [12 * np.log2(one.made.f0_hz / goal.f0_hz) for one, goal in wanted]
        out["f0_error_semitones"] = float(np.nanmean(np.abs(off)))
    out["n"], out["n_with_text"] = len(outcomes), len(known)
    return out


def scale(goals: Sequence[Goal]) -> list[Row]:
    """How alike natural recordings are: of one speaker, of two of one sex, of two of different sexes."""
    pairs = [(i, j) for i in range(len(goals)) for j in range(len(goals))]
    others = [(i, j) for i, j in pairs if goals[i].speaker != goals[j].speaker]
    known = [(i, j) for i, j in others if goals[i].sex and goals[j].sex]
    chosen = {
        "natural_same_speaker": [(i, i) for i in range(len(goals))],
        "natural_other_speaker_same_sex": [(i, j) for i, j in known if goals[i].sex == goals[j].sex],
        "natural_other_speaker_other_sex": [(i, j) for i, j in known if goals[i].sex != goals[j].sex],
    }
    rows: list[Row] = []
    for name, indices in chosen.items():
        if not indices:
            continue
        out: Row = {"name": name}
        for prefix, encoder in ENCODERS.items():
            cosines = [float(goals[i].shown[encoder] @ goals[j].kept[encoder]) for i, j in indices]
            out[f"{prefix}secs_target"] = float(np.mean(cosines))
        rows.append({**out, "n": len(indices)})
    return rows


def gain(name: str, with_part: Sequence[Outcome], without: Sequence[Outcome]) -> Row:
    """What a part of the chain is worth: the same clips with it and without it, differences with 95 % intervals."""
    pairs = list(zip(with_part, without, strict=True))
    errors = np.array([(*_errors(one)[[0, 2]], _errors(other)[0]) for one, other in pairs])
    out: Row = {"name": name}
    out |= mean("dnsmos_ovrl", [one.made.dnsmos_ovrl - other.made.dnsmos_ovrl for one, other in pairs])
    out |= mean("plcmos", [one.made.plcmos - other.made.plcmos for one, other in pairs])
    if errors[:, 1].sum():
        out |= _interval("wer", errors[errors[:, 1] > 0], lambda e: (e[..., 0] - e[..., 2]).sum(-1) / e[..., 1].sum(-1))
    return {**out, "n": len(pairs)}


def many_voices(name: str, voices: Sequence[Sequence[Verdict]], texts: Sequence[str], sexes: Sequence[str]) -> Row:
    """How different voices are that say the same sentences.

    Args:
        name: of the row.
        voices: what each voice said, sentence by sentence.
        texts: the sentences.
        sexes: "f" or "m" for each voice, as the face shows it.
    """
    errors = np.array([word_errors(text, one.words) for said in voices for text, one in zip(texts, said, strict=True)])
    out: Row = {"name": name, "wer": float(errors[:, 0].sum() / errors[:, 1].sum())}
    out["dnsmos_ovrl"] = float(np.mean([one.dnsmos_ovrl for said in voices for one in said]))
    first, second = np.triu_indices(len(voices), 1)
    for prefix, encoder in ENCODERS.items():
        means = np.stack([np.mean([one.embeddings[encoder] for one in said], axis=0) for said in voices])
        means /= np.linalg.norm(means, axis=1, keepdims=True)
        cosines = (means @ means.T)[first, second]
        out[f"{prefix}pairwise"] = float(cosines.mean())
        out[f"{prefix}pairwise_max"] = float(cosines.max())
        out[f"{prefix}pairs_below_0_75"] = float(np.mean(cosines < _MARGIN))
    for sex in ("f", "m"):
        f0 = [float(np.nanmean([one.f0_hz for one in said])) for said, s in zip(voices, sexes, strict=True) if s == sex]
        out[f"f0_hz_{sex}"] = float(np.mean(f0)) if f0 else None
    return {**out, "n": len(voices)}


def mean(name: str, values: Sequence[float]) -> Row:
    """A mean and its 95 % interval."""
    return _interval(name, np.array(values, dtype=np.float64), lambda drawn: drawn.mean(axis=-1))


def _interval(name: str, clips: Array, figure: Callable[[Array], Array]) -> Row:
    """A figure over clips, and where 95 % of it lie when the clips are drawn again, with putting back."""
    drawn = np.random.default_rng(0).integers(len(clips), size=(_DRAWS, len(clips)))
    low, high = np.quantile(figure(clips[drawn]), [0.025, 0.975])
    return {name: float(figure(clips)), f"{name}_ci95": [float(low), float(high)]}


def _errors(one: Outcome) -> Array:
    """Words wrong as made, words wrong in the source, words."""
    if not one.text:
        return np.zeros(3)
    made, count = word_errors(one.text, one.made.words)
    return np.array([made, word_errors(one.text, one.source.words)[0], count], dtype=np.float64)


def _similarities(prefix: str, encoder: str, outcomes: Sequence[Outcome], goals: Sequence[Goal]) -> Row:
    made = np.stack([one.made.embeddings[encoder] for one in outcomes])
    kept = np.stack([goal.kept[encoder] for goal in goals])
    to_goals = made @ kept.T
    own = [one.goal for one in outcomes if one.goal is not None]
    to_own = to_goals[[one.goal is not None for one in outcomes]]
    out: Row = {}
    if own:
        out |= mean(f"{prefix}secs_target", [float(to_own[i, goal]) for i, goal in enumerate(own)])
    out |= mean(
        f"{prefix}secs_source", [float(m @ o.source.embeddings[encoder]) for m, o in zip(made, outcomes, strict=True)]
    )
    out[f"{prefix}secs_same_speaker"] = float(np.mean([goal.shown[encoder] @ goal.kept[encoder] for goal in goals]))
    if own:
        found = [goal == _nearest(to_own[i], goal) for i, goal in enumerate(own)]
        out[f"{prefix}right_target_of_{min(GROUP, len(goals))}"] = float(np.mean(found))
    return out


def _nearest(cosines: NDArray[np.float32], goal: int) -> int:
    """The most similar of the voices in the goal's group."""
    first = goal // GROUP * GROUP
    return first + int(np.argmax(cosines[first : first + GROUP]))
