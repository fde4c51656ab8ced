"""The map of the envelope: clear where it was flattened, and hiss that is partly the speaker's own."""

import torch

from rtc_voice.speech.analysis import Features
from rtc_voice.speech.envelope import BANDS
from rtc_voice.synthesis.mapping import VoiceMap


def shaped(envelope: torch.Tensor, own: torch.Tensor, f0: float = 120.0) -> torch.Tensor:
    voice_map = VoiceMap(24_000)
    features = Features(envelope.view(1, 1, BANDS), torch.tensor([[f0]]), torch.zeros(1, 1, 6))
    return voice_map.shape(features, own.view(1, 1, BANDS), voice_map.init_state(1)).envelope[0, 0]


def test_what_is_flat_stays_and_a_formant_stands_out_more() -> None:
    flat, bands = torch.full((BANDS,), -4.0), torch.arange(BANDS)
    torch.testing.assert_close(shaped(flat, flat), flat, rtol=0, atol=1e-5)
    formant = flat + torch.exp(-(((bands - 30) / 3.0) ** 2))
    made = shaped(formant, flat)
    assert 1.08 < float(made[30] - made[5]) < 1.2
    assert float(made[22]) < -4.0  # the valley beside it


def test_hiss_is_partly_the_speakers_own_and_voiced_sound_is_not() -> None:
    made, own = torch.full((BANDS,), -4.0), torch.full((BANDS,), -2.0)
    torch.testing.assert_close(shaped(made, own), made, rtol=0, atol=1e-5)
    hiss = shaped(made, own, f0=0.0)
    assert bool((hiss > -3.8).all())
    assert bool((hiss < -3.2).all())
