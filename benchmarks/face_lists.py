"""The public lists of the VoxCeleb face and voice protocol, for who has that data: do this voice and this face match?

A list has the columns ``voice-speaker-id``, ``face-speaker-id``, ``label``, ``voice-path`` and ``face-path``; its name
tells which strangers are offered: any (``random``), or of one sex (``G``), one nationality (``N``), one age (``A``), or
all of these (``GNA``).

Source:
    Nagrani, Albanie and Zisserman 2018, Learnable PINs, https://arxiv.org/abs/1805.00833.
"""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from benchmarks.form import run
from rtc_voice.errors import AudioError, InputError, PictureError
from rtc_voice.faces.picture import read_picture
from rtc_voice.training.matching import Statistic, figure, unit
from rtc_voice.training.pairs import FaceReader
from rtc_voice.training.speech_sets import load_audio
from rtc_voice.voices.learned import SIZE, LearnedPredictor
from rtc_voice.voices.speaker_encoder import SAMPLE_RATE, SpeakerEncoder

COLUMNS = ("voice-speaker-id", "face-speaker-id", "label", "voice-path", "face-path")
PLACES = ("", "wav", "audio", "faces", "unzippedFaces", "zippedFaces")  # below the root, where people unpack it
QUICK_TRIALS, RESAMPLES = 400, 200

Array = NDArray[np.float64]
Row = dict[str, object]


@dataclass(frozen=True, slots=True)
class Trial:
    """One question of a list."""

    person: str  # who speaks
    is_true: bool  # and is also seen
    voice: str
    face: str


def read_list(path: Path) -> list[Trial]:
    """The trials of a list.

    Raises:
        InputError: not such a list.
    """
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    missing = [name for name in COLUMNS if not rows or name not in rows[0]]
    if missing:
        raise InputError(f"{path.name} lacks {', '.join(missing)}", "give a list such as veriflist_test_random_*.txt")
    return [
        Trial(row["voice-speaker-id"], row["label"].strip() == "1", row["voice-path"], row["face-path"]) for row in rows
    ]


def rows(quick: bool, trials: Path | None, root: Path | None) -> list[Row]:
    """Area and equal error rate of one list, and one of two: a voice's true face against its false ones."""
    if trials is None or root is None:
        raise InputError("a list and its data are needed", "give --list FILE and --root FOLDER")
    asked = read_list(trials)
    asked = asked[:: max(1, len(asked) // QUICK_TRIALS)] if quick else asked
    faces = _faces(sorted({trial.face for trial in asked}), root)
    voices = _voices(sorted({trial.voice for trial in asked}), root)
    kept = [trial for trial in asked if trial.face in faces and trial.voice in voices]
    if len({trial.is_true for trial in kept}) < 2:
        raise InputError(f"of {len(asked)} trials none can be judged", f"is the data in {root}?")
    scores = np.array([float(faces[trial.face] @ voices[trial.voice]) for trial in kept])
    return judged(trials.stem, kept, scores, len(asked))


def judged(name: str, trials: list[Trial], scores: Array, asked: int) -> list[Row]:
    """The rows of scored trials; intervals are over the people who speak."""
    is_true = np.array([trial.is_true for trial in trials])
    people = np.unique([trial.person for trial in trials], return_inverse=True)[1].astype(np.int64)
    out: list[Row] = []
    for key, number in (("auc", 0), ("eer", 1)):
        shown = figure(_curve(scores, is_true, number), people, RESAMPLES)
        out.append(
            {
                "name": f"{name}_{key}",
                key: shown.value,
                "low": shown.low,
                "high": shown.high,
                "n": len(trials),
                "asked": asked,
            }
        )
    return out


def _curve(scores: Array, is_true: NDArray[np.bool_], number: int) -> Statistic:
    order = np.argsort(-scores, kind="stable")
    true = is_true[order]

    def statistic(weights: Array) -> Array:
        found = []
        for weight in weights[:, order]:
            hits, alarms = np.cumsum(weight * true), np.cumsum(weight * ~true)
            hits, alarms = hits / max(hits[-1], 1e-12), alarms / max(alarms[-1], 1e-12)
            crossing = int(np.argmin(np.abs(1 - hits - alarms)))
            area = np.sum(np.diff(alarms, prepend=0) * hits)
            found.append((area, (1 - hits[crossing] + alarms[crossing]) / 2)[number])
        return np.array(found)

    return statistic


def _faces(names: list[str], root: Path) -> dict[str, Array]:
    """The step from the mean voice that the shipped map predicts for each face, unit vectors."""
    predictor, found = LearnedPredictor.load(), {}
    with FaceReader() as reader:
        for name in track(names, "faces"):
            try:
                seen = reader.embed(read_picture(_path(name, root)))
            except PictureError:
                continue
            if seen is not None:
                voice = predictor.predict(seen).embedding.astype(np.float64)
                found[name] = unit(voice - predictor.map.mean[:SIZE])
    return found


def _voices(names: list[str], root: Path) -> dict[str, Array]:
    mean, encoder, found = LearnedPredictor.load().map.mean[:SIZE].astype(np.float64), SpeakerEncoder(), {}
    for name in track(names, "voices"):
        try:
            embedding = encoder.embed(load_audio(_path(name, root), SAMPLE_RATE), SAMPLE_RATE)
        except AudioError:
            continue
        found[name] = unit(embedding.astype(np.float64) - mean)
    return found


def _path(name: str, root: Path) -> Path:
    return next((root / place / name for place in PLACES if (root / place / name).is_file()), root / name)


if __name__ == "__main__":
    run(
        "Face and voice, the VoxCeleb lists",
        rows,
        [("list", "a list of the protocol"), ("root", "folder with its faces and voices")],
    )
