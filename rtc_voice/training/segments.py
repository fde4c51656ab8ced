"""Segments of a voice set, drawn at random, on the device that learns from them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from rtc_voice.config import AUDIO
from rtc_voice.speech.analysis import Features
from rtc_voice.speech.speaker_pitch import AVERAGE_F0_HZ
from rtc_voice.training.voice_data import VoiceSet, to_features


@dataclass(frozen=True, slots=True)
class Place:
    """Where segments are: recordings ``[B]``, as ``Segments`` counts them, and their first rows ``[B]``."""

    recording: Tensor
    start: Tensor

    def tail(self, count: int) -> "Place":
        """The last ``count`` of them."""
        return Place(self.recording[-count:], self.start[-count:])


class Segments:
    """Some recordings of a voice set. On a CPU they stay in their files; a GPU gets all of them at once."""

    def __init__(self, voices: VoiceSet, chosen: Sequence[int], device: torch.device) -> None:
        self.device, self.chosen = device, list(chosen)
        entries = [voices.entries[i] for i in self.chosen]
        self._rows = torch.from_numpy(voices.rows).to(device)
        self._hops = torch.from_numpy(voices.sound).to(device).view(-1, AUDIO.hop)
        self._first = torch.tensor([entry.first_row for entry in entries], device=device)
        self.counts = np.array([entry.rows for entry in entries])
        self.embeddings = torch.from_numpy(voices.embeddings[self.chosen]).to(device)  # ``[recordings, 256]``
        self.tracts = torch.tensor([[entry.tract] for entry in entries], dtype=torch.float32, device=device)
        self.band_hz = torch.tensor([entry.band_hz for entry in entries], device=device)
        f0 = [voices.rows[entry.first_row : entry.first_row + entry.rows, -1].astype(np.float64) for entry in entries]
        means = [np.log(hz[hz > 0]).mean() if (hz > 0).any() else np.log(AVERAGE_F0_HZ) for hz in f0]
        # Natural logs of the geometric mean F0; an average voice's where a recording has none.
        self.log_f0 = torch.tensor(means, dtype=torch.float32, device=device).unsqueeze(1)

    def draw(self, count: int, rows: int, rng: np.random.Generator) -> Place:
        """``count`` places of ``rows`` rows."""
        picked = rng.choice(np.flatnonzero(self.counts > rows), count)
        starts = rng.integers(self.counts[picked] - rows)
        return Place(torch.from_numpy(picked).to(self.device), torch.from_numpy(starts).to(self.device))

    def numbers(self, at: Place, rows: int) -> Tensor:
        """The numbers of those rows in the set, ``[B, rows]``."""
        first = self._first[at.recording] + at.start
        numbers: Tensor = first.unsqueeze(1) + torch.arange(rows, device=self.device)
        return numbers.clamp(max=len(self._rows) - 1)  # a segment may reach beyond the last recording

    def features(self, at: Place, rows: int) -> Features:
        """``rows`` rows from each place on, ``[B, rows]``."""
        return to_features(self._rows[self.numbers(at, rows)].float())

    def sound(self, at: Place, rows: int) -> Tensor:
        """The sound that goes with them, ``[B, rows * hop]``."""
        return self._hops[self.numbers(at, rows)].flatten(1).float() / 32768
