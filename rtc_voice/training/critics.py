"""Networks that judge others in training and are thrown away after it."""

import torch
from torch import Tensor, nn

from rtc_voice.speech.analysis import Features
from rtc_voice.speech.envelope import level
from rtc_voice.synthesis.content import CONTENT, HEARD_BANDS

_EMBEDDING = 256


class SpeakerCritic(nn.Module):
    """Guesses from content in which way the speaker is not typical, so that the encoder learns to hide it."""

    def __init__(self) -> None:
        super().__init__()
        self.rows = nn.Sequential(nn.Conv1d(CONTENT, 128, 5), nn.ReLU(), nn.Conv1d(128, 128, 5), nn.ReLU())
        self.voice = nn.Linear(256, _EMBEDDING)

    def forward(self, content: Tensor) -> Tensor:
        """Unit vectors ``[B, 256]`` of content ``[B, CONTENT, F]``."""
        rows = self.rows(content)
        return nn.functional.normalize(self.voice(torch.cat([rows.mean(dim=-1), rows.std(dim=-1)], dim=-1)), dim=-1)


class VoiceCritic(nn.Module):
    """Says whether features are a recording of this voice: neither made up nor somebody else's.

    A projection discriminator (Miyato and Koyama 2018, https://arxiv.org/abs/1802.05637) over envelope and F0.
    """

    def __init__(self, channels: int = 160) -> None:
        super().__init__()
        sizes = [HEARD_BANDS + 3, channels, channels, channels, channels]
        dilations = (1, 1, 2, 4)
        self.rows = nn.ModuleList(
            nn.Conv1d(a, b, 5, dilation=d) for a, b, d in zip(sizes[:-1], sizes[1:], dilations, strict=True)
        )
        self.real = nn.Conv1d(channels, 1, 1)
        self.pooled = nn.Linear(2 * channels, channels)
        self.voice = nn.Linear(_EMBEDDING, channels, bias=False)
        self.bias = nn.Linear(channels, 1)

    def forward(self, features: Features, embedding: Tensor) -> tuple[Tensor, Tensor]:
        """Positive for real: of each row ``[B, 1, F]``, and of the whole in this voice ``[B, 1]``."""
        heard = features.envelope[..., :HEARD_BANDS].clamp(min=-7.5)
        loudness = level(heard).unsqueeze(-1)
        voiced = (features.f0 > 0).to(heard.dtype)
        pitch = voiced * torch.log2(features.f0.clamp(min=1) / 160)
        x = torch.cat([heard - loudness, loudness / 2 + 2, torch.stack([voiced, pitch], dim=-1)], dim=-1).transpose(
            1, 2
        )
        for layer in self.rows:
            x = nn.functional.leaky_relu(layer(x), 0.2)
        pooled = self.pooled(torch.cat([x.mean(dim=-1), x.std(dim=-1)], dim=-1))
        match = (self.voice(embedding * 16) * pooled).mean(dim=-1, keepdim=True)
        return self.real(x), match + self.bias(nn.functional.leaky_relu(pooled, 0.2))


def hinge(real: tuple[Tensor, Tensor], false: tuple[Tensor, Tensor], wrong: Tensor) -> Tensor:
    """What a critic minimises: ``false`` is made up; ``wrong`` a recording matched with another's voice."""
    rows = torch.relu(1 - real[0]).mean() + torch.relu(1 + false[0]).mean()
    whole = torch.relu(1 - real[1]).mean() + 0.5 * (torch.relu(1 + false[1]).mean() + torch.relu(1 + wrong).mean())
    return rows + whole
