"""Voices that the program predicts from faces, for judging how different they are."""

import csv
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

from benchmarks.recordings import SHARED
from rtc_voice import offline
from rtc_voice.errors import NoFaceError
from rtc_voice.faces.embedding import FaceEmbedder
from rtc_voice.faces.picture import read_picture
from rtc_voice.faces.tracker import find_faces
from rtc_voice.voices.predictor import load_predictor
from rtc_voice.voices.types import Voice

_FACES = SHARED / "faces_utkface" / "manifest.csv"
_PORTRAIT = Path(offline.__file__).parent / "assets" / "portraits" / "astronaut.jpg"
_ADULT = range(20, 66)


def predicted_voices(count: int) -> list[tuple[str, Voice]]:
    """``count`` voices with the sex they were made for, women's and men's in turn.

    Of adults' faces in the shared set; without it, several draws for the portrait that is shipped, taken for a woman's
    and for a man's.
    """
    if not _FACES.is_file():
        return _draws(count)
    with _FACES.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if int(row["age"]) in _ADULT]
    of = [islice(_voices([row for row in rows if row["sex"] == sex]), count - count // 2) for sex in ("f", "m")]
    return [one for pair in zip(*of, strict=False) for one in pair][:count]


def _voices(rows: list[dict[str, str]]) -> Iterator[tuple[str, Voice]]:
    step = max(1, len(rows) // 40)  # all over the set, which is sorted by age
    for row in rows[::step]:
        try:
            yield row["sex"], offline.voice_of(read_picture(_FACES.parents[2] / row["file"]))
        except NoFaceError:
            continue


def _draws(count: int) -> list[tuple[str, Voice]]:
    picture, predictor = read_picture(_PORTRAIT), load_predictor()
    seen = FaceEmbedder().embed(picture, find_faces(picture)[0])
    faces = {"f": replace(seen, male=0.0), "m": replace(seen, male=1.0)}
    return [("fm"[i % 2], predictor.predict(faces["fm"[i % 2]], draw=i // 2)) for i in range(count)]
