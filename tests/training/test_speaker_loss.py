"""The loss hears what the speaker encoder hears, prefers the right voice, and can be trained through."""

import numpy as np
import torch
from scipy.signal import resample_poly

from rtc_voice.config import AUDIO
from rtc_voice.speech.analysis import Features, SpeechAnalysis
from rtc_voice.training.speaker_loss import SpeakerLoss
from rtc_voice.voices.speaker_encoder import SAMPLE_RATE, mel_power
from tests.speech.signals import noise, vowel


def spoken() -> torch.Tensor:
    glide = torch.linspace(110, 190, 40_800, dtype=torch.float64)
    return torch.cat([vowel(glide, 1.7), vowel(glide.flip(0) * 1.5, 1.7)]).float()


def test_its_mels_are_those_of_the_encoder_at_16_khz() -> None:
    sound = noise(1.0).float()
    sound = sound * (0.03 / sound.square().mean().sqrt())
    at_16_khz = torch.from_numpy(resample_poly(sound[0].numpy(), 2, 3).astype(np.float32))
    mine, theirs = SpeakerLoss().mels(sound)[0], mel_power(at_16_khz)
    # The resampler's slope takes the last bands near 8 kHz.
    torch.testing.assert_close(mine[5:90, :36], theirs[5:90, :36], rtol=0.05, atol=2e-5)
    assert SAMPLE_RATE == 2 * AUDIO.sample_rate // 3


def test_the_own_voice_costs_less_than_another_and_gradients_arrive() -> None:
    loss, draw = SpeakerLoss(), torch.Generator().manual_seed(0)
    with torch.no_grad():
        heard = SpeechAnalysis()(spoken())
        voices = loss.encoder(loss.mels(spoken()))
    features = Features(heard.envelope.clone().requires_grad_(), heard.f0, heard.aperiodicity)
    right, cosine = loss(features, voices, draw)
    wrong, other = loss(features, voices.flip(0), draw)
    assert float(right.detach()) < float(wrong.detach())
    assert float(cosine) > float(other)
    right.backward()
    assert features.envelope.grad is not None
    assert float(features.envelope.grad.abs().max()) > 0
