import wave
from pathlib import Path

import numpy as np
import pytest

from rtc_voice.errors import AudioError, InputError
from rtc_voice.training.speech_sets import load_audio, read_speech_sets

MANIFESTS = {
    "speech_librispeech": "file,speaker,sex,age,seconds,repo,commit,src_path,licence\n"
    "train/speech_librispeech/audio/a.wav,libri_1,m,,1.5,r,c,s,CC BY 4.0\n",
    "speech_vctk_mini": "file,speaker,sex,age,seconds,repo,commit,src_path,licence\n"
    "train/speech_vctk_mini/audio/b.wav,vctk_1,f,23,2.0,r,c,s,CC BY 4.0\n",
    "speech_kokoro": "file,speaker,styles,male_weight,seconds,text,phonemes,licence\n"
    'train/speech_kokoro/audio/c.wav,k1,"x:1",0.496,2.15,"Well, hello.",wɛl,Apache-2.0\n',
}


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    for name, text in MANIFESTS.items():
        folder = tmp_path / "train" / name
        folder.mkdir(parents=True)
        (folder / "manifest.csv").write_text(text, encoding="utf-8")
    return tmp_path


def write_wav(path: Path, samples: np.ndarray, sample_rate: int) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(sample_rate)
        file.writeframes((samples * 32767).astype("<i2").tobytes())


def test_every_set_tells_what_it_knows(data_dir: Path) -> None:
    libri, vctk, kokoro = read_speech_sets(data_dir)
    assert (libri.speaker, libri.male, libri.age, libri.text) == ("libri_1", 1.0, None, "")
    assert (vctk.male, vctk.age, vctk.source, vctk.licence) == (0.0, 23.0, "speech_vctk_mini", "CC BY 4.0")
    assert (kokoro.male, kokoro.text, kokoro.phonemes, kokoro.seconds) == (0.496, "Well, hello.", "wɛl", 2.15)
    assert kokoro.path == data_dir / "train/speech_kokoro/audio/c.wav"


def test_a_set_that_is_not_there_is_named(data_dir: Path) -> None:
    with pytest.raises(InputError, match="speech_other"):
        read_speech_sets(data_dir, ["speech_other"])


@pytest.mark.parametrize("sample_rate", [8_000, 16_000, 24_000])
def test_a_tone_keeps_its_pitch_level_and_length_at_any_rate(tmp_path: Path, sample_rate: int) -> None:
    path = tmp_path / "tone.wav"
    write_wav(path, 0.5 * np.sin(2 * np.pi * 440 * np.arange(48_000) / 48_000), 48_000)
    samples = load_audio(path, sample_rate)
    assert samples.dtype == np.float32 and abs(samples.size - sample_rate) <= 2
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(samples.size)))
    assert np.fft.rfftfreq(samples.size, 1 / sample_rate)[spectrum.argmax()] == pytest.approx(440, abs=1)
    assert np.sqrt(np.mean(samples**2)) == pytest.approx(0.5 / np.sqrt(2), rel=0.01)


def test_what_is_no_recording_is_named(tmp_path: Path) -> None:
    broken = tmp_path / "broken.opus"
    broken.write_bytes(b"no sound at all" * 100)
    with pytest.raises(AudioError, match=r"broken\.opus"):
        load_audio(broken, 16_000)
    with pytest.raises(AudioError, match="nowhere"):
        load_audio(tmp_path / "nowhere.wav", 16_000)
