import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.faces import CHANGES, Portrait, VoiceMaker, different, read_portraits, same
from benchmarks.scenes import astronaut, somebody_else
from rtc_voice.voices.types import Voice


def voice(angle: float, f0_hz: float = 200.0) -> Voice:
    embedding = np.array([np.cos(angle), np.sin(angle)], np.float32)
    return Voice(embedding, f0_hz, f0_range_semitones=3.0, tract=1.0)


def portrait(speaker: str, made: Voice, changed: Voice | None = None, is_male: bool = False) -> Portrait:
    return Portrait(speaker, is_male, made, dict.fromkeys(CHANGES, changed))


def test_a_voice_is_the_same_when_both_bounds_hold_and_a_lost_face_is_a_failure() -> None:
    portraits = [
        portrait("a", voice(0), voice(0.1, f0_hz=205)),
        portrait("b", voice(0), voice(0.1, f0_hz=207)),  # 0.6 semitones
        portrait("c", voice(0), voice(0.4)),  # cosine 0.92
        portrait("d", voice(0), None),
    ]
    row = same("darker", portraits)
    assert row["share_within"] == 0.25
    assert row["n"] == 4
    assert row["cosine_p50"] == pytest.approx(np.cos(0.1), abs=1e-3)
    assert row["f0_shift_semitones_p50"] == pytest.approx(12 * np.log2(205 / 200), abs=1e-3)


def test_two_pictures_of_one_person_are_not_different_people() -> None:
    portraits = [
        portrait("a", voice(0.0, f0_hz=200)),
        portrait("a", voice(0.0, f0_hz=200)),
        portrait("b", voice(0.1, f0_hz=224.49)),  # 2 semitones
        portrait("c", voice(1.5, f0_hz=100), is_male=True),
    ]
    row = different(portraits)
    assert row["share_above_0_9"] == pytest.approx(2 / 5)
    assert row["same_sex_share_above_0_9"] == 1.0
    assert row["f0_sd_women_semitones"] == pytest.approx(2 * np.sqrt(2) / 3, abs=1e-3)
    assert row["f0_sd_men_semitones"] == 0.0


def test_a_manifests_paths_begin_beside_its_folder_and_pictures_without_a_face_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    pictures = {"one": astronaut(), "two": somebody_else(), "grey": np.full((64, 64, 3), 128, np.uint8)}
    with (tmp_path / "set" / "manifest.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["face", "speaker"])
        for name, picture in pictures.items():
            Image.fromarray(picture).save(tmp_path / "set" / f"{name}.png")
            writer.writerow([f"set/{name}.png", name])
    found = list(read_portraits(tmp_path / "set" / "manifest.csv", VoiceMaker(), most=None))
    assert [one.speaker for one in found] == ["one", "two"]
    assert all(same(change, found)["share_within"] == 1.0 for change in CHANGES)
