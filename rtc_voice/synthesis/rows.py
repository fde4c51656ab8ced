"""The state of all voices that an engine speaks for, one row each; chunks are made for any of them at once."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rtc_voice.speech.streaming import State, put_rows, take_rows, view_rows
from rtc_voice.synthesis.chain import Heard, VoiceChain
from rtc_voice.voices.types import Voice

Samples = NDArray[np.float32]

_WARM_UP_STEPS = 8


class Rows:
    """``count`` silent rows on the device of ``chain``. For one thread, under ``torch.inference_mode``."""

    def __init__(self, chain: VoiceChain, count: int) -> None:
        self.chain = chain
        self.device = chain.device
        with self.device:
            self.state = chain.init_state(count)
            self._fresh = chain.init_state(1)

    def warm_up(self) -> None:
        """Make the first step as fast as any."""
        silence = np.zeros((1, self.chain.config.chunk_samples), np.float32)
        nothing = silent(self.chain)
        for _ in range(_WARM_UP_STEPS):
            self.step([0], silence)
            self.say([0], [nothing])
        self.reset(0)

    def reset(self, row: int) -> None:
        """Silence ``row``: somebody new gets it."""
        put_rows(self.state, self._at([row]), self._fresh)

    def set_voice(self, row: int, voice: Voice) -> None:
        """Speak ``row`` in ``voice`` from the next chunk on."""
        self.chain.set_voice(voice, self.state, row)

    def step(self, rows: Sequence[int], chunks: Samples) -> Samples:
        """The next chunk of each of ``rows``, of which none is named twice, ``[R, T]`` to ``[R, T]``, peak 1."""
        return self._moved(rows, lambda state: self.chain.step(torch.from_numpy(chunks), state))

    def say(self, rows: Sequence[int], heard: Sequence[Heard]) -> Samples:
        """As ``step``, of what was heard before, a row each."""
        return self._moved(rows, lambda state: self.chain.say(together(heard), state))

    def _moved(self, rows: Sequence[int], step: Callable[[State], Tensor]) -> Samples:
        first = rows[0]
        if list(rows) == list(range(first, first + len(rows))):  # a voice alone, above all: copying takes 1.2 ms
            out = step(view_rows(self.state, first, len(rows)))
        else:
            moved = take_rows(self.state, self._at(rows))
            out = step(moved)
            put_rows(self.state, self._at(rows), moved)
        made: Samples = out.clamp(-1, 1).numpy()
        return made

    def _at(self, rows: Sequence[int]) -> Tensor:
        return torch.tensor(rows, device=self.device)


def together(heard: Sequence[Heard]) -> Heard:
    """One batch of all."""
    if len(heard) == 1:
        return heard[0]
    return Heard(*(torch.cat(parts) for parts in zip(*(one.tensors() for one in heard), strict=True)))


def silent(chain: VoiceChain) -> Heard:
    """A chunk in which nothing is said."""
    device = chain.device
    with device:
        return chain.hear_sound(torch.zeros(1, chain.config.chunk_samples), chain.init_state(1))
