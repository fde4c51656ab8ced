"""The memory-mapped set: what goes in comes out, what has no voice stays out, and nothing is made twice."""

from pathlib import Path

import numpy as np
import pytest

from rtc_voice.config import AUDIO
from rtc_voice.errors import InputError
from rtc_voice.speech.audio_file import write_wav
from rtc_voice.speech.text import TextToSpeech
from rtc_voice.training.speech_sets import Utterance
from rtc_voice.training.voice_data import build_voice_set, open_voice_set

pytestmark = pytest.mark.slow


def utterance(path: Path, speaker: str, band_hz: int | None = None) -> Utterance:
    return Utterance(path, "speech_made", speaker, 0.0, None, 2.0, "Where were you?", "", "none", band_hz)


def test_recordings_become_a_set_without_those_that_show_no_voice(tmp_path: Path) -> None:
    pytest.importorskip("swift_f0", reason="of the extra `train`")
    speech = np.concatenate(list(TextToSpeech().sentences("Where were you?")))
    hiss = np.random.default_rng(0).normal(0, 0.1, 24_000).astype(np.float32)
    for name, sound in (("one", speech), ("hiss", hiss), ("two", (0.1 * speech).astype(np.float32))):
        write_wav(tmp_path / f"{name}.wav", sound, AUDIO.sample_rate)
    known = [utterance(tmp_path / f"{name}.wav", name) for name in ("one", "hiss")]
    known.append(utterance(tmp_path / "two.wav", "two", band_hz=12_000))
    assert list(build_voice_set(known, tmp_path / "set")) == [1, 2, 3]
    voices = open_voice_set(tmp_path / "set")
    assert [entry.speaker for entry in voices.entries] == ["one", "two"]
    assert [entry.band_hz for entry in voices.entries] == [7_500, 12_000]
    assert "hiss.wav" in (tmp_path / "set" / "parts" / "00001.txt").read_text()
    rows = voices.entries[0].rows
    assert rows * AUDIO.hop == pytest.approx(len(speech), abs=3 * AUDIO.hop)
    # Levelled: ten times softer comes out the same.
    np.testing.assert_allclose(voices.target(1, 0, rows), voices.target(0, 0, rows), atol=0.01)
    before = {part: part.stat().st_mtime_ns for part in (tmp_path / "set" / "parts").iterdir()}
    list(build_voice_set(known, tmp_path / "set"))
    assert before == {part: part.stat().st_mtime_ns for part in (tmp_path / "set" / "parts").iterdir()}


def test_without_any_voice_there_is_no_set(tmp_path: Path) -> None:
    pytest.importorskip("swift_f0", reason="of the extra `train`")
    write_wav(tmp_path / "silence.wav", np.zeros(24_000, np.float32), AUDIO.sample_rate)
    with pytest.raises(InputError, match="no recording"):
        list(build_voice_set([utterance(tmp_path / "silence.wav", "one")], tmp_path / "set"))
    with pytest.raises(InputError, match="no voice set"):
        open_voice_set(tmp_path / "set")
