"""The share of noise in each band, without what only moving pitch put there."""

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from rtc_voice.speech.envelope import APERIODICITY_EDGES_HZ
from rtc_voice.speech.streaming import slide

WEIGHTS = Path(__file__).parents[1] / "assets" / "aperiodicity.safetensors"
_SHARES = len(APERIODICITY_EDGES_HZ) - 1
_ROWS = 4  # that one judgement sees: pitch movement takes two at least
_HIDDEN = 48


class AperiodicityCorrection(nn.Module):
    """True shares of noise from measured ones and the course of F0.

    A gliding voice resembles itself less from period to period, the less the higher the band: measured on purely
    harmonic sound along the F0 of real speech, the shares come out at 0.1 (lowest band) to 0.8 (highest). This small
    network is trained on the synthesiser's own sound, whose true shares are known (training/train_aperiodicity.py).
    """

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(_ROWS * (_SHARES + 1), _HIDDEN),
            nn.ReLU(),
            nn.Linear(_HIDDEN, _HIDDEN),
            nn.ReLU(),
            nn.Linear(_HIDDEN, _SHARES),
        )

    def init_state(self, batch: int) -> Tensor:
        """Rows of silence, ``[batch, shares + 1, rows]``."""
        like = next(self.parameters())
        return torch.cat([like.new_ones(batch, _SHARES, _ROWS - 1), like.new_zeros(batch, 1, _ROWS - 1)], dim=1)

    def step(self, measured: Tensor, f0: Tensor, history: Tensor) -> Tensor:
        """Corrected shares ``[B, F, shares]``, 1 where unvoiced; ``history`` moves in place."""
        rows = torch.cat([measured, f0.unsqueeze(-1)], dim=-1).transpose(1, 2)
        seen = slide(history, rows).unfold(-1, _ROWS, 1).transpose(1, 2)
        now = f0.clamp(min=1).unsqueeze(-1)
        before = seen[:, :, -1]
        # A semitone between rows counts as 1; an unvoiced row as no movement.
        glide = torch.where(before > 0, torch.log2(before.clamp(min=1) / now) * 12, torch.zeros_like(before)).clamp(
            -4, 4
        )
        level = torch.log2(now / 160)
        shares = seen[:, :, :-1].flatten(2)
        noise = torch.sigmoid(self.layers(torch.cat([shares, glide[..., :-1], level], dim=-1)))
        return torch.where(f0.unsqueeze(-1) > 0, noise, torch.ones_like(noise))


def load_correction(weights: Path = WEIGHTS) -> AperiodicityCorrection:
    """The network with its shipped weights."""
    correction = AperiodicityCorrection()
    correction.load_state_dict(load_file(weights))
    return correction.eval().requires_grad_(False)
