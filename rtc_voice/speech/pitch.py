"""F0 and voicing of live speech, from the past only."""

import math

import torch
from torch import Tensor, nn

from rtc_voice.speech.interpolation import lerp
from rtc_voice.speech.streaming import State

FLOOR_HZ, CEILING_HZ = 60.0, 500.0
_STATES_PER_OCTAVE = 48
_JUMP = 12  # states that F0 may move in one hop: a quarter of an octave
_UNVOICED_STRENGTH = 0.45  # Praat's voicing threshold
_SILENCE = 0.02  # amplitude, relative to the running peak, below which nothing is voiced
_OCTAVE_COST = 0.02  # favours the higher of two candidates an octave apart
_JUMP_COST = 0.9  # per octave of movement in one hop
_TOGGLE_COST = 0.12  # between voiced and unvoiced
_PEAK_DECAY = 0.995  # of the running peak, per hop: halves in 1.4 s


class PitchTracker(nn.Module):
    """F0 of each frame: autocorrelation candidates, then the best path so far.

    Candidates are the window-corrected autocorrelation of Boersma 1993, "Accurate short-term analysis of the
    fundamental frequency and the harmonics-to-noise ratio of a sampled sound" (the method of Praat), taken below 2 kHz.
    The path is the forward pass of Viterbi's algorithm over log-spaced F0 states and one unvoiced state; as there is no
    trace back, nothing is waited for.
    """

    window: Tensor
    lag_gain: Tensor
    band: Tensor
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
        longest = math.ceil(sample_rate / FLOOR_HZ) + 3
        for name, value in {
            "window": window,
            "lag_gain": overlap[0] / overlap[:longest],
            "band": 0.5 - 0.5 * torch.tanh((hz - 2000) / 300),
            "state_lags": sample_rate / f0,
            "octave_cost": _OCTAVE_COST * torch.log2(CEILING_HZ / f0),
            "jump_cost": _JUMP_COST * jump,
        }.items():
            self.register_buffer(name, value.float(), persistent=False)

    def init_state(self, batch: int) -> State:
        """Nothing heard yet: all paths equal, ``score`` ``[batch, states + 1]`` (the last one is unvoiced)."""
        score = self.window.new_zeros(batch, len(self.state_lags) + 1)
        return {"score": score, "peak": self.window.new_full((batch, 1), 1e-3)}

    def step(self, frames: Tensor, state: State) -> tuple[Tensor, Tensor]:
        """The F0 of each frame.

        Args:
            frames: ``[B, F, frame]``, one row a hop.
            state: moved in place.

        Returns:
            F0 in Hz, 0 where unvoiced, and strength of the periodicity in [0, 1], each ``[B, F]``.
        """
        correlation = self._autocorrelation(frames)
        observed = lerp(correlation, self.state_lags) - self.octave_cost
        level = frames.abs().amax(dim=-1)
        path = []
        for i in range(frames.shape[1]):
            peak = torch.maximum(state["peak"] * _PEAK_DECAY, level[:, i : i + 1])
            state["peak"].copy_(peak)
            unvoiced = _UNVOICED_STRENGTH + (1 - level[:, i : i + 1] / (_SILENCE * peak)).clamp(min=0)
            path.append(self._advance(state["score"], observed[:, i], unvoiced))
        return self._refine(correlation, torch.stack(path, dim=1))

    def _autocorrelation(self, frames: Tensor) -> Tensor:
        centred = (frames - frames.mean(dim=-1, keepdim=True)) * self.window
        spectrum = torch.fft.rfft(centred, self.n_fft)
        power = (spectrum.real**2 + spectrum.imag**2) * self.band
        correlation = torch.fft.irfft(power, self.n_fft)[..., : len(self.lag_gain)]
        normalised: Tensor = correlation / (correlation[..., :1] + 1e-9) * self.lag_gain
        return normalised

    def _advance(self, score: Tensor, observed: Tensor, unvoiced: Tensor) -> Tensor:
        voiced_before, unvoiced_before = score[:, :-1], score[:, -1:]
        padded = nn.functional.pad(voiced_before, (_JUMP, _JUMP), value=-1e3)
        moved = (padded.unfold(1, 2 * _JUMP + 1, 1) - self.jump_cost).amax(dim=-1)
        voiced = observed + torch.maximum(moved, unvoiced_before - _TOGGLE_COST)
        silent = unvoiced + torch.maximum(unvoiced_before, voiced_before.amax(1, keepdim=True) - _TOGGLE_COST)
        joined = torch.cat([voiced, silent], dim=1)
        # Only differences matter; anchored at 0 and bounded below so that old evidence never drowns new.
        score.copy_((joined - joined.amax(dim=1, keepdim=True)).clamp(min=-2.0))
        return joined.argmax(dim=1)

    def _refine(self, correlation: Tensor, path: Tensor) -> tuple[Tensor, Tensor]:
        is_voiced = path < len(self.state_lags)
        lag = self.state_lags[path.clamp(max=len(self.state_lags) - 1)].round().long()
        near = torch.arange(-1, 2, device=lag.device)
        best = correlation.gather(-1, lag.unsqueeze(-1) + near).argmax(-1, keepdim=True)
        centre = lag.unsqueeze(-1) + best - 1
        before, at, after = correlation.gather(-1, centre + near).unbind(-1)
        curvature = (before - 2 * at + after).clamp(max=-1e-9)
        period = centre.squeeze(-1) + (0.5 * (before - after) / curvature).clamp(-1, 1)
        f0 = (self.sample_rate / period).clamp(FLOOR_HZ, CEILING_HZ)
        return torch.where(is_voiced, f0, torch.zeros_like(f0)), at.clamp(0, 1)


def semitones(count: float) -> float:
    """Natural log of the frequency ratio of ``count`` semitones."""
    return count * math.log(2) / 12
