"""At what mean F0 somebody speaks, told from the little that was heard of them so far."""

import math
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from rtc_voice.speech.analysis import Features
from rtc_voice.speech.envelope import HEARD_BANDS
from rtc_voice.speech.pitch import FLOOR_HZ, semitones
from rtc_voice.speech.precision import linear64
from rtc_voice.speech.streaming import State

WEIGHTS = Path(__file__).parents[1] / "assets" / "speaker_pitch.safetensors"
AVERAGE_F0_HZ = 159.0  # between men and women
TYPICAL_RANGE = semitones(2.5)  # nepers, before the speaker's own is known
MEMORY_ROWS = 1000.0  # voiced rows (10 s) after which the past begins to fade
_TYPICAL_ROWS = 12.0  # voiced rows that the typical range is worth
_GUESS_ROWS = 30.0  # voiced rows after which the running mean counts as much as the network
_FIGURES = 5  # beside the envelope
_HIDDEN = 48


class SpeakerPitch(nn.Module):
    """Running mean and range of log F0, the mean corrected for how people begin.

    A plain running mean is 1.4 semitones off over the first five seconds: sentences begin four semitones above the
    speaker's mean, and the first guess knows nothing of them. This small network sees the mean envelope as well, whose
    formants tell large from small speakers, and is 0.8 off; what it says fades as the running mean becomes sure.
    """

    def __init__(self) -> None:
        super().__init__()
        self.hidden, self.out = nn.Linear(_FIGURES + HEARD_BANDS, _HIDDEN), nn.Linear(_HIDDEN, 2)

    def init_state(self, batch: int) -> State:
        """Nobody heard yet."""
        row = self.out.weight.new_zeros(batch, 1)
        return {"rows": row, "mean": row.clone(), "square": row.clone(), "envelope": row.repeat(1, HEARD_BANDS)}

    def known(self, f0_hz: float, f0_range_semitones: float, rows: float) -> State:
        """One row of state as after ``rows`` voiced rows of a speaker with that mean and range, envelope unknown."""
        state = self.init_state(1)
        mean = math.log(f0_hz / AVERAGE_F0_HZ)
        for name, value in {"rows": rows, "mean": mean, "square": mean**2 + semitones(f0_range_semitones) ** 2}.items():
            state[name].fill_(value)
        return state

    def step(self, features: Features, state: State) -> tuple[Tensor, Tensor]:
        """Mean and deviation of log F0 as known at each row, ``[B, F]`` each, float64; ``state`` moves in place."""
        pitch, shape = self.figures_of(features.f0, features.envelope)
        seen = [
            self._follow(pitch[:, i], features.f0[:, i : i + 1] > 0, shape[:, i], state) for i in range(pitch.shape[1])
        ]
        rows, mean, square, envelope = (torch.stack(parts, dim=1) for parts in zip(*seen, strict=True))
        variance = (square - mean**2).clamp(min=0)
        mean_now = self.guess(pitch, rows, mean, variance.sqrt(), envelope).squeeze(-1)
        blended = (_TYPICAL_ROWS * TYPICAL_RANGE**2 + (rows * variance).double()) / (_TYPICAL_ROWS + rows)
        return mean_now + math.log(AVERAGE_F0_HZ), blended.sqrt().squeeze(-1)

    @staticmethod
    def figures_of(f0: Tensor, envelope: Tensor) -> tuple[Tensor, Tensor]:
        """Pitch over the average ``[..., 1]`` and shape of the envelope ``[..., HEARD_BANDS]`` of each row."""
        shape = envelope[..., :HEARD_BANDS].double()
        pitch = torch.log(f0.double().clamp(min=FLOOR_HZ) / AVERAGE_F0_HZ).unsqueeze(-1)
        return pitch.to(f0.dtype), (shape - shape.mean(dim=-1, keepdim=True)).to(envelope.dtype)

    def guess(self, pitch: Tensor, rows: Tensor, mean: Tensor, spread: Tensor, envelope: Tensor) -> Tensor:
        """The speaker's mean of log F0 over the average, ``[..., 1]``, float64.

        Args:
            pitch: log F0 over the average now, ``[..., 1]``.
            rows: voiced rows heard, ``[..., 1]``.
            mean: of their pitch, ``[..., 1]``.
            spread: standard deviation of their pitch, ``[..., 1]``.
            envelope: mean of their log envelopes less each one's mean, ``[..., HEARD_BANDS]``.
        """
        figures = [mean, spread, pitch, torch.log(rows.double().clamp(min=1)) / 5, 10 / (rows + 10), 0.3 * envelope]
        hidden = torch.relu(linear64(torch.cat(figures, dim=-1), self.hidden))
        trust, size = linear64(hidden, self.out).chunk(2, dim=-1)
        share = torch.sigmoid(trust) * _GUESS_ROWS / (rows + _GUESS_ROWS)
        return torch.lerp(mean.double(), 0.4 * size, share)

    def _follow(self, pitch: Tensor, is_voiced: Tensor, shape: Tensor, state: State) -> tuple[Tensor, ...]:
        new = is_voiced.to(pitch.dtype)
        rows = (state["rows"] + new).clamp(max=MEMORY_ROWS)
        share = new / rows.clamp(min=1)
        state["rows"].copy_(rows)
        for name, value in {"mean": pitch, "square": pitch**2, "envelope": shape}.items():
            state[name].lerp_(value, share)
        return tuple(state[name].clone() for name in ("rows", "mean", "square", "envelope"))


def load_speaker_pitch(weights: Path = WEIGHTS) -> SpeakerPitch:
    """The network with its shipped weights."""
    network = SpeakerPitch()
    network.load_state_dict(load_file(weights))
    return network.eval().requires_grad_(False)
