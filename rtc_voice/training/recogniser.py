"""Which phone is said in each row: a network that hears it, and where in a recording each of its phones lies."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from rtc_voice.speech.analysis import Features
from rtc_voice.speech.envelope import HEARD_BANDS, level

SILENCE, UNKNOWN = 0, -1  # numbers of rows without a phone, and of rows with one that has no number
_CHANNELS = 192
_DILATIONS = (1, 2, 4, 1, 2, 4)
_LOUD = 0.9  # quantile of the levels that all others are relative to
_UNLIKELY = -3.0  # log probability of a phone that has no number


class Recogniser(nn.Module):
    """Features ``[B, F]`` to the log odds of the phones ``[B, F, phones]``; knows 150 ms of past and of future.

    Args:
        phones: how many, silence among them.
    """

    def __init__(self, phones: int) -> None:
        super().__init__()
        self.enter = nn.Conv1d(HEARD_BANDS + 1, _CHANNELS, 3, padding=1)
        self.layers = nn.ModuleList(
            nn.Sequential(
                nn.GroupNorm(1, _CHANNELS),
                nn.Conv1d(_CHANNELS, _CHANNELS, 3, padding=dilation, dilation=dilation),
                nn.GELU(),
                nn.Dropout(0.1),
            )
            for dilation in _DILATIONS
        )
        self.out = nn.Conv1d(_CHANNELS, phones, 1)

    def forward(self, features: Features) -> Tensor:
        """Of speech of any level, by its envelope and by whether it is voiced."""
        heard = features.envelope[..., :HEARD_BANDS]
        loud = torch.quantile(level(heard), _LOUD, dim=1, keepdim=True).unsqueeze(-1)
        shape = (heard - loud).clamp(-6, 3) / 2 + 1
        voiced = (features.f0 > 0).to(shape.dtype).unsqueeze(-1)
        x = self.enter(torch.cat([shape, voiced], dim=-1).transpose(1, 2))
        for layer in self.layers:
            x = x + layer(x)
        found: Tensor = self.out(x).transpose(1, 2)
        return found


@dataclass(frozen=True, slots=True)
class Said:
    """The phones of one recording in their order."""

    phones: Sequence[int]  # numbers, UNKNOWN for those that have none
    ends_word: Sequence[bool]  # whether silence may follow
    rows: Sequence[int]  # about where each is


def around(said: Said, rows: int, reach: int = 10) -> NDArray[np.int64]:
    """The phone of each row ``[rows]`` if each reaches half-way to its neighbours, and no further than ``reach``."""
    labels = np.full(rows, UNKNOWN, np.int64)
    middles = [(a + b) // 2 for a, b in zip(said.rows, said.rows[1:], strict=False)]
    for phone, at, first, last in zip(said.phones, said.rows, [0, *middles], [*middles, rows], strict=True):
        labels[max(first, at - reach) : min(last, at + reach)] = phone
    return labels


def aligned(log_probabilities: NDArray[np.float32], said: Said) -> NDArray[np.int64] | None:
    """The phone of each row ``[F]`` on the likeliest way through ``said``; None where there are more phones than rows.

    Viterbi's way through a hidden Markov model without memory of durations; words may have silence between them
    (Rabiner 1989, https://doi.org/10.1109/5.18626).

    Args:
        log_probabilities: of the phones in each row, ``[F, phones]``.
        said: what is known to be said.
    """
    if len(log_probabilities) < len(said.phones):
        return None
    states = [SILENCE]
    for phone, ends_word in zip(said.phones, said.ends_word, strict=True):
        states += [phone, SILENCE] if ends_word else [phone]
    order = np.array(states)
    fits = np.where(order == UNKNOWN, _UNLIKELY, log_probabilities[:, np.maximum(order, 0)]).astype(np.float64)
    leaps = np.concatenate([[False, False], order[1:-1] == SILENCE])  # over the silence before
    total = np.full(len(order), -np.inf)
    total[:2] = fits[0, :2]  # speech may begin at once
    steps = np.zeros(fits.shape, np.int64)
    for row in range(1, len(fits)):
        padded = np.concatenate([[-np.inf, -np.inf], total])
        ways = np.stack([total, padded[1:-1], np.where(leaps, padded[:-2], -np.inf)])
        steps[row] = ways.argmax(axis=0)
        total = ways.max(axis=0) + fits[row]
    state = len(order) - 1
    if order[state] == SILENCE and total[state - 1] > total[state]:
        state -= 1
    path = np.zeros(len(fits), np.int64)
    for row in range(len(fits) - 1, -1, -1):
        path[row] = order[state]
        state -= steps[row, state]
    return path
