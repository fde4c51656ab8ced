import sqlite3
from pathlib import Path

import numpy as np
import pytest

from rtc_voice.errors import InputError
from rtc_voice.voices.cache import VoiceCache
from rtc_voice.voices.types import Voice


class HandClock:
    def __init__(self) -> None:
        self.now_s = 1_000_000.0

    def __call__(self) -> float:
        return self.now_s


def make_voice(number: int) -> Voice:
    embedding = np.abs(np.random.default_rng(number).standard_normal(256)).astype(np.float32)
    return Voice(embedding / np.linalg.norm(embedding), 100.0 + number, 2.5, 1.01, -1.5)


def same(one: Voice | None, other: Voice) -> bool:
    if one is None:
        return False
    return np.array_equal(one.embedding, other.embedding) and one.f0_hz == other.f0_hz and one.tract == other.tract


def test_what_was_put_is_found_exactly() -> None:
    cache = VoiceCache()
    cache.put("ana", 1, make_voice(1))
    cache.put("ana", 2, make_voice(2))
    cache.put("ana", 1, make_voice(3))
    found = cache.get("ana", 1)
    assert found is not None and same(found, make_voice(3))
    assert (found.f0_range_semitones, found.tilt_db) == (2.5, -1.5) and found.embedding.dtype == np.float32
    assert same(cache.get("ana", 2), make_voice(2))
    assert cache.get("ben", 1) is None and cache.get("ana", 3) is None
    assert len(cache) == 2


def test_the_least_recently_used_leaves_first() -> None:
    cache = VoiceCache(max_entries=2)
    cache.put("ana", 1, make_voice(1))
    cache.put("ben", 1, make_voice(2))
    cache.get("ana", 1)
    cache.put("cem", 1, make_voice(3))
    assert cache.get("ben", 1) is None
    assert same(cache.get("ana", 1), make_voice(1)) and same(cache.get("cem", 1), make_voice(3))
    assert len(cache) == 2


def test_old_voices_leave_however_often_used() -> None:
    clock = HandClock()
    cache = VoiceCache(max_age_s=60.0, clock=clock)
    cache.put("ana", 1, make_voice(1))
    clock.now_s += 59
    assert cache.get("ana", 1) is not None
    cache.put("ben", 1, make_voice(2))
    clock.now_s += 1
    assert cache.get("ana", 1) is None
    assert len(cache) == 1


def test_forgetting_one_face_or_a_whole_participant() -> None:
    cache = VoiceCache()
    for face in (1, 2, 3):
        cache.put("ana", face, make_voice(face))
    cache.put("ben", 1, make_voice(4))
    assert cache.forget("ana", 2) == 1
    assert cache.get("ana", 2) is None and cache.get("ana", 1) is not None
    assert cache.forget("ana") == 2
    assert cache.forget("ana") == 0
    assert len(cache) == 1 and cache.get("ben", 1) is not None


def test_a_file_survives_reopening_with_its_order_and_ages(tmp_path: Path) -> None:
    clock = HandClock()
    path = tmp_path / "voices.sqlite"
    cache = VoiceCache(max_age_s=60.0, path=path, clock=clock)
    for number, name in enumerate(["ana", "ben", "cem"]):
        cache.put(name, 1, make_voice(number))
        clock.now_s += 10
    cache.get("ana", 1)
    cache.close()
    again = VoiceCache(max_entries=2, max_age_s=60.0, path=path, clock=clock)
    assert same(again.get("cem", 1), make_voice(2))
    again.put("dan", 1, make_voice(5))
    assert again.get("ben", 1) is None and again.get("ana", 1) is None and len(again) == 2
    clock.now_s += 50
    assert again.get("cem", 1) is None
    again.close()


def test_what_is_forgotten_is_gone_from_the_file(tmp_path: Path) -> None:
    path = tmp_path / "voices.sqlite"
    cache = VoiceCache(path=path)
    voice = make_voice(1)
    cache.put("ana-of-the-secret-name", 1, voice)
    assert voice.embedding.tobytes() in path.read_bytes()
    cache.forget("ana-of-the-secret-name")
    cache.close()
    assert voice.embedding.tobytes() not in path.read_bytes() and b"secret-name" not in path.read_bytes()
    assert path.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    "content", [b"this is no database, and long enough to be looked at" * 40, b"SQLite format 3\0" * 300]
)
def test_a_corrupt_file_says_what_to_do(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "voices.sqlite"
    path.write_bytes(content)
    with pytest.raises(InputError) as error:
        VoiceCache(path=path)
    assert str(path) in error.value.message and "move the file away" in error.value.hint
    assert path.read_bytes() == content


def test_a_truncated_cache_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "voices.sqlite"
    cache = VoiceCache(path=path)
    for number in range(20):
        cache.put("ana", number, make_voice(number))
    cache.close()
    path.write_bytes(path.read_bytes()[:9000])
    with pytest.raises(InputError):
        VoiceCache(path=path)


def test_another_programs_database_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "other.sqlite"
    other = sqlite3.connect(path)
    with other:
        other.execute("CREATE TABLE letters (line TEXT)")
    other.close()
    with pytest.raises(InputError, match="version 0"):
        VoiceCache(path=path)


def test_a_folder_that_is_not_there_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError):
        VoiceCache(path=tmp_path / "nowhere" / "voices.sqlite")


@pytest.mark.parametrize(("entries", "age_s"), [(0, 60.0), (5, 0.0), (5, float("nan"))])
def test_limits_that_keep_nothing_are_refused(entries: int, age_s: float) -> None:
    with pytest.raises(InputError):
        VoiceCache(entries, max_age_s=age_s)
