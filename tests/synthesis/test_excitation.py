"""Pulses and noise: right pitch, right level, and the same for every chunking."""

import math

import pytest
import torch
from torch import Tensor

from rtc_voice.synthesis.excitation import Excitation

RATE, HOP = 24_000, 240


@pytest.fixture
def excitation() -> Excitation:
    return Excitation(RATE, HOP)


def whole(excitation: Excitation, f0: Tensor) -> tuple[Tensor, Tensor]:
    return excitation.step(f0, excitation.init_state(f0.shape[0]))


@pytest.mark.parametrize("hops", [1, 3, 50])
def test_chunks_match_whole_signal(excitation: Excitation, hops: int) -> None:
    f0 = torch.cat([torch.linspace(90, 300, 60), torch.zeros(20), torch.full((20,), 150.0)]).double().unsqueeze(0)
    state = excitation.init_state(1)
    parts = [excitation.step(part, state) for part in torch.split(f0, hops, dim=1)]
    pulses, noise = whole(excitation, f0)
    assert torch.equal(torch.cat([p for p, _ in parts], dim=1), pulses)
    assert torch.equal(torch.cat([n for _, n in parts], dim=1), noise)


@pytest.mark.parametrize("f0_hz", [80.0, 137.0, 400.0])
def test_pulses_have_harmonics_of_f0_with_the_power_of_white_noise(excitation: Excitation, f0_hz: float) -> None:
    pulses, _ = whole(excitation, torch.full((1, 400), f0_hz, dtype=torch.float64))
    signal = pulses[0, HOP:]
    power = torch.fft.rfft(signal * torch.hann_window(len(signal), dtype=signal.dtype)).abs() ** 2
    peaks = torch.topk(power, 1).indices * RATE / len(signal)
    assert float((peaks / f0_hz - (peaks / f0_hz).round()).abs().max()) < 0.02
    # All harmonics up to 0.46 of the rate, each as strong as unit noise in a band of F0: 0.92 of noise's power.
    assert float(signal.square().mean()) == pytest.approx(0.92, abs=0.04)


def test_no_pulse_goes_above_its_band(excitation: Excitation) -> None:
    pulses, _ = whole(excitation, torch.linspace(100, 400, 200, dtype=torch.float64).unsqueeze(0))
    signal = pulses[0]
    power = torch.fft.rfft(signal * torch.hann_window(len(signal), dtype=signal.dtype)).abs() ** 2
    top = int(0.47 * len(signal))
    assert 10 * math.log10(float(power[top:].mean() / power[: int(0.4 * len(signal))].mean())) < -30


def test_unvoiced_hops_have_no_pulses(excitation: Excitation) -> None:
    pulses, _ = whole(excitation, torch.zeros(1, 10, dtype=torch.float64))
    assert not bool(pulses.any())


def test_noise_is_white_of_variance_one_and_differs_by_row(excitation: Excitation) -> None:
    _, noise = whole(excitation, torch.zeros(2, 400, dtype=torch.float64))
    assert float(noise.var(dim=1).sub(1).abs().max()) < 0.02
    assert abs(float(noise.mean())) < 0.02
    neighbours = (noise[:, 1:] * noise[:, :-1]).mean(dim=1)
    assert float(neighbours.abs().max()) < 0.02
    assert abs(float((noise[0] * noise[1]).mean())) < 0.02
