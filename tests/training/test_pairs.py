import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.scenes import astronaut, somebody_else
from rtc_voice.errors import InputError
from rtc_voice.speech.audio_file import write_wav
from rtc_voice.training.pairs import fingerprint, measure, read_manifest, same_people
from tests.voices.signals import glide

COLUMNS = ["file", "face", "speaker", "sex", "unique_seconds"]


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    """Two people, a picture without a face, a silent recording and a file that is not there."""
    folder = tmp_path / "set"
    folder.mkdir()
    for name, picture in {
        "one": astronaut(),
        "two": somebody_else(),
        "grey": np.full((64, 64, 3), 128, np.uint8),
    }.items():
        Image.fromarray(picture).save(folder / f"{name}.png")
    write_wav(folder / "low.wav", glide(4.0, 110.0), 16_000)
    # The second half is somebody else: `unique_seconds` cuts it off.
    write_wav(folder / "high.wav", np.concatenate([glide(3.0, 220.0), glide(3.0, 90.0)]), 16_000)
    write_wav(folder / "silence.wav", np.zeros(32_000, np.float32), 16_000)
    rows = [
        ("set/low.wav", "set/one.png", "a", "f", ""),
        ("high.wav", "two.png", "b", "m", "3.0"),
        ("set/low.wav", "set/grey.png", "c", "", ""),
        ("set/silence.wav", "set/one.png", "d", "", ""),
        ("set/low.wav", "set/nowhere.png", "e", "", ""),
    ]
    path = folder / "manifest.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([COLUMNS, *rows])
    return path


def test_pairs_are_measured_and_useless_ones_left_out(manifest: Path) -> None:
    pytest.importorskip("swift_f0", reason="of the extra `train`")
    done: list[int] = []
    pairs = measure(read_manifest(manifest), lambda count, _: done.append(count))
    assert done == [1, 2, 3, 4, 5]
    assert pairs.rows.tolist() == [0, 1] and pairs.sexes.tolist() == ["f", "m"]
    np.testing.assert_allclose(np.exp(pairs.log_traits[:, 0]), [110, 220], rtol=0.04)
    np.testing.assert_allclose(np.linalg.norm(pairs.voices, axis=1), 1, atol=1e-5)
    assert pairs.identities.shape == (2, 128) and pairs.males[0] < 0.5


def test_what_was_measured_is_kept_for_the_very_same_rows_only(manifest: Path, tmp_path: Path) -> None:
    pytest.importorskip("swift_f0", reason="of the extra `train`")
    cache, rows, calls = tmp_path / "new" / "cache.npz", read_manifest(manifest), []
    first = measure(rows, lambda *_: None, cache)
    again = measure(rows, lambda *_: calls.append(1), cache)
    assert not calls and np.array_equal(first.voices, again.voices)
    assert len(measure(rows[:1], lambda *_: calls.append(1), cache)) == 1 and calls


def test_two_names_with_one_face_are_one_person() -> None:
    rng = np.random.default_rng(0)
    faces = rng.normal(0, 0.05, (4, 128))
    faces[3] = faces[0] + 0.001
    people = same_people(faces, ["a", "b", "b", "c"])
    assert people[0] == people[3] and people[1] == people[2] and people[0] != people[1]


def test_a_fingerprint_is_of_the_people(manifest: Path) -> None:
    rows = read_manifest(manifest)
    assert fingerprint(rows) == fingerprint(rows[::-1]) != fingerprint(rows[:2])


@pytest.mark.parametrize(
    "text",
    ["", "file,speaker\na,b\n", "file,face,speaker\n", "file,face,speaker,unique_seconds\na,b,c,long\n"],
    ids=["empty", "no face column", "no rows", "no number"],
)
def test_what_is_no_manifest_is_an_error_with_a_remedy(tmp_path: Path, text: str) -> None:
    path = tmp_path / "m.csv"
    path.write_text(text)
    with pytest.raises(InputError) as error:
        read_manifest(path)
    assert error.value.hint


def test_a_manifest_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError):
        read_manifest(tmp_path / "none.csv")
