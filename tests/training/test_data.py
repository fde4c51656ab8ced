"""Speech sets: folders as corpora lay them out, faults named, known warps, and nothing done twice."""

import csv
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from rtc_voice.errors import InputError
from rtc_voice.speech.analysis import SpeechAnalysis
from rtc_voice.speech.audio_file import read_audio, write_wav
from rtc_voice.training.corpora import fault
from rtc_voice.training.data import add_folder, add_spoken, add_warped, count_rows
from rtc_voice.training.speech_sets import find_speech_sets, read_speech_sets
from rtc_voice.training.voice_data import is_test_speaker
from tests.speech.signals import SAMPLE_RATE, vowel

Samples = NDArray[np.float32]


def speech(seconds: float = 1.5, f0_hz: float = 120.0) -> Samples:
    """A vowel between pauses, with a little hiss."""
    sound = vowel(f0_hz, seconds - 0.4)[0].numpy()
    sound = np.pad(sound, round(0.2 * SAMPLE_RATE)) + np.random.default_rng(0).normal(
        0, 1e-4, round(seconds * SAMPLE_RATE)
    )
    return sound.astype(np.float32)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def corpus(folder: Path, layout: str) -> Path:
    """A recording in each layout, with its transcript and the list of speakers."""
    place, name, text, speakers = {
        "LibriTTS": ("14/208", "14_208_000001_000000", "14/208/14_208_000001_000000.normalized.txt", "SPEAKERS.txt"),
        "VCTK": ("wav48_silence_trimmed/p225", "p225_001_mic1", "txt/p225/p225_001.txt", "speaker-info.txt"),
        "plain": ("ann", "first", "ann/first.txt", ""),
    }[layout]
    root = folder / layout
    write_wav(root / place / f"{name}.wav", speech(), SAMPLE_RATE)
    (root / text).parent.mkdir(parents=True, exist_ok=True)
    (root / text).write_text("Please call\n Stella.")
    if layout == "VCTK":
        write_wav(root / place / "p225_001_mic2.wav", speech(), SAMPLE_RATE)
        (root / speakers).write_text("ID  AGE  GENDER  ACCENTS\np225  23  F    English    Southern  England\n")
    if layout == "LibriTTS":
        (root / speakers).write_text("; ID |SEX| SUBSET\n14   | M | train-clean-360  | 25.03 | Kristin\n")
    return root


@pytest.mark.parametrize(
    ("layout", "speaker", "male"), [("LibriTTS", "14", 1.0), ("VCTK", "p225", 0.0), ("plain", "ann", 0.5)]
)
def test_a_corpus_is_read_as_it_comes(tmp_path: Path, layout: str, speaker: str, male: float) -> None:
    root = corpus(tmp_path, layout)
    assert list(add_folder(root, tmp_path / "data", "CC BY 4.0")) == [1]
    (found,) = read_speech_sets(tmp_path / "data", find_speech_sets(tmp_path / "data"))
    assert (found.speaker, found.male, found.text) == (f"{layout}_{speaker}", male, "Please call Stella.")
    assert (found.licence, found.band_hz, found.seconds) == ("CC BY 4.0", 12_000, 1.5)
    assert found.path.is_file()


def test_what_is_of_no_use_is_listed_with_its_reason_and_not_looked_at_again(tmp_path: Path) -> None:
    root = corpus(tmp_path, "plain")
    (root / "ann" / "broken.wav").write_bytes(b"no sound at all")
    write_wav(root / "ann" / "silent.wav", np.zeros(2 * SAMPLE_RATE, np.float32), SAMPLE_RATE)
    list(add_folder(root, tmp_path, ""))
    list(add_folder(root, tmp_path, ""))
    reasons = {Path(row["file"]).name: row["reason"] for row in rows(tmp_path / "train/speech_plain/rejected.csv")}
    assert count_rows(tmp_path, "speech_plain") == (1, 2)
    assert reasons["silent.wav"] == "silent"
    assert "broken.wav" in reasons["broken.wav"]


@pytest.mark.parametrize(
    ("reason", "recording"),
    [
        ("", speech()),
        ("long", speech(0.9)),
        ("clipped", np.clip(20 * speech(), -0.9, 0.9)),
        ("noisy", speech() + np.random.default_rng(1).normal(0, 0.05, len(speech())).astype(np.float32)),
        ("mostly silence", np.pad(speech(), (0, 6 * SAMPLE_RATE))),
    ],
)
def test_faults_are_named(reason: str, recording: Samples) -> None:
    found = fault(recording)
    assert reason in found
    assert bool(found) == bool(reason)


def test_a_folder_without_recordings_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no recordings"):
        list(add_folder(tmp_path, tmp_path, ""))
    with pytest.raises(InputError, match="no speech set"):
        find_speech_sets(tmp_path)


def test_typed_text_becomes_a_set_with_phonemes(tmp_path: Path) -> None:
    assert list(add_spoken(["Where were you a year ago?", "…"], tmp_path)) == [1, 2]
    assert count_rows(tmp_path, "speech_hibari") == (1, 1)
    (found,) = read_speech_sets(tmp_path, ["speech_hibari"])
    assert found.phonemes and found.seconds > 1
    assert len(read_audio(found.path, SAMPLE_RATE)) / SAMPLE_RATE == pytest.approx(found.seconds, abs=0.01)


def test_a_warped_voice_is_moved_by_what_is_written(tmp_path: Path) -> None:
    root = corpus(tmp_path, "plain")
    list(add_folder(root, tmp_path, ""))
    originals = read_speech_sets(tmp_path, ["speech_plain"])
    assert not is_test_speaker(originals[0].speaker)
    list(add_warped(originals, tmp_path))
    (row,) = rows(tmp_path / "train/speech_warped/manifest.csv")
    (made,) = read_speech_sets(tmp_path, ["speech_warped"])
    assert made.speaker != originals[0].speaker and not is_test_speaker(made.speaker)
    sound = read_audio(made.path, SAMPLE_RATE)
    sound = sound[: len(sound) // 240 * 240]
    f0 = SpeechAnalysis()(torch.from_numpy(sound)[None]).f0[0, 40:100]
    assert float(12 * (f0.median() / 120).log2()) == pytest.approx(float(row["semitones"]), abs=0.3)
