import json
from pathlib import Path

import numpy as np
import pytest

from rtc_voice.errors import InputError
from rtc_voice.faces.picture import read_picture
from rtc_voice.training.train_face_voice import train
from rtc_voice.voices.learned import LearnedPredictor
from tests.training.test_face_voice import made_up


def test_training_writes_weights_that_speak_their_figures_and_a_report(tmp_path: Path) -> None:
    pairs = made_up(90)
    lines: list[str] = []
    out, report = tmp_path / "map.safetensors", tmp_path / "new" / "report"
    figures = train(pairs, out, report, lines.append, speakers="abc")
    predictor = LearnedPredictor.load(out)
    face = pairs.faces()[0]
    assert np.isclose(np.linalg.norm(predictor.predict(face).embedding), 1)
    assert LearnedPredictor.trained_on(out) == "abc"
    assert json.loads(out.with_suffix(".json").read_text())["people"] == figures["people"] == 90
    # What was made up can be learnt: sex from the face, and F0 from sex.
    learned, sex = figures["maps"]["learned"], figures["maps"]["apparent sex only"]
    assert learned["match_1of2"][0] > 0.6 and sex["match_1of2_same_sex"][0] == pytest.approx(0.5, abs=0.1)
    assert [point["people"] for point in figures["curve"]] == [20, 40, 61, 81]
    text = (report / "report.md").read_text()
    assert all(name in text for name in figures["maps"]) and "report.png" in text
    assert read_picture(report / "report.png").shape[0] > 500
    assert any("cross-validating" in line for line in lines)


def test_too_few_people_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError) as error:
        train(made_up(20), tmp_path / "map.safetensors", tmp_path, lambda line: None)
    assert "20 people" in error.value.message and not list(tmp_path.iterdir())
