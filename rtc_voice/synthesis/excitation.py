"""The source signals of speech: a band-limited pulse train at F0, and noise."""

import math

import torch
from torch import Tensor, nn

from rtc_voice.speech.interpolation import between
from rtc_voice.speech.streaming import State

_LOWEST_HZ = 50.0  # of F0: so many harmonics fit below the top at most
_TOP = 0.46  # of the sample rate, up to where there are harmonics
_EDGE = 1e-9  # cycles around the start of a period that count as this far from it: there it would be 0 / 0
_NOISE_SAMPLES = 1 << 17  # 5.5 s, then it comes again


class Excitation(nn.Module):
    """Pulse train and noise, both with a flat spectrum of density 1 (that of white noise of variance 1).

    The phase is carried in float64 cycles and the noise is read from one strip, so no chunking can change either.
    """

    strip: Tensor
    ramp: Tensor

    def __init__(self, sample_rate: int, hop: int) -> None:
        super().__init__()
        self.sample_rate, self.hop = sample_rate, hop
        drawn = torch.rand(_NOISE_SAMPLES, generator=torch.Generator().manual_seed(7), dtype=torch.float64)
        self.register_buffer("strip", ((2 * drawn - 1) * math.sqrt(3)).float(), persistent=False)
        ramp = torch.arange(1, hop + 1, dtype=torch.float64) / hop
        self.register_buffer("ramp", ramp, persistent=False)

    def init_state(self, batch: int) -> State:
        """Phase 0; the rows get different noise."""
        apart = torch.arange(batch, dtype=torch.int64).unsqueeze(1) * 0x9E3779B1
        return {
            "phase": torch.zeros(batch, 1, dtype=torch.float64),
            "f0": torch.zeros(batch, 1, dtype=torch.float64),
            "noise": apart % _NOISE_SAMPLES,
        }

    def random_state(self, batch: int, draw: torch.Generator) -> State:
        """As ``init_state``, with noise and phase of each row drawn at random: for training."""
        state = self.init_state(batch)
        state["noise"].copy_(torch.randint(_NOISE_SAMPLES, (batch, 1), generator=draw))
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
        pulses = self._pulses(phase, hz).flatten(1).to(f0.dtype)
        samples = pulses.shape[1]
        number = (state["noise"] + torch.arange(samples, device=f0.device)) % _NOISE_SAMPLES
        state["noise"].copy_((state["noise"] + samples) % _NOISE_SAMPLES)
        return pulses, self.strip[number].to(f0.dtype)

    def _advance(self, cycles: Tensor, phase: Tensor) -> Tensor:
        """The phase of each sample in [0, 1), from the ``cycles`` ``[B, F, hop]`` that pass within each hop."""
        out = []
        # Hop by hop, so that the order of the additions never depends on the chunking.
        for hop in cycles.unbind(dim=1):
            out.append((phase + hop) % 1.0)
            phase.copy_(out[-1][:, -1:])
        return torch.stack(out, dim=1)

    def _per_sample(self, f0: Tensor, before: Tensor) -> Tensor:
        """F0 of each sample ``[B, F, hop]``: a line between two voiced hops, a step at the edge of voicing."""
        old = torch.cat([before, f0[:, :-1]], dim=1)
        before.copy_(f0[:, -1:])
        start = torch.where(old * f0 > 0, old, f0)
        return between(start.unsqueeze(-1), f0.unsqueeze(-1), self.ramp.to(f0.dtype))

    def _pulses(self, phase: Tensor, hz: Tensor) -> Tensor:
        """All harmonics below the top as one closed form, the Dirichlet kernel, for phases in [0, 1).

        ``2 sum cos(h t) for h in 1..H = sin((2 H + 1) t / 2) / sin(t / 2) - 1``. Each harmonic gets the power that
        white noise of variance 1 has in a band as wide as F0.
        """
        half = phase.clamp(_EDGE, 1 - _EDGE) * math.pi
        harmonics = torch.floor(_TOP * self.sample_rate / hz.clamp(min=_LOWEST_HZ))
        kernel = torch.sin((2 * harmonics + 1) * half) / torch.sin(half) - 1
        return kernel * torch.sqrt(hz / self.sample_rate)
