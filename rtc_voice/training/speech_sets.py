"""Licensed recordings of many speakers: their manifests and their samples."""

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from rtc_voice.errors import AudioError, InputError

SPEECH_SETS = ("speech_librispeech", "speech_vctk_mini", "speech_kokoro")


@dataclass(frozen=True, slots=True)
class Utterance:
    """One recording of one speaker, and what is known of both."""

    path: Path
    source: str  # the set it comes from
    speaker: str
    male: float  # 0 female, 1 male, between them for blends of synthetic voices
    age: float | None  # years
    seconds: float
    text: str  # empty where not transcribed
    phonemes: str  # empty where not known
    licence: str
    band_hz: int | None = None  # nothing above it is to be trusted; None where the manifest does not say


def find_speech_sets(data_dir: Path) -> list[str]:
    """The names of the sets in ``data_dir``, those that come with the project first.

    Raises:
        InputError: there is none.
    """
    found = sorted(path.parent.name for path in data_dir.glob("train/speech_*/manifest.csv"))
    if not found:
        raise InputError(f"no speech set in {data_dir}", "make one: rtc-voice train data --help")
    return sorted(found, key=lambda name: name not in SPEECH_SETS)


def read_speech_sets(data_dir: Path, names: Iterable[str] = SPEECH_SETS) -> list[Utterance]:
    """The utterances of the named sets, in the order of their manifests.

    Args:
        data_dir: the folder that holds ``train/NAME/manifest.csv``; paths in manifests are relative to it.
        names: sets to read.

    Raises:
        InputError: a set is not there.
    """
    utterances = []
    for name in names:
        manifest = data_dir / "train" / name / "manifest.csv"
        if not manifest.is_file():
            raise InputError(f"no speech set {name!r}", f"expected its manifest at {manifest}")
        with manifest.open(encoding="utf-8", newline="") as file:
            utterances += [_utterance(row, name, data_dir) for row in csv.DictReader(file)]
    return utterances


def load_audio(path: Path, sample_rate: int) -> NDArray[np.float32]:
    """All samples of a recording (Opus, FLAC, WAV and whatever else FFmpeg reads), mono, ``[T]``.

    Raises:
        AudioError: the file holds no readable sound.
    """
    resampler = av.AudioResampler(format="flt", layout="mono", rate=sample_rate)
    parts: list[NDArray[np.float32]] = []
    try:
        with av.open(str(path)) as container:
            for frame in [*container.decode(audio=0), None]:
                parts += [resampled.to_ndarray()[0] for resampled in resampler.resample(frame)]
    except (av.FFmpegError, IndexError, OSError) as error:
        raise AudioError(f"{path.name} is not a readable recording", str(error)) from error
    if not parts:
        raise AudioError(f"{path.name} holds no sound", "take it out of the manifest")
    return np.concatenate(parts).astype(np.float32, copy=False)


def _utterance(row: dict[str, str], source: str, data_dir: Path) -> Utterance:
    sex = row.get("sex", "")
    return Utterance(
        path=data_dir / row["file"],
        source=source,
        speaker=row["speaker"],
        male=float(row["male_weight"]) if "male_weight" in row else float(sex == "m"),
        age=float(row["age"]) if row.get("age") else None,
        seconds=float(row["seconds"]),
        text=row.get("text", ""),
        phonemes=row.get("phonemes", ""),
        licence=row["licence"],
        band_hz=int(row["band_hz"]) if row.get("band_hz") else None,
    )
