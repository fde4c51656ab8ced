"""Fit the second speaker encoder, which judges only: ``python -m benchmarks.train_second_encoder DATA OUT``.

It may learn from recordings that are for research and measuring only, for nothing made from it is in the package.
"""

import argparse
import csv
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy.linalg
import torch
from numpy.typing import NDArray
from rich.progress import track
from safetensors.torch import save_file
from torch import Tensor

from benchmarks.second_encoder import (
    BANDS,
    COMPONENTS,
    EMBEDDING_SIZE,
    FEATURES,
    SecondSpeakerEncoder,
    features,
    log_mel,
)
from rtc_voice.errors import AudioError
from rtc_voice.training.speech_sets import load_audio
from rtc_voice.training.voice_data import is_test_speaker
from rtc_voice.voices.speaker_encoder import SAMPLE_RATE, prepare

MANIFESTS = (
    "train/speech_librispeech/manifest.csv",
    "train/speech_vctk_mini/manifest.csv",
    "train/speech_kokoro/manifest.csv",
    "train/manifest_paired.csv",
)
_BEND = np.cos(np.pi * np.outer(np.arange(1, 7), np.linspace(0, 1, BANDS)))  # smooth curves over the bands
_MIXTURE_ROWS, _MIXTURE_ROUNDS = 90_000, 8
_PRINCIPAL = 400  # directions kept before the discriminants
_SHRINKAGE = 1.0  # of what varies within a speaker, towards varying alike in all directions

Rows = NDArray[np.float32]  # log-mel, ``[F, 64]``


@dataclass(frozen=True, slots=True)
class Recording:
    """One recording and its speaker."""

    path: Path
    speaker: str
    sex: str  # "f", "m" or empty
    seconds: float  # that are not a repetition

    def speech(self) -> NDArray[np.float32]:
        """At 16 kHz, without silences.

        Raises:
            AudioError: hardly anything is left.
        """
        samples = load_audio(self.path, SAMPLE_RATE)[: round(self.seconds * SAMPLE_RATE)]
        return prepare(samples, SAMPLE_RATE)


def read_recordings(data_dir: Path) -> list[Recording]:
    """All recordings of the sets."""
    recordings = []
    for manifest in MANIFESTS:
        with (data_dir / manifest).open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                sex = row.get("sex") or ("fm"[float(row["male_weight"]) > 0.5] if row.get("male_weight") else "")
                seconds = float(row.get("unique_seconds") or row["seconds"])
                recordings.append(Recording(data_dir / row["file"], row["speaker"], sex, seconds))
    return recordings


def is_held_out(speaker: str) -> bool:
    """Whether the judge shall not know a speaker: those of the voice's own tests, and a fifth of AVSpeech."""
    return is_test_speaker(speaker) or (speaker.startswith("yt_") and zlib.crc32(speaker.encode()) % 5 == 0)


def read_rows(recordings: Sequence[Recording]) -> Iterator[tuple[str, Rows]]:
    """Speaker and log-mel rows of each recording that holds enough speech."""
    for recording in track(recordings, description="log-mel rows"):
        try:
            rows = log_mel(torch.from_numpy(recording.speech())).numpy()
        except AudioError:
            continue
        if len(rows) > 60:
            yield recording.speaker, rows


def disguise(rows: Rows, rng: np.random.Generator) -> Rows:
    """The same voice through another microphone, in a room, in noise, in a narrower band."""
    made = rows + (rng.normal(0, 0.6, 6) / np.arange(1, 7) ** 0.5) @ _BEND
    if rng.random() < 0.3:
        made = np.log(_reverberated(np.exp(made), float(rng.uniform(0.27, 0.74)), float(rng.uniform(0.05, 0.3))))
    level = np.log(np.mean(np.exp(made)))
    noise = rng.normal(0, 1, 6) @ _BEND + np.log(rng.gamma(2, 0.5, made.shape) + 1e-3)
    made = np.logaddexp(made, noise + level - rng.uniform(2.3, 9))
    if rng.random() < 0.25:
        made[:, rng.integers(44, BANDS) :] = made.min()
    disguised: Rows = made.astype(np.float32)
    return disguised


