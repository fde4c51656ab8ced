"""Recordings are read in any rate and written; bad files get one clear error."""

from pathlib import Path

import numpy as np
import pytest

from rtc_voice.errors import AudioError
from rtc_voice.speech.audio_file import read_audio, write_wav


def test_a_tone_survives_writing_and_reading_at_another_rate(tmp_path: Path) -> None:
    tone = (0.5 * np.sin(2 * np.pi * 440 * np.arange(24_000) / 24_000)).astype(np.float32)
    write_wav(tmp_path / "deep" / "tone.wav", tone, 24_000)
    read = read_audio(tmp_path / "deep" / "tone.wav", 16_000)
    assert read.size == pytest.approx(16_000, abs=200)
    spectrum = np.abs(np.fft.rfft(read[1000:15_000]))
    assert np.argmax(spectrum) * 16_000 / 14_000 == pytest.approx(440, abs=2)
    assert np.abs(read[1000:15_000]).max() == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("content", [None, b"", b"no sound at all", b"RIFF\x00\x00\x00\x00WAVE"])
def test_bad_files_give_one_line(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "bad.wav"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(AudioError) as caught:
        read_audio(path, 24_000)
    assert "\n" not in str(caught.value)


def test_a_place_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    with pytest.raises(AudioError):
        write_wav(tmp_path / "file" / "out.wav", np.zeros(10, np.float32), 24_000)
