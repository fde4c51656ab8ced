from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.face_lists import Trial, judged, read_list, rows
from benchmarks.scenes import astronaut, somebody_else
from rtc_voice.errors import InputError
from rtc_voice.speech.audio_file import write_wav
from tests.voices.signals import glide

HEADER = "id,voice-speaker-id,face-speaker-id,label,voice-path,face-path\n"


def test_area_and_error_rate_are_those_of_the_scores() -> None:
    rng = np.random.default_rng(0)
    trials = [Trial(str(n // 4), n % 2 == 0, "v", "f") for n in range(400)]
    scores = rng.standard_normal(400) + np.array([trial.is_true for trial in trials])
    area, error = judged("x", trials, scores, asked=500)
    true = np.array([trial.is_true for trial in trials])
    assert area["auc"] == pytest.approx(np.mean(scores[true][:, None] > scores[~true]))
    assert area["low"] < area["auc"] < area["high"]  # type: ignore[operator]
    assert error["eer"] == pytest.approx(0.31, abs=0.05)  # two normal distributions one deviation apart
    assert area["n"] == 400 and area["asked"] == 500


def test_a_list_is_read_and_its_files_are_found_where_people_unpack_them(tmp_path: Path) -> None:
    for name, picture in (("a", astronaut()), ("b", somebody_else())):
        (tmp_path / "unzippedFaces" / name).mkdir(parents=True)
        Image.fromarray(picture).save(tmp_path / "unzippedFaces" / name / "1.jpg")
    write_wav(tmp_path / "wav" / "a" / "1.wav", glide(3.0, 200.0), 16_000)
    path = tmp_path / "veriflist_test_random.txt"
    path.write_text(
        HEADER + "1,1,1,1,a/1.wav,a/1.jpg\n2,1,2,0,a/1.wav,b/1.jpg\n3,1,3,0,a/1.wav,nowhere.jpg\n", encoding="utf-8"
    )
    assert [trial.is_true for trial in read_list(path)] == [True, False, False]
    area, error = rows(False, path, tmp_path)
    assert area["n"] == 2 and area["asked"] == 3
    assert area["auc"] in (0.0, 1.0) and error["name"] == "veriflist_test_random_eer"


def test_what_is_no_list_or_has_no_data_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a,b\n1,2\n")
    with pytest.raises(InputError):
        read_list(tmp_path / "a.txt")
    (tmp_path / "b.txt").write_text(HEADER + "1,1,1,1,a.wav,a.jpg\n")
    with pytest.raises(InputError):
        rows(False, tmp_path / "b.txt", tmp_path)