def fit(recordings: Sequence[tuple[str, Rows]], rng: np.random.Generator) -> SecondSpeakerEncoder:
    """The encoder, from recordings of many speakers."""
    encoder = SecondSpeakerEncoder(weights=None)
    _fit_mixture(encoder, recordings, rng)
    numbers = {name: i for i, name in enumerate(dict.fromkeys(speaker for speaker, _ in recordings))}
    differences, speakers = [], []
    for speaker, rows in track(recordings, description="differences"):
        for crop in _crops(rows, rng):
            differences.append(encoder.differences(features(torch.from_numpy(crop))).half())
            speakers.append(numbers[speaker])
    matrix = torch.stack(differences).float()
    encoder.offset.copy_(matrix.mean(dim=0))
    matrix -= encoder.offset
    _, _, principal = torch.svd_lowrank(matrix, q=_PRINCIPAL + 20, niter=2)
    principal = principal[:, :_PRINCIPAL]
    encoder.projection.copy_(principal @ discriminants(matrix @ principal, np.array(speakers)))
    return encoder


def discriminants(vectors: Tensor, speakers: NDArray[np.int64]) -> Tensor:
    """Directions in which speakers differ most for how much each of them varies, ``[K, 128]``, of ``[N, K]``."""
    points = vectors.double().numpy()
    means = np.zeros((speakers.max() + 1, points.shape[1]))
    np.add.at(means, speakers, points)
    means /= np.bincount(speakers)[:, None]
    within = np.cov((points - means[speakers]).T)
    within += _SHRINKAGE * np.trace(within) / len(within) * np.eye(len(within))
    _, directions = scipy.linalg.eigh(np.cov(means.T), within)
    return torch.from_numpy(directions[:, : -EMBEDDING_SIZE - 1 : -1].astype(np.float32))


def _fit_mixture(
    encoder: SecondSpeakerEncoder, recordings: Sequence[tuple[str, Rows]], rng: np.random.Generator
) -> None:
    """Expectation maximisation on rows of all recordings."""
    every = torch.cat([features(torch.from_numpy(next(_crops(rows, rng)))) for _, rows in recordings])
    chosen = every[torch.from_numpy(rng.permutation(len(every))[:_MIXTURE_ROWS])]
    encoder.means.copy_(chosen[:COMPONENTS])
    encoder.variances.copy_(chosen.var(dim=0).expand(COMPONENTS, FEATURES))
    for _ in range(_MIXTURE_ROUNDS):
        count, first, second = torch.zeros(COMPONENTS, 1), torch.zeros(()), torch.zeros(())
        for rows in torch.split(chosen, 15_000):
            shares = encoder.shares(rows)
            count = count + shares.sum(dim=0).unsqueeze(1)
            first, second = first + shares.T @ rows, second + shares.T @ rows.square()
        count = count + 1e-3
        encoder.means.copy_(first / count)
        encoder.variances.copy_((second / count - encoder.means.square()).clamp(min=0.02 * float(chosen.var())))
        encoder.weights.copy_(((count + 1) / (count + 1).sum())[:, 0])


def _crops(rows: Rows, rng: np.random.Generator) -> Iterator[Rows]:
    """Pieces of 1.5 to 5 s, the first as it is, the others disguised."""
    for number in range(int(np.clip(len(rows) / 200, 2, 6))):
        count = int(rng.integers(150, 500))
        start = int(rng.integers(max(1, len(rows) - count + 1)))
        crop = rows[start : start + count].astype(np.float32)
        yield disguise(crop, rng) if number else crop


def _reverberated(power: NDArray[np.float64], decay: float, gain: float) -> NDArray[np.float64]:
    """Each band's power with an echo that dies away from row to row."""
    made, echo = power.copy(), np.zeros(BANDS)
    for i, row in enumerate(power):
        echo = echo * decay + row * (gain * 3 * (1 - decay))
        made[i] += echo
    return made


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="the folder of the shared sets")
    parser.add_argument("out", type=Path, help="file for the weights")
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    known = [one for one in read_recordings(options.data) if not is_held_out(one.speaker)]
    encoder = fit(list(read_rows(known)), np.random.default_rng(0))
    save_file({name: value.half().contiguous() for name, value in encoder.state_dict().items()}, options.out)


if __name__ == "__main__":
    main()
