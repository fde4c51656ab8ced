"""Source and filter: the excitation shaped by a minimum-phase filter that moves with the envelope."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from rtc_voice.speech.analysis import Features
from rtc_voice.speech.envelope import APERIODICITY_EDGES_HZ, BANDS, FLOOR, hz_to_mel, mel_to_hz
from rtc_voice.speech.streaming import State

_N_FFT = 1024

# How much of the measured share of noise in each band of voiced rows is made as noise. Much of what differs from period
# to period in a voice is movement, and low down all of it: D4C finds 1 % below 2 kHz, this analysis 5 to 17.
HISS = (0.0, 0.0, 0.2, 0.4, 0.4, 0.4)


class MinimumPhaseFilter(nn.Module):
    """Pulses and noise through one minimum-phase filter a hop each, faded linearly from hop to hop.

    ``hiss`` is how much of the share of noise in voiced rows is made as noise, band by band.

    Minimum phase puts the energy of every response at its start, so the filter adds almost no latency; it is found from
    the folded cepstrum (Oppenheim and Schafer, Discrete-Time Signal Processing, section 13.5).
    """

    hiss: Tensor
    spread: Tensor
    to_response: Tensor
    fade: Tensor

    def __init__(self, sample_rate: int, hop: int, hiss: Sequence[float] = HISS) -> None:
        super().__init__()
        self.hop = hop
        bins = torch.arange(_N_FFT // 2 + 1, dtype=torch.float64) * sample_rate / _N_FFT
        top = hz_to_mel(torch.tensor(sample_rate / 2, dtype=torch.float64))
        points = mel_to_hz(torch.linspace(0, top.item(), BANDS, dtype=torch.float64))
        edges = torch.tensor(APERIODICITY_EDGES_HZ, dtype=torch.float64)
        expand = _interpolation(hz_to_mel(bins) / top * (BANDS - 1), BANDS)
        fade = (torch.arange(hop, dtype=torch.float64) + 0.5) / hop
        for name, value in {
            "hiss": torch.tensor(hiss),
            "spread": _interpolation(_between(points, (edges[:-1] + edges[1:]) / 2), len(edges) - 1).T,
            "to_response": _log_responses(expand.T),
            "fade": fade,
        }.items():
            self.register_buffer(name, value.float(), persistent=False)

    def init_state(self, batch: int) -> State:
        """Silence: a shut filter and an empty tail."""
        zeros = self.fade.new_zeros
        return {
            "envelope": self.fade.new_full((batch, 1, BANDS), math.log(FLOOR)),
            "shares": self.fade.new_ones(batch, 1, len(APERIODICITY_EDGES_HZ) - 1),
            "tail": zeros(batch, _N_FFT - self.hop),
        }

    def step(self, pulses: Tensor, noise: Tensor, features: Features, state: State) -> Tensor:
        """The next ``F`` hops of speech.

        Args:
            pulses: ``[B, F * hop]``.
            noise: ``[B, F * hop]``.
            features: ``F`` rows; of F0 it counts whether there is one.
            state: moved in place.

        Returns:
            ``[B, F * hop]``.
        """
        pieces = self._pieces(pulses, noise, features, state)
        return self._overlap_add(pieces, state["tail"])

    def whole(self, pulses: Tensor, noise: Tensor, features: Features) -> Tensor:
        """``step`` on a whole signal with a fresh state, in one sum: for training, where the order does not matter."""
        pieces = self._pieces(pulses, noise, features, self.init_state(len(pulses)))
        samples = (pieces.shape[1] - 1) * self.hop + _N_FFT
        joined = nn.functional.fold(pieces.transpose(1, 2), (1, samples), (1, _N_FFT), stride=(1, self.hop))
        return joined.reshape(len(pulses), samples)[:, : pulses.shape[1]]

    def _pieces(self, pulses: Tensor, noise: Tensor, features: Features, state: State) -> Tensor:
        """What each hop of the source gives, ``[B, F, n_fft]``, to be added up a hop apart."""
        envelope = torch.cat([state["envelope"], features.envelope], dim=1)
        made_noise = torch.where(
            features.f0.unsqueeze(-1) > 0, features.aperiodicity * self.hiss, features.aperiodicity
        )
        shares = torch.cat([state["shares"], made_noise], dim=1)
        state["envelope"].copy_(envelope[:, -1:])
        state["shares"].copy_(shares[:, -1:])
        responses = self._responses(envelope, shares)
        shaped = self._faded(torch.stack([pulses, noise]), responses)
        pieces: Tensor = torch.fft.irfft(shaped[0] + shaped[1], _N_FFT)
        return pieces

    def _responses(self, envelope: Tensor, shares: Tensor) -> Tensor:
        """Complex responses for pulses and for noise, ``[2, B, F + 1, bins]``."""
        share = (shares @ self.spread).clamp(0, 1)
        log_response = (envelope + 0.5 * torch.log(torch.stack([1 - share, share]) + FLOOR)) @ self.to_response
        log_amplitude, phase = log_response.chunk(2, dim=-1)
        # 512 samples of response and 240 of excitation fit the transform: nothing wraps around.
        impulse = torch.fft.irfft(torch.polar(torch.exp(log_amplitude), phase), _N_FFT)[..., : _N_FFT // 2]
        cut: Tensor = torch.fft.rfft(impulse, _N_FFT)
        return cut

    def _faded(self, sources: Tensor, responses: Tensor) -> Tensor:
        """Each hop of each source from its old response to its new one, ``[2, B, F, bins]``."""
        hops = torch.unflatten(sources, -1, (-1, self.hop))
        falling, rising = torch.fft.rfft(torch.stack([hops * (1 - self.fade), hops * self.fade]), _N_FFT)
        shaped: Tensor = falling * responses[:, :, :-1] + rising * responses[:, :, 1:]
        return shaped

    def _overlap_add(self, pieces: Tensor, tail: Tensor) -> Tensor:
        batch, hops, _ = pieces.shape
        out = []
        # One hop after the other, so that the order of the additions never depends on the chunking.
        for piece in pieces.unbind(dim=1):
            joined = nn.functional.pad(tail, (0, self.hop)) + piece
            tail.copy_(joined[:, self.hop :])
            out.append(joined[:, : self.hop])
        return torch.stack(out, dim=1).reshape(batch, hops * self.hop)


def _log_responses(log_amplitudes: Tensor) -> Tensor:
    """Log amplitude and phase ``[N, 2 * bins]`` of the minimum-phase filters with ``log_amplitudes`` ``[N, bins]``.

    Both are sums over what the amplitude is made of, so those of the bands say those of every envelope.
    """
    cepstrum = torch.fft.irfft(log_amplitudes.to(torch.complex128), _N_FFT)
    cepstrum[:, 1 : _N_FFT // 2] *= 2
    cepstrum[:, _N_FFT // 2 + 1 :] = 0
    folded = torch.fft.rfft(cepstrum)
    return torch.cat([folded.real, folded.imag], dim=-1)


def _between(values: Tensor, knots: Tensor) -> Tensor:
    """Fractional index of ``values`` among the increasing ``knots``, held at both ends."""
    right = torch.searchsorted(knots, values).clamp(1, len(knots) - 1)
    weight = (values - knots[right - 1]) / (knots[right] - knots[right - 1])
    return (right - 1 + weight).clamp(0, len(knots) - 1)


def _interpolation(position: Tensor, size: int) -> Tensor:
    """The matrix ``[len(position), size]`` that reads linearly between its inputs at ``position``."""
    left = position.floor().clamp(0, size - 2).long()
    weight = (position - left).clamp(0, 1).unsqueeze(1)
    rows = nn.functional.one_hot(left, size) * (1 - weight)
    return rows + nn.functional.one_hot(left + 1, size) * weight
