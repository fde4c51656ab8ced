from pathlib import Path

import numpy as np
import pytest

from rtc_voice.errors import AudioError
from rtc_voice.voices.speaker_encoder import SpeakerEncoder
from tests.voices.signals import glide

REFERENCE = Path(__file__).parent / "data" / "resemblyzer_reference.npy"
SECONDS = (0.9, 3.0, 7.3)  # one padded partial; some, the last dropped; some, the last padded


@pytest.fixture(scope="module")
def encoder() -> SpeakerEncoder:
    return SpeakerEncoder()


@pytest.mark.parametrize("row", range(len(SECONDS)))
def test_embedding_is_the_one_of_the_original_package(encoder: SpeakerEncoder, row: int) -> None:
    # Made with Resemblyzer 0.1.4 and librosa 0.11; what remains is our half-precision weights.
    theirs = np.load(REFERENCE)[row]
    assert encoder.embed(glide(SECONDS[row]), 16_000) @ theirs > 0.99999


def test_embedding_is_a_unit_vector_without_negative_entries(encoder: SpeakerEncoder) -> None:
    embedding = encoder.embed(glide(2.0), 16_000)
    assert embedding.shape == (256,) and embedding.dtype == np.float32
    assert abs(np.linalg.norm(embedding) - 1) < 1e-6
    assert embedding.min() >= 0


@pytest.mark.parametrize("sample_rate", [24_000, 48_000])
def test_sample_rate_hardly_matters(encoder: SpeakerEncoder, sample_rate: int) -> None:
    at_rate = encoder.embed(glide(3.0, sample_rate=sample_rate), sample_rate)
    assert at_rate @ encoder.embed(glide(3.0), 16_000) > 0.995


def test_quiet_speech_is_raised(encoder: SpeakerEncoder) -> None:
    whole = glide(3.0)
    whole *= np.float32(10 ** (-30 / 20) / np.sqrt(np.mean(whole**2)))
    assert encoder.embed(whole * np.float32(0.05), 16_000) @ encoder.embed(whole, 16_000) > 0.9999


def test_silence_around_speech_hardly_matters(encoder: SpeakerEncoder) -> None:
    speech = glide(3.0)
    padded = np.pad(speech, (16_000, 32_000))
    assert encoder.embed(padded, 16_000) @ encoder.embed(speech, 16_000) > 0.95


def test_another_pitch_is_another_voice(encoder: SpeakerEncoder) -> None:
    assert encoder.embed(glide(3.0, f0_hz=230.0), 16_000) @ encoder.embed(glide(3.0), 16_000) < 0.9


@pytest.mark.parametrize(
    "samples", [np.zeros(0), np.zeros(48_000), glide(0.2), np.append(glide(2.0), np.nan), np.zeros((2, 16_000))]
)
def test_what_is_no_speech_is_refused(encoder: SpeakerEncoder, samples: np.ndarray) -> None:
    with pytest.raises(AudioError):
        encoder.embed(samples.astype(np.float32), 16_000)
