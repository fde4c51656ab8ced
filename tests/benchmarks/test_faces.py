"""The faces benchmark on made-up pairs whose answers are known."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks import face_pairs
from benchmarks.face_steady import CHANGES, Portrait, rows
from rtc_voice.faces.types import FaceEmbedding
from rtc_voice.training.face_voice import Predicted
from rtc_voice.training.pairs import Pairs
from tests.training.test_face_voice import made_up


@pytest.fixture(scope="module")
def pairs() -> Pairs:
    return made_up(120)


def perfect(pairs: Pairs) -> Predicted:
    """A map that knows every voice, and for the voice of a changed face turns it by its age in hundredths."""
    means = np.broadcast_to(pairs.voices.mean(axis=0), pairs.voices.shape)

    def model(of: Pairs) -> tuple[np.ndarray, np.ndarray]:
        voices = pairs.voices[of.rows] + of.ages[:, None] / 100 * pairs.voices[(of.rows + 1) % len(pairs)]
        return voices, np.log(200) + of.ages / 100

    log_f0 = np.full(len(pairs), np.log(200))
    return Predicted(pairs.voices, log_f0, means, means, np.zeros(len(pairs), np.int64), [model])


def named(found: list[dict[str, object]]) -> dict[str, dict[str, object]]:
    return {str(row["name"]): row for row in found}


def test_the_rows_say_how_a_map_compares_with_chance_and_with_less(pairs: Pairs) -> None:
    found, predicted = face_pairs.rows(pairs, None, resamples=20)
    table = named(found)
    for name in ("match_1of2", "match_1of2_same_sex", "match_1of5", "match_1of10"):
        row = table[name]
        assert 0 <= row["low"] <= row["accuracy"] <= row["high"] <= 1  # type: ignore[operator]
        assert row["n"] == len(pairs)
    assert {"auc", "low", "high", "eer", "chance", "n"} <= set(table["verification"])
    assert {"mae_semitones", "correlation", "n"} <= set(table["f0"])
    assert table["match_1of2"]["accuracy"] > table["match_1of2 (apparent sex only)"]["accuracy"]  # type: ignore[operator]
    null = table["match_1of2 (null: 200 shuffles)"]
    assert null["accuracy"] == pytest.approx(0.5, abs=0.03) and null["n"] == 200
    # Those who came twice are clones but for a little noise.
    ceiling = table["match_1of2 (ceiling: another clip)"]
    assert ceiling["accuracy"] > 0.9 and ceiling["n"] == 30  # type: ignore[operator]
    assert table["match_1of2_same_sex (oracle: sex)"]["accuracy"] == pytest.approx(0.5, abs=0.05)
    assert len(predicted.voices) == len(pairs)


def test_two_photos_of_one_person_and_two_people(pairs: Pairs) -> None:
    table = named(rows(pairs, perfect(pairs), []))
    assert table["same_person"]["n"] == 15
    assert table["same_person"]["voice_cosine"] > 0.9 > table["other_person_same_sex"]["voice_cosine"]  # type: ignore[operator]
    assert table["diversity"]["size_to_real"] == pytest.approx(1)
    assert table["diversity"]["same_sex_cosine_p50"] == table["diversity"]["same_sex_cosine_p50_real"]


def test_a_voice_is_the_same_when_both_bounds_hold_and_a_lost_face_is_a_failure(pairs: Pairs) -> None:
    def face(age: float) -> FaceEmbedding:
        return FaceEmbedding(pairs.identities[0].astype(np.float32), 0.5, age)

    # 0: unchanged; 10: F0 moves by 1.7 semitones; 100: the voice is half another's.
    seen = [Portrait(index, dict.fromkeys(CHANGES, face(age))) for index, age in ((0, 0.0), (1, 10.0), (2, 100.0))]
    seen.append(Portrait(3, dict.fromkeys(CHANGES, None)))
    unmoved = replace(pairs, ages=np.zeros(len(pairs)))
    row = named(rows(unmoved, perfect(unmoved), seen))["same_face_darker"]
    assert row["share_within"] == 0.25 and row["n"] == 4
    assert row["f0_shift_p50"] == pytest.approx(12 * 0.1 / np.log(2), abs=1e-3)
