"""The network that looks for the speaker in the content, and is thrown away after training."""

import torch
from torch import Tensor, nn

from rtc_voice.synthesis.content import CONTENT

_EMBEDDING = 256


class SpeakerCritic(nn.Module):
    """Guesses from content in which way the speaker is not typical, so that the encoder learns to hide it."""

    def __init__(self) -> None:
        super().__init__()
        self.rows = nn.Sequential(nn.Conv1d(CONTENT, 128, 5), nn.ReLU(), nn.Conv1d(128, 128, 5), nn.ReLU())
        self.voice = nn.Linear(256, _EMBEDDING)

    def forward(self, content: Tensor) -> Tensor:
        """Unit vectors ``[B, 256]`` of content ``[B, F, CONTENT]``."""
        rows = self.rows(content.transpose(1, 2))
        return nn.functional.normalize(self.voice(torch.cat([rows.mean(dim=-1), rows.std(dim=-1)], dim=-1)), dim=-1)
