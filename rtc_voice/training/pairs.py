"""Faces with the voices of the same people: a manifest comes in, what the networks and meters say of both goes out."""

import csv
import hashlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Self

import cv2
import numpy as np
from numpy.typing import NDArray

from rtc_voice.errors import AudioError, InputError, PictureError
from rtc_voice.faces.embedding import FaceEmbedder
from rtc_voice.faces.landmarker import Landmarker
from rtc_voice.faces.picture import read_picture
from rtc_voice.faces.tracker import MAX_FACES, find_faces
from rtc_voice.faces.types import Face, FaceEmbedding, Picture
from rtc_voice.speech.formants import tract_length
from rtc_voice.training.speech_sets import load_audio
from rtc_voice.training.voice_labels import voiced_f0
from rtc_voice.voices.speaker_encoder import SAMPLE_RATE, SpeakerEncoder

NEEDED = ("file", "face", "speaker")
SAME_PERSON = 0.38  # L2 between identities below which two names of a manifest are one person
_VERSION = 1  # of what is measured; another one makes caches be made again

Array = NDArray[np.float64]
Progress = Callable[[int, int], None]
"""Pairs done, and pairs in all."""


@dataclass(frozen=True, slots=True)
class PairFiles:
    """One row of a manifest."""

    audio: Path
    face: Path
    speaker: str
    sex: str  # "m", "f", or empty where nobody said
    seconds: float  # of the recording that count; what comes after is its repetition


@dataclass(frozen=True, slots=True)
class Pairs:
    """What was measured on N faces and the N voices that belong to them."""

    identities: Array  # ``[N, 128]``
    males: Array  # ``[N]``, apparent: the attribute net's score
    ages: Array  # ``[N]``, apparent, years
    qualities: Array  # ``[N]``, of the faces, as ``Quality.score``
    light: Array  # ``[N, 2]``, mean luma and sharpness of the picture: what a face should not need
    voices: Array  # ``[N, 256]``, the speaker encoder's
    log_traits: Array  # ``[N, 3]``, natural logarithms of F0 (Hz), its range (semitones) and tract; NaN if not measured
    people: NDArray[np.int64]  # ``[N]``, one number for all pairs of one person
    sexes: NDArray[np.str_]  # ``[N]``, labels of the manifest
    rows: NDArray[np.int64]  # ``[N]``, of the manifest

    def __len__(self) -> int:
        return len(self.people)

    def take(self, index: NDArray[Any]) -> Self:
        """The pairs of an index or a mask."""
        return replace(self, **{field.name: getattr(self, field.name)[index] for field in fields(self)})

    def faces(self) -> list[FaceEmbedding]:
        """The faces as a predictor wants them."""
        rows = zip(self.identities.astype(np.float32), self.males, self.ages, strict=True)
        return [FaceEmbedding(identity, float(male), float(age)) for identity, male, age in rows]


def read_manifest(manifest: Path) -> list[PairFiles]:
    """The rows of a CSV with the columns ``file`` (recording), ``face`` (picture) and ``speaker``.

    ``sex`` (m or f) and ``unique_seconds`` are used where they are. Paths are relative to the folder above the
    manifest's, or to its own.

    Raises:
        InputError: no such file, or not such a CSV.
    """
    if not manifest.is_file():
        raise InputError(f"there is no manifest {manifest}", "give a CSV with the columns file, face and speaker")
    with manifest.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        try:
            rows, columns = list(reader), reader.fieldnames or ()
        except (UnicodeDecodeError, csv.Error) as error:
            raise InputError(f"{manifest.name} is no CSV: {error}", "save it as UTF-8 with commas") from error
    missing = [name for name in NEEDED if name not in columns]
    if missing or not rows:
        what = f"lacks the columns {', '.join(missing)}" if missing else "has no rows"
        raise InputError(f"{manifest.name} {what}", f"needed: {', '.join(NEEDED)}")
    return [_files(row, manifest) for row in rows]


def measure(rows: list[PairFiles], progress: Progress, cache: Path | None = None) -> Pairs:
    """Look at every face and listen to every voice; pairs without a usable face or voice are left out.

    Args:
        rows: of ``read_manifest``.
        progress: called after each pair.
        cache: an ``.npz`` that keeps what was measured for the next time, and is read if it holds the very same rows.

    Raises:
        InputError: not one pair can be used.
        MissingPartError: swift-f0 is not installed.
    """
    key = hashlib.sha256(repr((_VERSION, rows)).encode()).hexdigest()
    if cache is not None and cache.is_file():
        with np.load(cache) as stored:
            if str(stored["key"]) == key:
                return Pairs(**{field.name: stored[field.name] for field in fields(Pairs)})
    pairs = _measured(rows, progress)
    if cache is not None:
        cache.parent.mkdir(parents=True, exist_ok=True)
        np.savez(cache, key=key, **{field.name: getattr(pairs, field.name) for field in fields(pairs)})
    return pairs


