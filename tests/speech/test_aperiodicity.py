"""The correction: pitch that glides is not noise, noise is; chunks are the whole."""

import math

import torch

from rtc_voice.speech.analysis import SpeechAnalysis
from tests.speech.signals import noise, vowel


def gliding() -> torch.Tensor:
    time = torch.arange(36_000, dtype=torch.float64) / 24_000
    return vowel(150 * 2 ** (0.35 * torch.sin(2 * math.pi * 1.5 * time)), 1.5)


def test_a_gliding_voice_is_not_taken_for_noise() -> None:
    analysis = SpeechAnalysis().double()
    sound = gliding()
    with torch.no_grad():
        features = analysis(sound)
        _, measured = analysis.measure(sound)
    voiced = features.f0[0] > 0
    voiced[:10] = False
    assert float(measured[0][voiced, 2].mean()) > 0.3  # what the plain comparison of periods says
    assert float(features.aperiodicity[0][voiced, 2].mean()) < 0.6 * float(measured[0][voiced, 2].mean())


def test_breath_over_a_voice_raises_the_share() -> None:
    analysis = SpeechAnalysis().double()
    sound = vowel(140.0, 1.0)
    with torch.no_grad():
        clear = analysis(sound).aperiodicity[0, 20:]
        hissing = analysis(sound + noise(1.0, amplitude=0.05)[:, : sound.shape[1]]).aperiodicity[0, 20:]
    assert float((hissing - clear)[:, 4].mean()) > 0.1


def test_chunks_match_whole_signal() -> None:
    analysis = SpeechAnalysis().double()
    sound = gliding()
    with torch.no_grad():
        whole = analysis(sound).aperiodicity
        state = analysis.init_state(1)
        parts = [analysis.step(chunk, state).aperiodicity for chunk in torch.split(sound, 480, dim=1)]
    torch.testing.assert_close(torch.cat(parts, dim=1), whole, rtol=0, atol=1e-9)
