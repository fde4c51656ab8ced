"""Manifests, and what ``quality`` takes of them: speakers that no training has heard, both sexes in turn."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from rtc_voice.errors import InputError
from rtc_voice.training.speech_sets import SPEECH_SETS, load_audio
from rtc_voice.training.voice_data import is_test_speaker

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data" / "train"
SETS = ("speech_kokoro", "speech_librispeech", "speech_vctk_mini")
SHORTEST_S = 1.9  # a clip to convert; shorter ones say nothing of a voice
_ENOUGH_S = 4.0  # of a speaker whose voice is a target: half is shown, half is kept
_LONGEST_S = 6.0  # of a clip whose words nobody wrote down

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Recording:
    """One line of a manifest."""

    path: Path
    speaker: str
    sex: str  # "f", "m" or empty
    seconds: float  # that are not a repetition; infinite where the manifest does not say
    text: str  # empty where not transcribed

    def load(self, sample_rate: int) -> NDArray[np.float32]:
        """Its samples, mono, ``[T]``; about 6 s of it where the words are not known."""
        longest = min(self.seconds, self.seconds if self.text else _LONGEST_S)
        samples = load_audio(self.path, sample_rate)
        return samples if np.isinf(longest) else samples[: round(longest * sample_rate)]


def default_manifests() -> list[Path]:
    """The shared sets beside the repository, those that are there."""
    return [path for name in SETS if (path := SHARED / name / "manifest.csv").is_file()]


def read_manifest(manifest: Path) -> list[list[Recording]]:
    """The recordings of each speaker that no training has heard, in the manifest's order.

    Of the sets that the shipped voice was trained on, these are the speakers kept out; of any other set, all.

    Raises:
        InputError: the manifest is not there, lacks a column, or names files that are not there.
    """
    try:
        with manifest.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        is_training_set = manifest.resolve().parent.name in SPEECH_SETS
        unseen = [row for row in rows if not is_training_set or is_test_speaker(row["speaker"])]
        folder = _folder(manifest, unseen[0]["file"]) if unseen else manifest.parent
        found = [_recording(row, folder) for row in unseen]
    except (OSError, KeyError, ValueError) as error:
        hint = "a CSV with the columns file, speaker, and where known sex, seconds and text"
        raise InputError(f"{manifest} cannot be used: {error!r}", hint) from error
    by_speaker: dict[str, list[Recording]] = {}
    for recording in found:
        by_speaker.setdefault(recording.speaker, []).append(recording)
    return list(by_speaker.values())


def choose_sources(manifests: Sequence[Path], count: int) -> list[Recording]:
    """``count`` clips: speakers of all sets and of both sexes in turn, each sentence once."""
    sets = [both_sexes(read_manifest(manifest)) for manifest in manifests]
    in_turn = _in_turn([[_long(clips) for clips in speakers] for speakers in sets])
    chosen, said = [], set[str]()
    for clip in _in_turn(in_turn):
        if clip.text and clip.text in said:
            continue
        said.add(clip.text)
        chosen.append(clip)
    return chosen[:count]


def choose_targets(manifests: Sequence[Path], count: int) -> list[list[Recording]]:
    """The recordings of ``count`` speakers: the sets in turn, and in each both sexes."""
    sets = [
        [clips for clips in both_sexes(read_manifest(manifest)) if sum(clip.seconds for clip in clips) >= _ENOUGH_S]
        for manifest in manifests
    ]
    return _in_turn(sets)[:count]


def both_sexes(speakers: Sequence[list[Recording]]) -> list[list[Recording]]:
    """Women and men in turn, then those of whom nobody said."""
    of = {sex: [clips for clips in speakers if clips[0].sex == sex] for sex in ("f", "m", "")}
    return [*_in_turn([of["f"], of["m"]]), *of[""]]


def _in_turn(lists: Sequence[Sequence[Item]]) -> list[Item]:
    """The first of each list, then the second of each, until all are through."""
    return [item for item in chain.from_iterable(zip_longest(*lists)) if item is not None]


def _long(clips: Sequence[Recording]) -> list[Recording]:
    return [clip for clip in clips if clip.seconds >= SHORTEST_S]


def _folder(manifest: Path, file: str) -> Path:
    """Paths in a manifest are relative to one of the folders that it lies in."""
    for parent in manifest.resolve().parents:
        if (parent / file).is_file():
            return parent
    raise FileNotFoundError(file)


def _recording(row: dict[str, str], folder: Path) -> Recording:
    sex = (row.get("sex") or "")[:1].lower()
    if not sex and row.get("male_weight"):
        sex = "m" if float(row["male_weight"]) > 0.5 else "f"
    seconds = float(row.get("unique_seconds") or row.get("seconds") or "inf")
    return Recording(folder / row["file"], row["speaker"], sex, seconds, row.get("text") or "")
