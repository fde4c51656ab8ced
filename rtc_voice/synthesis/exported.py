"""A network's ``step`` in ONNX Runtime: the same weights and numbers as in torch, several times sooner on a CPU core.

Small chunks leave torch busy with calling its operators: on one core the WaveNet's step for 20 ms takes 2 ms there and
0.4 ms here. The graph is exported from the module by ``training/export.py``, so the network is defined once.
"""

from collections.abc import Iterator
from pathlib import Path

import onnxruntime
import torch
from torch import Tensor

from rtc_voice.speech.streaming import State


class ExportedStep:
    """``step(*inputs, state)`` of an exported module: float32, on the calling thread."""

    def __init__(self, path: Path) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self._names = [entry.name for entry in self._session.get_inputs()]

    def __call__(self, *inputs_and_state: Tensor | State) -> Tensor:
        """The module's output for the next chunk; the state, given last, moves in place."""
        *inputs, state = inputs_and_state
        moved = list(tensors(state))
        given = [tensor.contiguous().numpy() for tensor in (*inputs, *moved) if isinstance(tensor, Tensor)]
        out, *after = self._session.run(None, dict(zip(self._names, given, strict=True)))
        for tensor, new in zip(moved, after, strict=True):
            tensor.copy_(torch.from_numpy(new))
        return torch.from_numpy(out)


def tensors(state: Tensor | State) -> Iterator[Tensor]:
    """The tensors of a state, in the order of their names' making."""
    if isinstance(state, Tensor):
        yield state
    else:
        for part in state.values():
            yield from tensors(part)
