"""The commands of training, from recordings to weights, as a person types them."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.numpy import load_file

from rtc_voice.training.data import add_spoken

pytestmark = pytest.mark.slow

TEXTS = (
    "Where were you while we were away from home a whole year ago?",
    "The boat drifted slowly past the old mill and came to rest by the bridge.",
    "She counted the coins twice, put them into her pocket and said nothing more.",
    "In the evening the wind turned north, and nobody wanted to leave the house.",
)


def run(*words: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "rtc_voice", "train", *map(str, words)]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=500, check=False, env={**os.environ, "COLUMNS": "100"}
    )


@pytest.mark.timeout(600)
def test_from_recordings_to_weights(tmp_path: Path) -> None:
    data, work = tmp_path / "data", tmp_path / "work"
    list(add_spoken(TEXTS, data))
    made = run("data", data, "--warped", "4")
    assert made.returncode == 0, made.stderr
    assert "speech_warped: 4 recordings" in made.stdout
    done = run("voice", data, work, "--tiny", "--threads", "1")
    assert done.returncode == 0, done.stderr
    with (work / "conversion1" / "log.csv").open(newline="") as file:
        errors = [float(row["envelope"]) for row in csv.DictReader(file)]
    assert errors[-1] < 0.9 * errors[0]
    for name in ("voicing", "aperiodicity", "conversion", "wavenet"):
        assert load_file(work / f"{name}.safetensors")
    again = run("voice", data, work, "--tiny", "--threads", "1")  # all is there: nothing is done again
    assert again.returncode == 0 and "step" not in again.stdout


def test_without_data_one_line_says_what_to_do(tmp_path: Path) -> None:
    for words in (("voice", tmp_path, tmp_path / "work"), ("data", tmp_path), ("data", tmp_path, "--spoken", "3")):
        done = run(*words)
        assert done.returncode == 2
        assert "Traceback" not in done.stderr
        assert "error:" in done.stderr and "remedy:" in done.stderr
