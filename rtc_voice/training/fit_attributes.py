"""Fits the first face-to-voice predictor: the voices of women and men, and their traits, from licensed speech alone."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

from rtc_voice.speech.formants import formant_scale
from rtc_voice.training.speech_sets import SPEECH_SETS, Utterance, load_audio, read_speech_sets
from rtc_voice.training.voice_labels import voiced_f0
from rtc_voice.voices.attributes import F0_SHARE
from rtc_voice.voices.individual import Individuality
from rtc_voice.voices.speaker_encoder import SAMPLE_RATE, SpeakerEncoder

DIRECTIONS = 32  # of the covariance; they hold 74 % of the variance between speakers
BANDWIDTH = 0.45  # L2 between identities at which their voices' individual parts correlate by 0.61
LONGEST_S = 12  # of each recording
SEED = 20261123
TRAITS = ("f0_hz", "f0_range_semitones", "tract")

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class MeasuredSpeech:
    """What was measured on each of N utterances."""

    embeddings: Array  # ``[N, 256]``
    log_traits: Array  # ``[N, 3]``, natural logarithms in the order of ``TRAITS``
    males: Array  # ``[N]``
    sources: NDArray[np.str_]  # ``[N]``
    speakers: NDArray[np.str_]  # ``[N]``

    def per_speaker(self) -> "MeasuredSpeech":
        """The means over the utterances of each speaker, the embeddings unit vectors again."""
        _, first, index = np.unique(self.speakers, return_index=True, return_inverse=True)
        counts = np.bincount(index)[:, None]
        embeddings, log_traits = np.zeros((first.size, 256)), np.zeros((first.size, 3))
        np.add.at(embeddings, index, self.embeddings)
        np.add.at(log_traits, index, self.log_traits)
        embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
        return MeasuredSpeech(
            embeddings, log_traits / counts, self.males[first], self.sources[first], self.speakers[first]
        )


def fit(data_dir: Path, out: Path, progress: Callable[[str], None] = lambda line: None) -> dict[str, float]:
    """Fit the predictor and write its arrays, and beside them the measured figures as JSON.

    Args:
        data_dir: folder with the licensed speech sets under ``train/``.
        out: safetensors file to write.
        progress: called with a line now and then.

    Returns:
        The figures: how well held-out speakers' traits are read, and how alike voices of one sex are.
    """
    measured = measure(read_speech_sets(data_dir), progress)
    arrays, figures = fit_arrays(measured)
    save_file({name: array.astype(np.float32) for name, array in arrays.items()}, out)
    out.with_suffix(".json").write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    progress(f"wrote {out}")
    return figures


def measure(utterances: list[Utterance], progress: Callable[[str], None]) -> MeasuredSpeech:
    """Embed and label every utterance; those with hardly any voiced sound are left out."""
    encoder = SpeakerEncoder()
    embeddings, log_traits, kept = [], [], []
    for number, utterance in enumerate(utterances, start=1):
        samples = load_audio(utterance.path, SAMPLE_RATE)[: LONGEST_S * SAMPLE_RATE]
        f0, times = voiced_f0(samples, SAMPLE_RATE)
        if f0.size >= 20:
            log_f0 = np.log(f0)
            range_semitones = log_f0.std() * 12 / np.log(2)
            spacing = formant_scale(samples, SAMPLE_RATE, times)
            embeddings.append(encoder.embed(samples, SAMPLE_RATE))
            log_traits.append([log_f0.mean(), np.log(range_semitones), -np.log(spacing)])
            kept.append(utterance)
        if number % 100 == 0:
            progress(f"measured {number} of {len(utterances)} recordings")
    return MeasuredSpeech(
        np.array(embeddings, dtype=np.float64),
        np.array(log_traits),
        np.array([utterance.male for utterance in kept]),
        np.array([utterance.source for utterance in kept]),
        np.array([utterance.speaker for utterance in kept]),
    )


def fit_arrays(measured: MeasuredSpeech) -> tuple[dict[str, Array], dict[str, float]]:
    """The arrays of ``VoiceSpace`` and the figures of the fit."""
    speakers = measured.per_speaker()
    # A tract of 1 lies halfway between women and men; spacing and length are inversely proportional.
    log_tract = speakers.log_traits[:, 2]
    middle = (log_tract[speakers.males == 0].mean() + log_tract[speakers.males == 1].mean()) / 2
    log_traits = measured.log_traits - np.array([0, 0, middle])
    weights, bias, errors = _fit_traits(measured, log_traits)
    space = _calibrated(_with_less_f0(_fit_space(speakers), weights[0]), speakers)
    waves = asdict(Individuality.seeded(SEED, DIRECTIONS, BANDWIDTH))
    arrays = {**space, **waves, "trait_weights": weights, "trait_bias": bias}
    women, men = (speakers.embeddings[speakers.males == sex] for sex in (0, 1))
    figures = {
        "speakers": float(len(speakers.males)),
        "recordings": float(len(measured.males)),
        "cosine_within_women": _mean_cosine(women),
        "cosine_within_men": _mean_cosine(men),
        **errors,
    }
    return arrays, figures


def _fit_space(speakers: MeasuredSpeech) -> dict[str, Array]:
    """Means per sex and covariances in the leading directions, the sets' own recording conditions taken out."""
    is_set = np.stack([speakers.sources == name for name in SPEECH_SETS], axis=1).astype(np.float64)
    design = np.column_stack([1 - speakers.males, speakers.males, is_set - is_set.mean(axis=0)])
    effects = np.linalg.lstsq(design, speakers.embeddings, rcond=None)[0]
    rest = speakers.embeddings - design @ effects
    basis = np.linalg.svd(rest, full_matrices=False)[2][:DIRECTIONS].T
    spreads = []
    for belongs in (speakers.males < 0.5, speakers.males >= 0.5):
        values, vectors = np.linalg.eigh(np.cov((rest[belongs] @ basis).T))
        spreads.append((vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T)
    return {
        "mean_female": effects[0],
        "mean_male": effects[1],
        "basis": basis,
        "spread_female": spreads[0],
        "spread_male": spreads[1],
    }


def _with_less_f0(space: dict[str, Array], f0_weights: Array) -> dict[str, Array]:
    """The space with its spread along the F0 readout cut to ``F0_SHARE``."""
    direction = space["basis"].T @ f0_weights
    direction /= np.linalg.norm(direction)
    shrink = np.eye(DIRECTIONS) - (1 - F0_SHARE) * np.outer(direction, direction)
    return space | {name: shrink @ space[name] for name in ("spread_female", "spread_male")}


def _calibrated(space: dict[str, Array], speakers: MeasuredSpeech) -> dict[str, Array]:
    """The space with its means moved until what is drawn from it has the real means, and so within-sex cosines.

    Cutting at zero, and the directions and conditions left out, would make the voices too alike and men's too high.
    (The length of the mean of unit vectors is the root of their mean cosine.)
    """
    rng = np.random.default_rng(SEED)
    individuality = np.sqrt(2) * np.cos(rng.uniform(0, 2 * np.pi, (2000, DIRECTIONS)))
    for sex, name in enumerate(("female", "male")):
        of_sex = speakers.embeddings[(speakers.males == sex) & (speakers.sources == SPEECH_SETS[0])]
        mean, spread = space[f"mean_{name}"].copy(), space[f"spread_{name}"]
        target: Array = mean / np.linalg.norm(mean) * np.sqrt(_mean_cosine(of_sex))
        for _ in range(30):
            drawn = np.maximum(mean + individuality @ spread.T @ space["basis"].T, 0)
            drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
            mean += target - drawn.mean(axis=0)
        space = space | {f"mean_{name}": mean}
    return space


def _fit_traits(measured: MeasuredSpeech, log_traits: Array) -> tuple[Array, Array, dict[str, float]]:
    """Ridge readouts ``[3, 256]`` and ``[3]``, and their errors on speakers left out (five folds)."""
    rng = np.random.default_rng(SEED)
    _, speaker = np.unique(measured.speakers, return_inverse=True)
    fold = rng.permutation(speaker.max() + 1)[speaker] % 5
    share = 1 / np.bincount(speaker)[speaker]  # every speaker counts the same
    penalties = 10.0 ** np.arange(-3, 2.5, 0.5)
    predicted = np.empty((penalties.size, *log_traits.shape))
    for held_out in range(5):
        train = fold != held_out
        for row, penalty in enumerate(penalties):
            weights, bias = _ridge(measured.embeddings[train], log_traits[train], share[train], penalty)
            predicted[row, ~train] = measured.embeddings[~train] @ weights.T + bias
    errors = np.average(np.square(predicted - log_traits), axis=1, weights=share)  # ``[penalties, 3]``
    best = errors.argmin(axis=0)
    fits = [
        _ridge(measured.embeddings, log_traits[:, [trait]], share, penalties[best[trait]])
        for trait in range(len(TRAITS))
    ]
    variance = np.average(np.square(log_traits - np.average(log_traits, axis=0, weights=share)), axis=0, weights=share)
    figures = {f"{name}_r2": float(1 - errors[best[i], i] / variance[i]) for i, name in enumerate(TRAITS)}
    figures["f0_rms_semitones"] = float(np.sqrt(errors[best[0], 0]) * 12 / np.log(2))
    return np.vstack([weights for weights, _ in fits]), np.concatenate([bias for _, bias in fits]), figures


def _ridge(inputs: Array, targets: Array, share: Array, penalty: float) -> tuple[Array, Array]:
    """Weights ``[M, D]`` and bias ``[M]`` that map ``inputs`` ``[N, D]`` to ``targets`` ``[N, M]``."""
    centre, level = (np.average(array, axis=0, weights=share) for array in (inputs, targets))
    weighted = (inputs - centre) * share[:, None]
    gram = weighted.T @ (inputs - centre) + penalty * np.eye(inputs.shape[1])
    weights = np.asarray(np.linalg.solve(gram, weighted.T @ (targets - level)).T, dtype=np.float64)
    return weights, level - weights @ centre


def _mean_cosine(embeddings: Array) -> float:
    """Of all pairs of different rows of unit vectors."""
    count = len(embeddings)
    return float((np.sum(embeddings.sum(axis=0) ** 2) - count) / (count * (count - 1)))
