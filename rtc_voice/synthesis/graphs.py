"""The rows of all voices on a GPU: one captured CUDA graph for each size of batch, on a stream of high priority.

Small kernels leave a GPU waiting for the next call; a graph is all of a step's calls in one. Its addresses are those of
the capture for ever, which is why states move in place, and why a step makes no tensor from a list: a graph holds no
copy from the processor's own memory. On an H100 a replay takes a sixth of the time of the same calls one by one.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rtc_voice.speech.streaming import State, put_rows, take_rows
from rtc_voice.synthesis.chain import Heard, VoiceChain
from rtc_voice.synthesis.rows import Rows, silent, together
from rtc_voice.voices.types import Voice

Samples = NDArray[np.float32]

_WARM_UP_STEPS = 3  # before a capture: transforms make their plans in the first


class GraphRows:
    """``Rows`` of a chain in torch on a GPU. For one thread, under ``torch.inference_mode``.

    ``fuse`` has the steps of a voice alone compiled: 40 s once, and then half of the time (0.9 for 1.7 ms on an H100).
    """

    def __init__(self, chain: VoiceChain, count: int, *, fuse: bool = False) -> None:
        self._count = count
        self._fuse = fuse
        self._rows = Rows(chain, count + 1)  # the last is what fills up a batch
        self.device = self._rows.device
        self._stream = torch.cuda.Stream(self.device, priority=-1)  # type: ignore[no-untyped-call]
        self._steps: list[_Batch] = []  # of live speech
        self._sayings: list[_Batch] = []  # of what was heard before
        self.captures = 0

    def warm_up(self) -> None:
        """Capture the graphs, which each step then replays."""
        with torch.cuda.stream(self._stream):
            chain = self._rows.chain

            def say(rows: Tensor, pitch: Tensor, state: State) -> Tensor:
                return chain.say(Heard(rows, pitch), state)

            self._steps = self._batches(chain.step, [torch.zeros(1, chain.config.chunk_samples)])
            self._sayings = self._batches(say, silent(chain).tensors())
            memory = torch.cuda.graph_pool_handle()  # one for all: they never run at the same time
            for batch in (*self._steps, *self._sayings):
                batch.prepare()
                self._stream.synchronize()
                with torch.cuda.graph(batch.graph, stream=self._stream, pool=memory):
                    batch.run()
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

    def step(self, rows: Sequence[int], chunks: Samples) -> Samples:
        """The next chunk of each of ``rows``, of which none is named twice, ``[R, T]`` to ``[R, T]``, peak 1."""
        return self._replay(self._steps, rows, [torch.from_numpy(chunks)])

    def say(self, rows: Sequence[int], heard: Sequence[Heard]) -> Samples:
        """As ``step``, of what was heard before, a row each."""
        return self._replay(self._sayings, rows, together(heard).tensors())

    def _batches(self, step: Callable[..., Tensor], inputs: Sequence[Tensor]) -> "list[_Batch]":
        alone = torch.compile(step, fullgraph=True, dynamic=False) if self._fuse else step
        return [
            _Batch(self._rows, size, self._count, alone if size == 1 else step, inputs)
            for size in batch_sizes(self._count)
        ]

    def _replay(self, batches: "list[_Batch]", rows: Sequence[int], inputs: Sequence[Tensor]) -> Samples:
        batch = next(batch for batch in batches if batch.size >= len(rows))
        with torch.cuda.stream(self._stream):
            return batch.step(rows, inputs)


def rows_of(chain: VoiceChain, count: int, *, fuse: bool = False) -> Rows | GraphRows:
    """``count`` rows on the device of ``chain``; ``fuse`` is for a GPU."""
    return GraphRows(chain, count, fuse=fuse) if chain.device.type == "cuda" else Rows(chain, count)


def batch_sizes(count: int) -> list[int]:
    """The sizes of batches that are captured for up to ``count`` voices: 1, 2, 4 … and ``count``."""
    return [1 << power for power in range(count.bit_length()) if 1 << power < count] + [count]


class _Batch:
    """``step(*inputs, state)`` for ``size`` rows as one graph, with the memory that it reads and writes.

    ``inputs`` are one row of each, as an example.
    """

    def __init__(
        self, rows: Rows, size: int, spare: int, step: Callable[..., Tensor], inputs: Sequence[Tensor]
    ) -> None:
        self.size = size
        self._all = rows
        self._spare = spare
        self._step = step
        # Pinned, so that copies go on beside the processor's work.
        self._named = torch.full((size,), spare).pin_memory()
        self._given = [one.cpu().repeat(size, *[1] * (one.dim() - 1)).pin_memory() for one in inputs]
        self._made = torch.zeros(size, rows.chain.config.chunk_samples).pin_memory()
        self._rows, self._out, *self._inputs = (
            tensor.to(rows.device) for tensor in (self._named, self._made, *self._given)
        )
        self.graph = torch.cuda.CUDAGraph()
        self._done = torch.cuda.Event()  # type: ignore[no-untyped-call]

    def prepare(self) -> None:
        """Run it as often as it takes before a capture."""
        for _ in range(_WARM_UP_STEPS):
            self.run()

    def run(self) -> None:
        """Step, one call after the other: what is captured."""
        moved = take_rows(self._all.state, self._rows)
        self._out.copy_(self._step(*self._inputs, moved).clamp(-1, 1))
        put_rows(self._all.state, self._rows, moved)

    def step(self, rows: Sequence[int], inputs: Sequence[Tensor]) -> Samples:
        """Replay it for ``rows``; what is left of the batch goes to the spare row."""
        self._named.fill_(self._spare)
        self._named[: len(rows)] = torch.tensor(rows)
        self._rows.copy_(self._named, non_blocking=True)
        for given, held, to in zip(inputs, self._given, self._inputs, strict=True):
            held[: len(rows)] = given
            to.copy_(held, non_blocking=True)
        self.graph.replay()
        self._made.copy_(self._out, non_blocking=True)
        self._done.record()
        self._done.synchronize()  # this thread waits, and no other
        made: Samples = self._made[: len(rows)].numpy().copy()
        return made
