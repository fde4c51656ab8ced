"""The rows of all voices on a GPU: one captured CUDA graph for each size of batch, on a stream of high priority.

Small kernels leave a GPU waiting for the next call; a graph is all of a step's calls in one. Its addresses are those of
the capture for ever, which is why states move in place, and why a step makes no tensor from a list: a graph holds no
copy from the processor's own memory. On an H100 a replay takes a sixth of the time of the same calls one by one.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from rtc_voice.speech.streaming import put_rows, take_rows
from rtc_voice.synthesis.chain import VoiceChain
from rtc_voice.synthesis.mapping import Speaker
from rtc_voice.synthesis.rows import Rows
from rtc_voice.voices.types import Voice

Samples = NDArray[np.float32]

_WARM_UP_STEPS = 3  # before a capture: transforms make their plans in the first


class GraphRows:
    """``Rows`` of a chain in torch on a GPU. For one thread, under ``torch.inference_mode``."""

    def __init__(self, chain: VoiceChain, count: int) -> None:
        self._count = count
        self._rows = Rows(chain, count + 1)  # the last is what fills up a batch
        self.device = self._rows.device
        self._stream = torch.cuda.Stream(self.device, priority=-1)  # type: ignore[no-untyped-call]
        self._batches: list[_Batch] = []
        self.captures = 0

    @property
    def sizes(self) -> list[int]:
        """Of the batches that there are graphs for."""
        return [batch.size for batch in self._batches]

    def warm_up(self) -> None:
        """Capture the graphs, which each step then replays."""
        with torch.cuda.stream(self._stream):
            self._batches = [_Batch(self._rows, size, spare=self._count) for size in batch_sizes(self._count)]
            for batch in self._batches:
                batch.capture(self._stream)
                self.captures += 1
        for row in range(self._count):
            self.reset(row)

    def reset(self, row: int) -> None:
        """Silence ``row``: somebody new gets it."""
        with torch.cuda.stream(self._stream):
            self._rows.reset(row)

    def set_voice(self, row: int, voice: Voice) -> None:
        """Speak ``row`` in ``voice`` from the next chunk on."""
        with torch.cuda.stream(self._stream):
            self._rows.set_voice(row, voice)

    def set_speaker(self, row: int, speaker: Speaker) -> None:
        """Take what goes into ``row`` from now on for the speech of ``speaker``."""
        with torch.cuda.stream(self._stream):
            self._rows.set_speaker(row, speaker)

    def step(self, rows: Sequence[int], chunks: Samples) -> Samples:
        """The next chunk of each of ``rows``, of which none is named twice, ``[R, T]`` to ``[R, T]``, peak 1."""
        batch = next(batch for batch in self._batches if batch.size >= len(rows))
        with torch.cuda.stream(self._stream):
            return batch.step(rows, chunks)


def rows_of(chain: VoiceChain, count: int) -> Rows | GraphRows:
    """``count`` rows on the device of ``chain``."""
    return GraphRows(chain, count) if chain.wavenet.voice.weight.is_cuda else Rows(chain, count)


def batch_sizes(count: int) -> list[int]:
    """The sizes of batches that are captured for up to ``count`` voices: 1, 2, 4 … and ``count``."""
    return [1 << power for power in range(count.bit_length()) if 1 << power < count] + [count]


class _Batch:
    """A step for ``size`` rows as one graph, with the memory that it reads and writes."""

    def __init__(self, rows: Rows, size: int, spare: int) -> None:
        self.size = size
        self._all = rows
        self._spare = spare
        samples = rows.chain.config.chunk_samples
        # Pinned, so that copies go on beside the processor's work.
        self._named = torch.full((size,), spare).pin_memory()
        self._given = torch.zeros(size, samples).pin_memory()
        self._made = torch.zeros(size, samples).pin_memory()
        self._rows, self._chunks, self._out = (
            tensor.to(rows.device) for tensor in (self._named, self._given, self._made)
        )
        self._graph = torch.cuda.CUDAGraph()
        self._done = torch.cuda.Event()  # type: ignore[no-untyped-call]

    def capture(self, stream: torch.cuda.Stream) -> None:
        """Record the step on the stream that is current."""
        for _ in range(_WARM_UP_STEPS):
            self._run()
        stream.synchronize()
        with torch.cuda.graph(self._graph, stream=stream):
            self._run()

    def _run(self) -> None:
        moved = take_rows(self._all.state, self._rows)
        self._out.copy_(self._all.chain.step(self._chunks, moved).clamp(-1, 1))
        put_rows(self._all.state, self._rows, moved)

    def step(self, rows: Sequence[int], chunks: Samples) -> Samples:
        """Replay it for ``rows``; what is left of the batch goes to the spare row."""
        self._named.fill_(self._spare)
        self._named[: len(rows)] = torch.tensor(rows)
        self._given[: len(rows)] = torch.from_numpy(chunks)
        self._rows.copy_(self._named, non_blocking=True)
        self._chunks.copy_(self._given, non_blocking=True)
        self._graph.replay()
        self._made.copy_(self._out, non_blocking=True)
        self._done.record()
        self._done.synchronize()  # this thread waits, and no other
        made: Samples = self._made[: len(rows)].numpy().copy()
        return made
