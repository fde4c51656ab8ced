"""The source signals of speech: a band-limited pulse train at F0, and noise."""

import math

import torch
from torch import Tensor, nn

from rtc_voice.speech.streaming import State

_LOWEST_HZ = 50.0  # below it the pulse train is silent
_MASK = 0xFFFFFFFF


class Excitation(nn.Module):
    """Pulse train and noise, both with a flat spectrum of density 1 (that of white noise of variance 1).

    The phase is carried in float64 cycles and the noise is a function of (seed, sample number), so no chunking can
    change either.
    """

    def __init__(self, sample_rate: int, hop: int) -> None:
        super().__init__()
        self.sample_rate, self.hop = sample_rate, hop

    def init_state(self, batch: int) -> State:
        """Phase 0, sample 0; the rows get different noise."""
        return {
            "phase": torch.zeros(batch, 1, dtype=torch.float64),
            "f0": torch.zeros(batch, 1, dtype=torch.float64),
            "sample": torch.zeros(batch, 1, dtype=torch.int64),
            "seed": torch.arange(1, batch + 1, dtype=torch.int64).unsqueeze(1),
        }

    def random_state(self, batch: int, draw: torch.Generator) -> State:
        """As ``init_state``, with noise and phase of each row drawn at random: for training."""
        state = self.init_state(batch)
        state["seed"].copy_(torch.randint(1 << 31, (batch, 1), generator=draw))
        state["phase"].copy_(torch.rand(batch, 1, generator=draw))
        return state

    def step(self, f0: Tensor, state: State) -> tuple[Tensor, Tensor]:
        """The next ``F`` hops of both sources.

        Args:
            f0: Hz at the end of each hop, 0 where unvoiced, ``[B, F]``.
            state: moved in place.

        Returns:
            Pulses and noise, each ``[B, F * hop]``; the pulses are silent where F0 is 0.
        """
        hz = self._per_sample(f0.double(), state["f0"])
        phase = self._advance(torch.cumsum(hz / self.sample_rate, dim=2), state["phase"])
        pulses = _pulses(phase % 1.0, hz, self.sample_rate).flatten(1)
        number = state["sample"] + torch.arange(pulses.shape[1], device=f0.device)
        state["sample"].add_(pulses.shape[1])
        return pulses.to(f0.dtype), _noise(number, state["seed"]).to(f0.dtype)

    def _advance(self, cycles: Tensor, phase: Tensor) -> Tensor:
        """The phase of each sample, from the ``cycles`` ``[B, F, hop]`` that pass within each hop."""
        out = []
        # Hop by hop, so that the order of the additions never depends on the chunking.
        for hop in cycles.unbind(dim=1):
            out.append(phase + hop)
            phase.copy_(out[-1][:, -1:] % 1.0)
        return torch.stack(out, dim=1)

    def _per_sample(self, f0: Tensor, before: Tensor) -> Tensor:
        """F0 of each sample ``[B, F, hop]``: a line between two voiced hops, a step at the edge of voicing."""
        old = torch.cat([before, f0[:, :-1]], dim=1)
        before.copy_(f0[:, -1:])
        start = torch.where((old > 0) & (f0 > 0), old, f0).unsqueeze(-1)
        ramp = torch.arange(1, self.hop + 1, dtype=f0.dtype, device=f0.device) / self.hop
        return start + (f0.unsqueeze(-1) - start) * ramp


def _pulses(phase: Tensor, hz: Tensor, sample_rate: int) -> Tensor:
    """All harmonics below 0.46 of the sample rate as one closed form, the Dirichlet kernel.

    ``sum cos(h t) for h in 1..H = sin((H + 1/2) t) / (2 sin(t / 2)) - 1/2``. Each harmonic gets the power that white
    noise of variance 1 has in a band as wide as F0.
    """
    hz_or_floor = hz.clamp(min=_LOWEST_HZ)
    harmonics = torch.floor(0.46 * sample_rate / hz_or_floor)
    angle = 2 * math.pi * phase
    divisor = 2 * torch.sin(angle / 2)
    is_peak = divisor.abs() < 1e-6
    ratio = torch.sin((harmonics + 0.5) * angle) / torch.where(is_peak, torch.ones_like(divisor), divisor)
    kernel = torch.where(is_peak, harmonics + 0.5, ratio) - 0.5
    return torch.where(hz >= _LOWEST_HZ, kernel * 2 * torch.sqrt(hz_or_floor / sample_rate), torch.zeros_like(kernel))


def _noise(number: Tensor, seed: Tensor) -> Tensor:
    """Uniform noise of variance 1 from a counter: the finaliser of MurmurHash3 (32 bits) of sample number and seed."""
    x = (number + seed * 0x9E3779B1) & _MASK
    x = ((x ^ (x >> 16)) * 0x85EBCA6B) & _MASK
    x = ((x ^ (x >> 13)) * 0xC2B2AE35) & _MASK
    x = x ^ (x >> 16)
    return (x.double() / 2**31 - 1) * math.sqrt(3)
