"""The minimum-phase filter: right gain at every frequency, nothing late, any chunking the same."""

import math

import pytest
import torch
from torch import Tensor

from rtc_voice.speech.analysis import Features
from rtc_voice.speech.envelope import BANDS, hz_to_mel
from rtc_voice.synthesis.filter import MinimumPhaseFilter

RATE, HOP = 24_000, 240


@pytest.fixture(scope="module")
def shape() -> MinimumPhaseFilter:
    return MinimumPhaseFilter(RATE, HOP).double()


def features(envelope: Tensor, noise_share: float) -> Features:
    rows = envelope.shape[1]
    aperiodicity = torch.full((envelope.shape[0], rows, 6), noise_share, dtype=torch.float64)
    return Features(envelope, torch.zeros(envelope.shape[0], rows, dtype=torch.float64), aperiodicity)


def rough_envelope(rows: int) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(1, rows, BANDS, generator=generator, dtype=torch.float64) - 3


def run(shape: MinimumPhaseFilter, source: Tensor, rows: Features) -> Tensor:
    return shape.step(source, source.flip(1), rows, shape.init_state(source.shape[0]))


@pytest.mark.parametrize("hops", [1, 4])
def test_chunks_match_whole_signal(shape: MinimumPhaseFilter, hops: int) -> None:
    rows = features(rough_envelope(20), 0.3)
    pulses, noise = torch.randn(2, 1, 20 * HOP, dtype=torch.float64).unbind(0)
    whole = shape.step(pulses, noise, rows, shape.init_state(1))
    state = shape.init_state(1)
    parts = [
        shape.step(
            pulses[:, i * HOP : (i + hops) * HOP],
            noise[:, i * HOP : (i + hops) * HOP],
            Features(rows.envelope[:, i : i + hops], rows.f0[:, i : i + hops], rows.aperiodicity[:, i : i + hops]),
            state,
        )
        for i in range(0, 20, hops)
    ]
    torch.testing.assert_close(torch.cat(parts, dim=1), whole, rtol=0, atol=1e-12)


@pytest.mark.parametrize("hz", [300.0, 1500.0, 6000.0])
def test_a_tone_gets_the_gain_of_the_envelope(shape: MinimumPhaseFilter, hz: float) -> None:
    mel = torch.linspace(0, hz_to_mel(torch.tensor(12_000.0)).item(), BANDS, dtype=torch.float64)
    envelope = (-0.002 * mel).expand(1, 40, BANDS)
    tone = torch.cos(2 * math.pi * hz * torch.arange(40 * HOP, dtype=torch.float64) / RATE).unsqueeze(0)
    out = shape.step(tone, torch.zeros_like(tone), features(envelope, 0.0), shape.init_state(1))
    gain = float(out[0, 10 * HOP : 30 * HOP].square().mean().sqrt() * math.sqrt(2))
    expected = math.exp(-0.002 * hz_to_mel(torch.tensor(hz)).item())
    assert 20 * math.log10(gain / expected) == pytest.approx(0, abs=0.2)


def test_the_response_starts_at_once(shape: MinimumPhaseFilter) -> None:
    source = torch.zeros(1, 20 * HOP, dtype=torch.float64)
    source[0, 10 * HOP] = 1
    smooth = torch.sin(torch.linspace(0, 6, BANDS, dtype=torch.float64)).expand(1, 20, BANDS)
    out = shape.step(source, torch.zeros_like(source), features(smooth, 0.0), shape.init_state(1))[0]
    assert not bool(out[: 10 * HOP].abs().gt(1e-9).any())
    early = out[10 * HOP : 10 * HOP + 24].square().sum() / out.square().sum()
    assert float(early) > 0.9  # within the first millisecond


def test_noise_share_moves_power_from_pulses_to_noise(shape: MinimumPhaseFilter) -> None:
    flat = torch.zeros(1, 40, BANDS, dtype=torch.float64)
    source = torch.randn(1, 40 * HOP, dtype=torch.float64)
    nothing = torch.zeros_like(source)
    for share, expected in ((0.0, 0.0), (0.25, 0.25), (1.0, 1.0)):
        out = shape.step(nothing, source, features(flat, share), shape.init_state(1))
        assert float(out[0, 4 * HOP :].square().mean()) == pytest.approx(expected, abs=0.04)


def test_silence_in_silence_out(shape: MinimumPhaseFilter) -> None:
    rows = features(torch.full((1, 5, BANDS), math.log(1e-5), dtype=torch.float64), 1.0)
    out = run(shape, torch.randn(1, 5 * HOP, dtype=torch.float64), rows)
    assert float(out.abs().max()) < 1e-4  # 80 dB below full scale


def test_the_sum_for_training_is_the_step(shape: MinimumPhaseFilter) -> None:
    rows = features(rough_envelope(20), 0.3)
    pulses, noise = torch.randn(2, 1, 20 * HOP, dtype=torch.float64).unbind(0)
    stepped = shape.step(pulses, noise, rows, shape.init_state(1))
    torch.testing.assert_close(shape.whole(pulses, noise, rows), stepped, rtol=0, atol=1e-12)
