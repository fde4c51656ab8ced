"""Whether a voice sounds in a frame, or only noise that happens to repeat itself."""

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from rtc_voice.speech.precision import linear64
from rtc_voice.speech.streaming import State, slide

WEIGHTS = Path(__file__).parents[1] / "assets" / "voicing.safetensors"
_EDGES_HZ = (20, 80, 160, 320, 640, 1000, 1500, 2200, 3200, 4600, 6500, 9000, 12_000)
_BANDS = len(_EDGES_HZ) - 1
_FIGURES = _BANDS + 2
_ROWS = 4  # that one judgement sees
_HIDDEN = 32
_PEAK_DECAY = 0.99  # of the running peak of power, per hop: halves in 0.7 s
_FLOOR = 1e-8  # of that peak
_SILENCE = 1e-7  # power below which nothing counts as a peak


class Voicing(nn.Module):
    """Voiced or not, from the strength of the periodicity and the power in bands of the last rows.

    The strength alone, compared with a threshold as in Praat, takes the rumble of recordings for a voice, and half
    of their breath and fricatives. This network of 3,000 weights learnt from SwiftF0 (Nieradzik 2025,
    https://arxiv.org/abs/2508.18440), which sees far more of the sound, in added noise (training/train_voicing.py).
    """

    membership: Tensor

    def __init__(self, sample_rate: int, n_fft: int) -> None:
        super().__init__()
        hz = torch.arange(n_fft // 2 + 1) * (sample_rate / n_fft)
        edges = torch.tensor(_EDGES_HZ).unsqueeze(-1)
        self.register_buffer("membership", ((hz >= edges[:-1]) & (hz < edges[1:])).T.float(), persistent=False)
        self.enter, self.hidden = nn.Linear(_ROWS * _FIGURES, _HIDDEN), nn.Linear(_HIDDEN, _HIDDEN)
        self.out = nn.Linear(_HIDDEN, 1)

    def init_state(self, batch: int) -> State:
        """Silence so far."""
        row = self.membership.new_zeros(batch, 1)
        return {"peak": row + _SILENCE, "rows": row.unsqueeze(-1).repeat(1, _FIGURES, _ROWS - 1)}

    def bands(self, power: Tensor) -> Tensor:
        """Power in each band ``[B, F, BANDS]`` of spectra ``[B, F, n_fft // 2 + 1]``."""
        return power @ self.membership

    def step(self, bands: Tensor, strength: Tensor, f0: Tensor, state: State) -> Tensor:
        """Whether each row is voiced.

        Args:
            bands: power in each, ``[B, F, BANDS]``.
            strength: of the periodicity, in [0, 1], ``[B, F]``.
            f0: Hz of that period, ``[B, F]``.
            state: moved in place.

        Returns:
            Log odds, ``[B, F]``.
        """
        peaks = []
        for now in bands.sum(dim=-1, keepdim=True).unbind(dim=1):
            state["peak"].copy_(torch.maximum(state["peak"] * _PEAK_DECAY, now))
            peaks.append(state["peak"].clone())
        relative = torch.log10(bands / torch.stack(peaks, dim=1) + _FLOOR) / 4 + 1
        figures = torch.cat([relative, strength.unsqueeze(-1), torch.log2(f0 / 160).unsqueeze(-1)], dim=-1)
        seen = slide(state["rows"], figures.transpose(1, 2)).unfold(-1, _ROWS, 1).transpose(1, 2)
        hidden = torch.relu(linear64(torch.relu(linear64(seen.flatten(2), self.enter)), self.hidden))
        return linear64(hidden, self.out).squeeze(-1)


def load_voicing(sample_rate: int, n_fft: int, weights: Path = WEIGHTS) -> Voicing:
    """The network with its shipped weights."""
    network = Voicing(sample_rate, n_fft)
    network.load_state_dict(load_file(weights))
    return network.eval().requires_grad_(False)
