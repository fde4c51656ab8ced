"""At what mean F0 somebody speaks, told from the little that was heard of them so far."""

import math
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from rtc_voice.speech.analysis import Features
from rtc_voice.speech.envelope import HEARD_BANDS
from rtc_voice.speech.interpolation import between
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
        zeros = self.out.weight.new_zeros
        return {"rows": zeros(batch, 1), "means": zeros(batch, 2 + HEARD_BANDS)}

    def known(self, f0_hz: float, f0_range_semitones: float, rows: float) -> State:
        """One row of state as after ``rows`` voiced rows of a speaker with that mean and range, envelope unknown."""
        state = self.init_state(1)
        mean = math.log(f0_hz / AVERAGE_F0_HZ)
        state["rows"].fill_(rows)
        state["means"][:, 0] = mean
        state["means"][:, 1] = mean**2 + semitones(f0_range_semitones) ** 2
        return state

    def step(self, features: Features, state: State) -> tuple[Tensor, Tensor]:
        """Mean and deviation of log F0 as known at each row, ``[B, F]`` each, float64; ``state`` moves in place."""
        pitch, shape = self.figures_of(features.f0, features.envelope)
        new = (features.f0 > 0).to(pitch.dtype).unsqueeze(-1)
        figures = torch.cat([pitch, pitch**2, shape], dim=-1)
        seen = [_follow(*now, state) for now in zip(figures.unbind(dim=1), new.unbind(dim=1), strict=True)]
        rows, means = (torch.stack(parts, dim=1) for parts in zip(*seen, strict=True))
        mean, square, envelope = torch.split(means, [1, 1, HEARD_BANDS], dim=-1)
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
        return between(mean.double(), 0.4 * size, share)


def _follow(figures: Tensor, new: Tensor, state: State) -> tuple[Tensor, Tensor]:
    """Rows heard and running means of pitch, its square and the envelope, with one more row if it is ``new``, voiced.

    Args:
        figures: of the row, ``[B, 2 + HEARD_BANDS]``.
        new: 1 where voiced, 0 where not, ``[B, 1]``.
        state: moved in place.
    """
    rows = (state["rows"] + new).clamp(max=MEMORY_ROWS)
    means = between(state["means"], figures, new / rows.clamp(min=1))
    state["rows"].copy_(rows)
    state["means"].copy_(means)
    return rows, means


def load_speaker_pitch(weights: Path = WEIGHTS) -> SpeakerPitch:
    """The network with its shipped weights."""
    network = SpeakerPitch()
    network.load_state_dict(load_file(weights))
    return network.eval().requires_grad_(False)
