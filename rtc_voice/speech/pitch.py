"""F0 and voicing of live speech, from the past only."""

import math

import torch
from torch import Tensor, nn

from rtc_voice.speech.interpolation import lerp
from rtc_voice.speech.streaming import State
from rtc_voice.speech.voicing import load_voicing

FLOOR_HZ, CEILING_HZ = 60.0, 500.0
_STATES_PER_OCTAVE = 48
_JUMP = 12  # states that F0 may move in one hop: a quarter of an octave
_LOW_CUT_HZ = 75.0  # below it microphones rumble
_OCTAVE_COST = 0.02  # favours the higher of two candidates an octave apart
_JUMP_COST = 0.9  # per octave of movement in one hop
_RESTART_COST = 0.24  # of a path that begins anew anywhere
_NOTHING = 1e-7  # of the power at a frequency: what is left of it where so little is let through


class PitchTracker(nn.Module):
    """F0 of each frame: autocorrelation candidates, then the best path so far.

    Candidates are the window-corrected autocorrelation of Boersma 1993, "Accurate short-term analysis of the
    fundamental frequency and the harmonics-to-noise ratio of a sampled sound" (the method of Praat), taken from 75 Hz
    to 2 kHz. The path is the forward pass of Viterbi's algorithm over log-spaced F0 states; as there is no trace back,
    nothing is waited for. Which rows are voiced, a small network says.
    """

    window: Tensor
    to_correlation: Tensor
    state_lags: Tensor
    octave_cost: Tensor
    jump_cost: Tensor

    def __init__(self, sample_rate: int, frame: int) -> None:
        super().__init__()
        self.sample_rate, self.frame = sample_rate, frame
        self.n_fft = 1 << math.ceil(math.log2(2 * frame))
        window = torch.hann_window(frame, periodic=False, dtype=torch.float64)
        overlap = torch.fft.irfft(torch.fft.rfft(window, self.n_fft).abs() ** 2)
        hz = torch.arange(self.n_fft // 2 + 1, dtype=torch.float64) * sample_rate / self.n_fft
        states = torch.arange(int(_STATES_PER_OCTAVE * math.log2(CEILING_HZ / FLOOR_HZ)) + 1, dtype=torch.float64)
        f0 = FLOOR_HZ * 2 ** (states / _STATES_PER_OCTAVE)
        jump = torch.arange(-_JUMP, _JUMP + 1, dtype=torch.float64).abs() / _STATES_PER_OCTAVE
        band = (0.5 - 0.5 * torch.tanh((hz - 2000) / 300)) / (1 + (_LOW_CUT_HZ / hz.clamp(min=1)) ** 8)
        heard = int((band > _NOTHING).nonzero().max()) + 1
        lags = torch.arange(math.ceil(sample_rate / FLOOR_HZ) + 3, dtype=torch.float64)
        cosines = torch.cos(2 * math.pi / self.n_fft * torch.outer(torch.arange(heard, dtype=torch.float64), lags))
        for name, value in {
            "window": window,
            # The inverse transform of a spectrum of power, of what is heard of it, by the overlap of the window.
            "to_correlation": band[:heard, None] * cosines * (2 / self.n_fft * overlap[0] / overlap[: len(lags)]),
            "state_lags": sample_rate / f0,
            "octave_cost": _OCTAVE_COST * torch.log2(CEILING_HZ / f0),
            "jump_cost": _JUMP_COST * jump,
        }.items():
            self.register_buffer(name, value.float(), persistent=False)
        self.voicing = load_voicing(sample_rate, self.n_fft)

    def init_state(self, batch: int) -> State:
        """Nothing heard yet: all paths equal, ``score`` ``[batch, states]``."""
        score = self.window.new_zeros(batch, len(self.state_lags))
        return {"score": score, "voicing": self.voicing.init_state(batch)}

    def step(self, power: Tensor, state: State) -> Tensor:
        """The F0 of each row of the spectra ``power``: Hz, 0 where unvoiced, ``[B, F]``."""
        f0, strength = self.track(power, state["score"])
        is_voiced = self.voicing.step(self.voicing.bands(power), strength, f0, state["voicing"]) > 0
        return torch.where(is_voiced, f0, torch.zeros_like(f0))

    def track(self, power: Tensor, score: Tensor) -> tuple[Tensor, Tensor]:
        """F0 as if all rows of the spectra ``power`` were voiced, and strength of that period, ``[B, F]`` each."""
        # float64: a chunk or a batch must not move the last bit of what becomes F0.
        products = power[..., : len(self.to_correlation)].double() @ self.to_correlation.double()
        correlation = (products / (products[..., :1] + 1e-9)).to(power.dtype)
        observed = lerp(correlation, self.state_lags) - self.octave_cost
        path = torch.stack([self._advance(score, row) for row in observed.unbind(dim=1)], dim=1)
        return self._refine(correlation, path)

    def _advance(self, score: Tensor, observed: Tensor) -> Tensor:
        padded = nn.functional.pad(score, (_JUMP, _JUMP), value=-1e3)
        moved = (padded.unfold(1, 2 * _JUMP + 1, 1) - self.jump_cost).amax(dim=-1)
        joined = observed + moved.clamp(min=-_RESTART_COST)
        # Only differences matter: the best path stands at 0.
        score.copy_(joined - joined.amax(dim=1, keepdim=True))
        return joined.argmax(dim=1)

    def _refine(self, correlation: Tensor, path: Tensor) -> tuple[Tensor, Tensor]:
        lag = self.state_lags[path].round().long()
        near = torch.arange(-1, 2, device=lag.device)
        best = correlation.gather(-1, lag.unsqueeze(-1) + near).argmax(-1, keepdim=True)
        centre = lag.unsqueeze(-1) + best - 1
        before, at, after = correlation.gather(-1, centre + near).unbind(-1)
        curvature = (before - 2 * at + after).clamp(max=-1e-9)
        period = centre.squeeze(-1) + (0.5 * (before - after) / curvature).clamp(-1, 1)
        return (self.sample_rate / period).clamp(FLOOR_HZ, CEILING_HZ), at.clamp(0, 1)


def octaves(f0: Tensor) -> Tensor:
    """F0 as networks are given it: octaves above 160 Hz, 0 where unvoiced."""
    return torch.log2(f0 / 160 + (f0 <= 0))


def semitones(count: float) -> float:
    """Natural log of the frequency ratio of ``count`` semitones."""
    return count * math.log(2) / 12
