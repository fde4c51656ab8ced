"""What is a voice and what only sounds on: rumble, hum, breath and room are not taken for one."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from rtc_voice.config import AUDIO
from rtc_voice.speech.analysis import SpeechAnalysis
from rtc_voice.speech.text import TextToSpeech

Samples = NDArray[np.float32]
RATE = AUDIO.sample_rate


@pytest.fixture(scope="module")
def speech() -> Samples:
    spoken = np.concatenate(list(TextToSpeech().sentences("Where were you while we were away?")))
    return np.pad(spoken, (0, RATE + -len(spoken) % AUDIO.hop)).astype(np.float32)


def noise(kind: str, count: int) -> NDArray[np.float64]:
    """Of amplitude 1, about."""
    hz = np.fft.rfftfreq(count, 1 / RATE)
    shape = {"white": np.ones_like(hz), "brown": 1 / np.maximum(hz, 20), "rumble": (hz < 60).astype(float)}[kind]
    made = np.fft.irfft(np.fft.rfft(np.random.default_rng(0).normal(size=count)) * shape, count)
    scaled: NDArray[np.float64] = made / np.sqrt(np.mean(made**2))
    return scaled


def voiced(samples: NDArray[np.floating]) -> NDArray[np.bool_]:
    with torch.inference_mode():
        f0 = SpeechAnalysis().eval()(torch.from_numpy(samples.astype(np.float32))[None]).f0[0]
    found: NDArray[np.bool_] = (f0 > 0).numpy()
    return found


@pytest.mark.parametrize("kind", ["white", "brown", "rumble"])
@pytest.mark.parametrize("level", [1e-3, 0.1])
def test_noise_alone_is_no_voice(kind: str, level: float) -> None:
    assert voiced(level * noise(kind, 2 * RATE))[20:].mean() < 0.03


@pytest.mark.parametrize("kind", ["white", "brown", "rumble"])
def test_speech_in_noise_is_voiced_where_it_was_and_the_pause_after_it_is_not(speech: Samples, kind: str) -> None:
    before, after = voiced(speech), voiced(speech + 0.01 * noise(kind, len(speech)))
    assert 0.4 < before[: -RATE // AUDIO.hop].mean() < 0.95
    assert (before != after)[: -RATE // AUDIO.hop].mean() < 0.1
    assert not before[-80:].any()
    assert after[-80:].mean() < 0.05
