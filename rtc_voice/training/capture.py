"""A step of training on a GPU as one graph: to launch its thousands of small operations takes longer than they do."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

_EAGER_STEPS = 5  # in which libraries choose their ways and optimisers make their states
Step = Callable[..., Tensor]


class Captured:
    """``step(*inputs)`` of tensors of constant shapes: on a GPU, after a few calls, replayed as a CUDA graph.

    It must do all of its work on the device: read nothing back, and draw from ``generators`` at random.
    """

    def __init__(self, step: Step, device: torch.device, generators: Sequence[torch.Generator] = ()) -> None:
        self._step = step
        self._is_on_gpu = device.type == "cuda"
        self._device = device
        self._generators = generators
        self.calls = 0
        self._graph: torch.cuda.CUDAGraph | None = None
        self._inputs: list[Tensor] = []
        self._made = torch.zeros(0)

    def __call__(self, *inputs: Tensor) -> Tensor:
        """What ``step`` gives; the next call overwrites it."""
        if not self._is_on_gpu:
            return self._step(*inputs)
        self.calls += 1
        if self.calls <= _EAGER_STEPS:
            return self._eagerly(*(given.to(self._device) for given in inputs))
        if self._graph is None:
            self._inputs = [given.to(self._device) for given in inputs]
            self._graph = torch.cuda.CUDAGraph()
            for generator in self._generators:
                self._graph.register_generator_state(generator)
            with torch.cuda.graph(self._graph):
                self._made = self._step(*self._inputs)
        for held, given in zip(self._inputs, inputs, strict=True):
            held.copy_(given, non_blocking=True)
        self._graph.replay()
        return self._made

    def _eagerly(self, *inputs: Tensor) -> Tensor:
        """On a stream of its own, as capturing asks of what goes before it."""
        stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            made = self._step(*inputs)
        torch.cuda.current_stream().wait_stream(stream)
        return made
