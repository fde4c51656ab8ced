"""Signals whose features are known."""

import torch
from torch import Tensor

SAMPLE_RATE = 24_000
FORMANTS_HZ = (700, 1200, 2600)


def vowel(f0_hz: Tensor | float, seconds: float, formants_hz: tuple[float, ...] = FORMANTS_HZ) -> Tensor:
    """Harmonics of ``f0_hz`` (a number, or Hz per sample) with peaks at the formants, ``[1, T]``, float64."""
    samples = int(seconds * SAMPLE_RATE)
    hz = torch.as_tensor(f0_hz, dtype=torch.float64).expand(samples)
    phase = 2 * torch.pi * torch.cumsum(hz / SAMPLE_RATE, dim=0)
    out = torch.zeros(samples, dtype=torch.float64)
    for number in range(1, int(10_000 / hz.max()) + 1):
        out += amplitude(number * hz, formants_hz) * torch.cos(number * phase)
    return (0.05 * out).unsqueeze(0)


def amplitude(hz: Tensor, formants_hz: tuple[float, ...]) -> Tensor:
    """The gain of the vowel's formants at ``hz``."""
    return sum((1 / (1 + ((hz - f) / 150) ** 2) for f in formants_hz), start=torch.full_like(hz, 0.01))


def noise(seconds: float, seed: int = 0, amplitude: float = 0.1) -> Tensor:
    """White noise, ``[1, T]``, float64."""
    generator = torch.Generator().manual_seed(seed)
    return amplitude * torch.randn(1, int(seconds * SAMPLE_RATE), generator=generator, dtype=torch.float64)
