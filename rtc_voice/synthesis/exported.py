"""A step in ONNX Runtime: the same weights and, but for rounding, numbers as in torch, sooner on a CPU core.

Small chunks leave torch busy with calling its operators: on one slow core the features for 20 ms take 10 ms there and
4 ms here. The graph is exported from the module by ``training/export.py``: it is defined once.
"""

from collections.abc import Iterator
from pathlib import Path

import onnxruntime
import torch
from torch import Tensor

from rtc_voice.speech.streaming import State

MOVED = "moved_"
"""What the outputs are named that are a state, before its place among the tensors of the states."""


class ExportedStep:
    """``step(*inputs, state)`` of an exported module: float32 but for the state, on the calling thread."""

    def __init__(self, path: Path) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3  # else it tells that casts of constants are not folded
        self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self._names = [entry.name for entry in self._session.get_inputs()]
        self._outputs = [entry.name for entry in self._session.get_outputs()]
        # Of the state, what the step moves; the rest says whose voice it is.
        self._moved = [int(name.removeprefix(MOVED)) for name in self._outputs if name.startswith(MOVED)]

    def __call__(self, *inputs_and_state: Tensor | State) -> list[Tensor]:
        """The module's outputs for the next chunk; the state, given last, moves in place."""
        *inputs, state = inputs_and_state
        held = list(tensors(state))
        given = [tensor.contiguous().numpy() for tensor in (*inputs, *held) if isinstance(tensor, Tensor)]
        arrays = self._session.run(self._outputs, dict(zip(self._names, given, strict=True)))
        made = [torch.from_numpy(array) for array in arrays]
        results = len(made) - len(self._moved)
        for number, new in zip(self._moved, made[results:], strict=True):
            held[number].copy_(new)
        return made[:results]


def tensors(state: Tensor | State) -> Iterator[Tensor]:
    """The tensors of a state, in the order of their names' making."""
    if isinstance(state, Tensor):
        yield state
    else:
        for part in state.values():
            yield from tensors(part)