def fingerprint(rows: list[PairFiles]) -> str:
    """Tells whether two manifests are about the same speakers, without naming one."""
    return hashlib.sha256("\n".join(sorted({row.speaker for row in rows})).encode()).hexdigest()


def same_people(identities: Array, speakers: list[str]) -> NDArray[np.int64]:
    """One number per person: pairs of one speaker, and of speakers whose faces are the same to the networks."""
    _, group = np.unique(speakers, return_inverse=True)
    apart = np.linalg.norm(identities[:, None] - identities, axis=2)
    for one, other in zip(*np.nonzero(np.triu(apart < SAME_PERSON, 1)), strict=True):
        group[group == group[other]] = group[one]
    return np.unique(group, return_inverse=True)[1].astype(np.int64)


class FaceReader:
    """Looks at many photos with one landmarker; use it as a context manager."""

    def __init__(self) -> None:
        self.embedder = FaceEmbedder()
        self._stack = ExitStack()
        self._landmarker = self._stack.enter_context(Landmarker(MAX_FACES))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def largest(self, picture: Picture) -> Face | None:
        """The largest face."""
        faces = find_faces(picture, self._landmarker)
        return faces[0] if faces else None

    def embed(self, picture: Picture) -> FaceEmbedding | None:
        """What the networks say of the largest face."""
        face = self.largest(picture)
        return None if face is None else self.embedder.embed(picture, face)


def _files(row: dict[str, str], manifest: Path) -> PairFiles:
    def path(name: str) -> Path:
        beside = manifest.parent / name
        return beside if beside.is_file() else manifest.parent.parent / name

    seconds = row.get("unique_seconds") or "inf"
    try:
        return PairFiles(path(row["file"]), path(row["face"]), row["speaker"], row.get("sex") or "", float(seconds))
    except ValueError as error:
        raise InputError(
            f"{manifest.name}: unique_seconds is {seconds!r}", "give a number, or leave it empty"
        ) from error


def _measured(rows: list[PairFiles], progress: Progress) -> Pairs:
    found = list(_each(rows, progress))
    if not found:
        raise InputError("no pair has a face and a voice that can be used", "check the paths in the manifest")
    numbers, columns = [pair[0] for pair in found], zip(*(pair[1:] for pair in found), strict=True)
    kept = [rows[number] for number in numbers]
    identities, males, ages, qualities, light, voices, traits = (np.array(column, np.float64) for column in columns)
    people = same_people(identities, [row.speaker for row in kept])
    sexes = np.array([row.sex for row in kept])
    order = np.array(numbers, dtype=np.int64)
    return Pairs(identities, males, ages, qualities, light, voices, traits, people, sexes, order)


def _each(rows: list[PairFiles], progress: Progress) -> Iterator[tuple[Any, ...]]:
    encoder = SpeakerEncoder()
    with FaceReader() as reader:
        for number, row in enumerate(rows):
            try:
                picture = read_picture(row.face)
                face = reader.largest(picture)
                if face is not None:
                    seen = reader.embedder.embed(picture, face)
                    voice, traits = hear(load_audio(row.audio, SAMPLE_RATE), row.seconds, encoder)
                    score = face.quality.score
                    yield number, seen.identity, seen.male, seen.age, score, _light(picture), voice, traits
            except (PictureError, AudioError):
                pass  # left out like a picture without a face; the count of pairs says so
            progress(number + 1, len(rows))


def hear(samples: NDArray[np.float32], seconds: float, encoder: SpeakerEncoder) -> tuple[NDArray[np.float32], Array]:
    """The embedding ``[256]`` and the logarithms of the traits ``[3]`` of the first ``seconds`` of 16 kHz speech."""
    if np.isfinite(seconds):
        samples = samples[: round(seconds * SAMPLE_RATE)]
    f0, times = voiced_f0(samples, SAMPLE_RATE)
    traits = np.full(3, np.nan)
    if f0.size >= 20:
        semitones = 12 * np.log2(f0)
        tract = tract_length(samples, SAMPLE_RATE, times)
        traits = np.array([np.log(f0).mean(), np.log(semitones.std()), np.log(tract)])
    return encoder.embed(samples, SAMPLE_RATE), traits


def _light(picture: Picture) -> tuple[float, float]:
    luma = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    return float(luma.mean()), float(cv2.Laplacian(luma, cv2.CV_32F).var())
