"""The same sentences by the voice of the text to speech and by others, row by row."""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rtc_voice.synthesis.content import LOOKAHEAD_ROWS, ContentEncoder
from rtc_voice.training.segments import Place, Segments
from rtc_voice.training.voice_data import VoiceSet, to_features

_TYPED = "speech_hibari"  # the set whose voice says all that is typed
_SIDESTEP = 0.1  # of the content's distance, for a row that the other voice does not have


class ParallelSpeech:
    """Pairs of recordings of one sentence, and which row of the first says what each row of the second says.

    Found by dynamic time warping (Sakoe and Chiba 1978) of the content, as far as the encoder hears it by now.
    """

    def __init__(self, voices: VoiceSet, segments: Segments, encoder: ContentEncoder) -> None:
        self._device = segments.device
        self.pairs = np.array(list(_same_text(voices, segments)), dtype=np.int64).reshape(-1, 2)
        content = {int(i): _content(voices, segments.chosen[i], encoder) for i in np.unique(self.pairs)}
        self._rows = [_warped(content[int(typed)], content[int(spoken)]) for typed, spoken in self.pairs]

    def has(self, rows: int) -> bool:
        """Whether any pair is longer than ``rows``."""
        return any(len(path) > rows for path in self._rows)

    def draw(self, count: int, rows: int, heard: int, rng: np.random.Generator) -> tuple[Place, Place, Tensor]:
        """Segments of a sentence spoken, and of the same typed.

        Args:
            count: pairs.
            rows: of what was spoken.
            heard: rows of what was typed; they begin some rows before, from which the encoder learns the level.
            rng: of the choice.

        Returns:
            The places of what was typed and of what was spoken; for each row of the latter the row of the former's
            segment that says the same, ``[count, rows]``.
        """
        long_enough = [n for n, path in enumerate(self._rows) if len(path) > rows]
        drawn, starts, firsts, paths = rng.choice(long_enough, count), [], [], []
        for number in drawn:
            path = self._rows[number]
            start = int(rng.integers(len(path) - rows))
            part = path[start : start + rows]
            first = max(0, min(int(part[0]) - (heard - int(part[-1] - part[0])) // 2, int(path[-1]) + 1 - heard))
            starts.append(start)
            firsts.append(first)
            paths.append((part - first).clip(0, heard - 1))
        typed, spoken = self.pairs[drawn].T
        at = torch.from_numpy(np.stack(paths)).to(self._device)
        return self._place(typed, firsts), self._place(spoken, starts), at

    def _place(self, recordings: NDArray[np.int64], starts: list[int]) -> Place:
        return Place(torch.from_numpy(recordings).to(self._device), torch.tensor(starts, device=self._device))


def _same_text(voices: VoiceSet, segments: Segments) -> Iterator[tuple[int, int]]:
    """Typed and spoken, as ``segments`` counts them."""
    entries = [voices.entries[i] for i in segments.chosen]
    typed = {entry.text: i for i, entry in enumerate(entries) if entry.source == _TYPED}
    for i, entry in enumerate(entries):
        if entry.source != _TYPED and entry.text in typed:
            yield typed[entry.text], i


@torch.no_grad()
def _content(voices: VoiceSet, recording: int, encoder: ContentEncoder) -> Tensor:
    """What is said in each row, ``[F, CONTENT]``."""
    rows = torch.from_numpy(voices.features(recording, 0, voices.entries[recording].rows)).unsqueeze(0)
    heard = to_features(rows.to(encoder.out.weight))
    return encoder.step(heard, encoder.init_state(1))[0, LOOKAHEAD_ROWS:].cpu()


def _warped(typed: Tensor, spoken: Tensor) -> NDArray[np.int64]:
    """For each row of ``spoken`` the row of ``typed`` that the cheapest path pairs it with, ``[rows of spoken]``."""
    cost = torch.cdist(spoken, typed).double().numpy()
    aside = _SIDESTEP * cost.mean()
    total = np.full((len(spoken) + 1, len(typed) + 1), np.inf)
    total[0, 0] = 0
    for diagonal in range(2, sum(total.shape) - 1):  # all cells of one depend on the two before only
        row = np.arange(max(1, diagonal - len(typed)), min(len(spoken), diagonal - 1) + 1)
        column = diagonal - row
        before = np.minimum(total[row - 1, column], total[row, column - 1]) + aside
        total[row, column] = cost[row - 1, column - 1] + np.minimum(total[row - 1, column - 1], before)
    path, i, j = np.zeros(len(spoken), np.int64), len(spoken), len(typed)
    while i:
        path[i - 1] = j - 1
        steps = (total[i - 1, j - 1], total[i - 1, j] + aside, total[i, j - 1] + aside)
        step = int(np.argmin(steps))
        i, j = i - (step != 2), j - (step != 1)
    return path
