"""Features of speech: streamed as whole, causal, and right on signals whose features are known."""

import math

import pytest
import torch

from rtc_voice.config import AUDIO
from rtc_voice.speech.analysis import FRAME, SpeechAnalysis
from rtc_voice.speech.envelope import BANDS, hz_to_mel, mel_to_hz
from tests.speech.signals import FORMANTS_HZ, SAMPLE_RATE, amplitude, noise, vowel

SETTLED = 10  # rows until the frame is full and the pitch path has formed


@pytest.fixture(scope="module")
def analysis() -> SpeechAnalysis:
    return SpeechAnalysis().double()


@pytest.mark.parametrize("hops", [1, 2, 7])
def test_chunks_match_whole_signal(analysis: SpeechAnalysis, hops: int) -> None:
    x = torch.cat([vowel(120, 0.3), noise(0.2), vowel(torch.linspace(180, 260, 4800), 0.2)], dim=1)
    x = torch.cat([x, x.flip(1)], dim=0)
    state = analysis.init_state(2)
    parts = [analysis.step(c, state) for c in torch.split(x, hops * AUDIO.hop, dim=1)]
    whole = analysis(x)
    for name in ("envelope", "f0", "aperiodicity"):
        streamed = torch.cat([getattr(p, name) for p in parts], dim=1)
        torch.testing.assert_close(streamed, getattr(whole, name), rtol=0, atol=1e-9)


def test_batch_row_is_as_alone(analysis: SpeechAnalysis) -> None:
    x = torch.cat([vowel(120, 0.3), noise(0.3), vowel(240, 0.3)], dim=0)
    together, alone = analysis(x), analysis(x[2:])
    torch.testing.assert_close(together.envelope[2:], alone.envelope, rtol=0, atol=1e-9)
    torch.testing.assert_close(together.f0[2:], alone.f0, rtol=0, atol=1e-9)


def test_a_row_depends_on_its_frame_only(analysis: SpeechAnalysis) -> None:
    x = vowel(150, 0.2).requires_grad_()
    row = 12
    analysis(x).envelope[0, row].sum().backward()
    assert x.grad is not None
    touched = torch.nonzero(x.grad[0]).flatten()
    end = (row + 1) * AUDIO.hop
    assert touched.max() < end
    assert touched.min() >= end - FRAME
    # The middle of what is touched is where the row looks: ``lookahead`` before its end.
    assert (touched.min() + touched.max()) / 2 == pytest.approx(end - analysis.lookahead, abs=2)


@pytest.mark.parametrize("f0_hz", [75.0, 110.0, 160.0, 220.0, 330.0, 450.0])
def test_f0_of_a_steady_vowel_within_a_tenth_of_a_semitone(analysis: SpeechAnalysis, f0_hz: float) -> None:
    breath = torch.randn(1, 12_000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    f0 = analysis(vowel(f0_hz, 0.5) + 1e-3 * breath).f0[0, SETTLED:]  # without it a high one is nobody's voice
    assert bool((f0 > 0).all())
    assert float((12 * torch.log2(f0 / f0_hz)).abs().max()) < 0.1


def test_f0_follows_a_glide(analysis: SpeechAnalysis) -> None:
    hz = torch.linspace(120, 240, 24_000, dtype=torch.float64)
    f0 = analysis(vowel(hz, 1.0)).f0[0, SETTLED:]
    rows = torch.arange(SETTLED, 100)
    seen_at = (rows + 1) * AUDIO.hop - analysis.lookahead
    assert float((12 * torch.log2(f0 / hz[seen_at])).abs().max()) < 0.3


def test_noise_and_silence_are_unvoiced(analysis: SpeechAnalysis) -> None:
    assert float((analysis(noise(1.0)).f0 > 0).double().mean()) < 0.05
    assert not bool((analysis(torch.zeros(1, 24_000, dtype=torch.float64)).f0 > 0).any())


def test_white_noise_has_a_flat_envelope_at_its_level(analysis: SpeechAnalysis) -> None:
    envelope = analysis(noise(4.0, amplitude=0.1)).envelope[0, SETTLED:]
    level_db = 10 * torch.log10((2 * envelope).exp().mean(dim=0))
    # 0.5 dB: 400 rows of a smoothed power spectrum.
    assert float((level_db - 20 * math.log10(0.1)).abs().max()) < 0.5


@pytest.mark.parametrize("f0_hz", [100.0, 230.0])
def test_the_envelope_shows_formants_and_no_harmonics(analysis: SpeechAnalysis, f0_hz: float) -> None:
    envelope = analysis(vowel(f0_hz, 0.5)).envelope[0, 30]
    mel = torch.linspace(0, hz_to_mel(torch.tensor(12_000.0)).item(), BANDS)
    at = int((mel - hz_to_mel(torch.tensor(2600.0))).abs().argmin())
    assert int(envelope[at - 8 : at + 9].argmax()) == pytest.approx(8, abs=1)
    # Between 4 and 8 kHz the vowel is smooth: what is left there of its harmonics is ripple.
    smooth = envelope[(mel > hz_to_mel(torch.tensor(4000.0))) & (mel < hz_to_mel(torch.tensor(8000.0)))]
    ripple_db = 20 / math.log(10) * (smooth[2:] - 2 * smooth[1:-1] + smooth[:-2]).abs().max()
    assert float(ripple_db) < 1.0


def test_aperiodicity_tells_a_vowel_from_a_breathy_one(analysis: SpeechAnalysis) -> None:
    clean = vowel(180, 0.5)
    breathy = clean + noise(0.5, amplitude=0.02)
    of_clean = analysis(clean).aperiodicity[0, SETTLED:].mean(dim=0)
    of_breathy = analysis(breathy).aperiodicity[0, SETTLED:].mean(dim=0)
    assert float(of_clean[:4].max()) < 0.05
    assert float(of_breathy[4]) > 0.5  # 5.5 to 8 kHz, where the vowel is weak
    assert float(of_breathy[0]) < 0.2  # below 1 kHz, where it is strong


@pytest.mark.parametrize("f0_hz", [110.0, 160.0, 220.0])
def test_the_formants_stand_out_as_in_the_vowel(analysis: SpeechAnalysis, f0_hz: float) -> None:
    breath = torch.randn(1, 12_000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    seen = analysis(vowel(f0_hz, 0.5) + 1e-4 * breath).envelope[0, SETTLED:].mean(dim=0)
    top = hz_to_mel(torch.tensor(SAMPLE_RATE / 2, dtype=torch.float64))
    hz = mel_to_hz(torch.linspace(0, float(top), BANDS, dtype=torch.float64))
    true = torch.log(amplitude(hz, FORMANTS_HZ))
    formant, valley = ((hz - at).abs().argmin() for at in (700, 1900))
    # Smoothed only, they would stand out by 1.0 to 1.9 dB less.
    off_db = 20 / math.log(10) * ((seen - true)[formant] - (seen - true)[valley])
    assert abs(float(off_db)) < 0.8
