import csv
from pathlib import Path

import numpy as np
import pytest

from benchmarks.recordings import choose_sources, choose_targets, read_manifest
from rtc_voice.errors import InputError
from rtc_voice.speech.audio_file import write_wav
from rtc_voice.training.voice_data import is_test_speaker

HEARD = next(name for name in map(str, range(99)) if not is_test_speaker(name))
UNHEARD = next(name for name in map(str, range(99)) if is_test_speaker(name))
Row = dict[str, str | float]


def manifest(folder: Path, name: str, rows: list[Row]) -> Path:
    path = folder / "sets" / name / "manifest.csv"
    path.parent.mkdir(parents=True)
    columns = list(rows[0])
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, ["file", *columns])
        writer.writeheader()
        for i, row in enumerate(rows):
            write_wav(path.parent / f"{i}.wav", np.zeros(24_000, np.float32), 24_000)
            writer.writerow({"file": f"sets/{name}/{i}.wav", **row})
    return path


def test_of_a_training_set_only_speakers_kept_out_are_taken_and_of_another_set_all(tmp_path: Path) -> None:
    rows: list[Row] = [{"speaker": HEARD, "seconds": 3}, {"speaker": UNHEARD, "seconds": 3}]
    training = read_manifest(manifest(tmp_path, "speech_kokoro", rows))
    assert [[clip.speaker for clip in clips] for clips in training] == [[UNHEARD]]
    assert len(read_manifest(manifest(tmp_path, "private", rows))) == 2


def test_sources_come_from_both_sexes_in_turn_each_sentence_once_and_none_too_short(tmp_path: Path) -> None:
    rows: list[Row] = [
        {"speaker": "w", "sex": "f", "seconds": 3, "text": "One."},
        {"speaker": "w", "sex": "f", "seconds": 3, "text": "Two."},
        {"speaker": "v", "sex": "f", "seconds": 1, "text": "Three."},
        {"speaker": "m", "sex": "male", "seconds": 3, "text": "One."},
        {"speaker": "m", "sex": "male", "seconds": 3, "text": "Four."},
    ]
    chosen = choose_sources([manifest(tmp_path, "private", rows)], 9)
    assert [(clip.speaker, clip.text) for clip in chosen] == [("w", "One."), ("w", "Two."), ("m", "Four.")]


def test_targets_come_from_all_sets_in_turn_with_enough_speech(tmp_path: Path) -> None:
    one: list[Row] = [
        {"speaker": "w", "sex": "f", "seconds": 2},
        {"speaker": "w", "sex": "f", "seconds": 2},
        {"speaker": "v", "sex": "f", "seconds": 3},
        {"speaker": "m", "sex": "m", "seconds": 5},
    ]
    other: list[Row] = [{"speaker": "x"}]  # nothing known but the speaker
    paths = [manifest(tmp_path, "one", one), manifest(tmp_path, "other", other)]
    assert [clips[0].speaker for clips in choose_targets(paths, 3)] == ["w", "x", "m"]


def test_a_manifest_that_cannot_be_used_says_what_is_wanted(tmp_path: Path) -> None:
    (tmp_path / "manifest.csv").write_text("name\nx\n")
    with pytest.raises(InputError, match="columns file, speaker"):
        read_manifest(tmp_path / "manifest.csv")
    with pytest.raises(InputError, match="cannot be used"):
        read_manifest(tmp_path / "nothing.csv")
