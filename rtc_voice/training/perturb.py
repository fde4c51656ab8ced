"""Features changed at random, so that a network does not learn what it should not rely on."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from rtc_voice.speech.analysis import Features
from rtc_voice.speech.envelope import BANDS
from rtc_voice.synthesis.mapping import warp_envelope


def disguise(features: Features, draw: torch.Generator) -> Features:
    """The same words from another throat, through another microphone, in another room's noise."""
    batch, rows, _ = features.envelope.shape
    ratio = torch.exp(uniform(-0.18, 0.18, (batch, 1), draw))
    envelope = warp_envelope(features.envelope, ratio.expand(batch, rows))
    waves = torch.outer(torch.arange(1, 5, device=draw.device), torch.linspace(0, 1, BANDS, device=draw.device))
    bends = normal((batch, 1, 4), draw) @ torch.cos(math.pi * waves)
    curve = 0.35 * bends + uniform(-0.7, 0.7, (batch, 1, 1), draw)
    hiss = uniform(-9, -4.5, (batch, 1, 1), draw) + 0.3 * normal((batch, rows, BANDS), draw)
    noisy = torch.logaddexp(2 * (envelope + curve), 2 * hiss) / 2
    return Features(noisy, features.f0, features.aperiodicity)


def blurred(embedding: Tensor, size: float, draw: torch.Generator) -> Tensor:
    """Embeddings with noise of about the length ``size``: those that are asked for later are never exact."""
    noise = normal(embedding.shape, draw) * (size / embedding.shape[-1] ** 0.5)
    return nn.functional.normalize(embedding + noise, dim=-1)


def resize(features: Features, tract: Tensor, draw: torch.Generator) -> tuple[Features, Tensor]:
    """The target as a slightly larger or smaller person, so that the size stays a knob of its own."""
    ratio = torch.exp(uniform(-0.06, 0.06, tract.shape, draw))
    envelope = warp_envelope(features.envelope, ratio.expand(-1, features.f0.shape[1]))
    return Features(envelope, features.f0, features.aperiodicity), tract * ratio


def uniform(low: float, high: float, shape: Sequence[int], draw: torch.Generator) -> Tensor:
    """Numbers anywhere between ``low`` and ``high``, on the generator's device."""
    return low + (high - low) * torch.rand(tuple(shape), generator=draw, device=draw.device)


def normal(shape: Sequence[int], draw: torch.Generator) -> Tensor:
    """Normal numbers of variance 1, on the generator's device."""
    return torch.randn(tuple(shape), generator=draw, device=draw.device)
