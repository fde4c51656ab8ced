"""Writes a network's ``step`` as an ONNX graph, for ``synthesis/exported.py``."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from rtc_voice.speech.streaming import State, map_state
from rtc_voice.synthesis.exported import tensors

MAX_BATCH, MAX_HOPS = 64, 512


def export_step(
    module: nn.Module, state: Tensor | State, inputs: Sequence[Tensor], shapes: Sequence[dict[int, Any]], path: Path
) -> None:
    """Export ``module.step(*inputs, state)``, which gives one tensor, for any batch.

    Args:
        module: float32.
        state: an example; batch first.
        inputs: examples.
        shapes: the dimensions of each input that may change, as ``torch.export`` takes them.
        path: file to write.
    """
    functional = _Functional(module, state)
    batch = {0: torch.export.Dim("batch", min=1, max=MAX_BATCH)}
    states = tuple(tensors(state))
    program = torch.onnx.export(
        functional.eval(),
        (tuple(inputs), states),
        dynamic_shapes=(tuple(shapes), tuple(batch for _ in states)),
        dynamo=True,
        external_data=False,
        verbose=False,
    )
    assert program is not None
    program.save(str(path))


class _Functional(nn.Module):
    """A step that returns its new state instead of moving it."""

    def __init__(self, module: nn.Module, state: Tensor | State) -> None:
        super().__init__()
        self._module = module
        self._form = state

    def forward(self, inputs: tuple[Tensor, ...], states: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        state = _like(self._form, iter([tensor.clone() for tensor in states]))
        step: Callable[..., Tensor] = self._module.step  # type: ignore[assignment]
        return (step(*inputs, state), *tensors(state))


def _like(form: Tensor | State, values: Iterator[Tensor]) -> Tensor | State:
    if isinstance(form, Tensor):
        return next(values)
    return map_state(lambda _: next(values), form)
