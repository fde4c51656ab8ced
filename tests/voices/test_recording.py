"""A recording's voice: its own pitch and size, in spite of hum; what holds no speech is refused."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.signal import resample_poly

from rtc_voice.errors import AudioError
from rtc_voice.speech.text import F0_HZ, F0_RANGE_SEMITONES, TextToSpeech
from rtc_voice.voices.recording import voice_of_recording

Samples = NDArray[np.float32]
SAMPLE_RATE = 24_000


@pytest.fixture(scope="module")
def speech() -> Samples:
    return np.concatenate(list(TextToSpeech().sentences("Where were you while we were away a year ago?")))


@pytest.mark.parametrize("hum_hz", [0, 11, 60])
def test_pitch_is_the_speakers_in_spite_of_hum(speech: Samples, hum_hz: float) -> None:
    time = np.arange(len(speech) + SAMPLE_RATE) / SAMPLE_RATE
    heard = np.pad(speech, (0, SAMPLE_RATE)) + 0.1 * np.sin(2 * np.pi * hum_hz * time)
    voice = voice_of_recording(heard.astype(np.float32), SAMPLE_RATE)
    assert abs(12 * np.log2(voice.f0_hz / F0_HZ)) < 2  # one sentence against the mean of five
    assert 1.5 < voice.f0_range_semitones < 1.2 * F0_RANGE_SEMITONES
    assert 0.8 < voice.tract < 1.1  # a woman's
    assert np.linalg.norm(voice.embedding) == pytest.approx(1, abs=1e-5)


def test_a_slowed_recording_is_a_larger_person(speech: Samples) -> None:
    slowed = np.interp(np.arange(0, len(speech) - 1, 0.9), np.arange(len(speech)), speech).astype(np.float32)
    voice, larger = voice_of_recording(speech, SAMPLE_RATE), voice_of_recording(slowed, SAMPLE_RATE)
    assert larger.f0_hz / voice.f0_hz == pytest.approx(0.9, rel=0.03)
    assert larger.tract / voice.tract == pytest.approx(1 / 0.9, rel=0.05)


def tone() -> Samples:
    return (0.3 * np.sin(2 * np.pi * 220 * np.arange(3 * SAMPLE_RATE) / SAMPLE_RATE)).astype(np.float32)


@pytest.mark.parametrize("what", ["nothing", "silence", "noise", "tone", "a syllable"])
def test_what_holds_no_speech_is_refused_in_one_line(speech: Samples, what: str) -> None:
    hiss = np.random.default_rng(0).normal(0, 0.1, 3 * SAMPLE_RATE).astype(np.float32)
    recording = {
        "nothing": np.zeros(0, np.float32),
        "silence": np.zeros(SAMPLE_RATE, np.float32),
        "noise": hiss,
        "tone": tone(),
        "a syllable": speech[: SAMPLE_RATE // 3],
    }[what]
    with pytest.raises(AudioError) as caught:
        voice_of_recording(recording, SAMPLE_RATE)
    assert "\n" not in str(caught.value) and caught.value.hint


def test_the_rate_of_the_recording_changes_nothing(speech: Samples) -> None:
    slow = resample_poly(speech, 2, 3).astype(np.float32)
    voice, same = voice_of_recording(speech, SAMPLE_RATE), voice_of_recording(slow, 16_000)
    assert same.f0_hz == pytest.approx(voice.f0_hz, rel=0.01)
    assert same.tract == pytest.approx(voice.tract, rel=0.02)
    assert float(same.embedding @ voice.embedding) > 0.98
