"""Writes the networks' steps as ONNX graphs, for ``synthesis/exported.py``."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from rtc_voice.speech.streaming import State, map_state
from rtc_voice.synthesis.chain import ADAPTER_GRAPH, ENCODER_GRAPH, WAVENET_GRAPH, load_torch_chain
from rtc_voice.synthesis.exported import tensors

MAX_BATCH, MAX_HOPS = 64, 512


def export_chain(progress: Callable[[str], None] = lambda line: None) -> None:
    """Export the three networks of the shipped chain into the package; needs the extra ``train``; about 30 s."""
    chain = load_torch_chain()
    encoder, adapter, wavenet = chain.conversion.encoder, chain.conversion.adapter, chain.wavenet
    batch = torch.export.Dim("batch", min=1, max=MAX_BATCH)
    hops = torch.export.Dim("hops", min=1, max=MAX_HOPS)
    rows = {0: batch, 2: hops}
    state = chain.conversion.init_state(2)
    progress(f"writing {ENCODER_GRAPH.name}")
    heard = torch.randn(2, encoder.enter.in_channels, 3)
    export_step(encoder, encoder.network, [heard], [rows], state["encoder"]["stack"], ENCODER_GRAPH)
    progress(f"writing {ADAPTER_GRAPH.name}")
    inputs = [torch.randn(2, adapter.enter.in_channels, 3), state["adapter"]["film"]]
    export_step(
        adapter,
        adapter.network,
        inputs,
        [rows, {0: batch}],
        adapter.init_state(2)["stack"],
        ADAPTER_GRAPH,
    )
    progress(f"writing {WAVENET_GRAPH.name}")
    hop, config = wavenet.hop, wavenet.config
    inputs = [torch.randn(2, config.inputs, 3 * hop), torch.randn(2, 3, config.features), torch.rand(2, 3)]
    shapes = [{0: batch, 2: hop * hops}, {0: batch, 1: hops}, {0: batch, 1: hops}]
    export_step(wavenet, wavenet.step, inputs, shapes, wavenet.init_state(2), WAVENET_GRAPH)


def export_step(
    module: nn.Module,
    step: Callable[..., Tensor],
    inputs: Sequence[Tensor],
    shapes: Sequence[dict[int, Any]],
    state: Tensor | State,
    path: Path,
) -> None:
    """Export ``step(*inputs, state)``, a method of ``module`` that gives one tensor.

    Args:
        module: float32; its weights go into the graph.
        step: what to export.
        inputs: examples.
        shapes: the dimensions of each input that may change, as ``torch.export`` takes them; the batch is the first.
        state: an example.
        path: file to write.
    """
    functional = _Functional(module, step, state)
    states = tuple(tensors(state))
    program = torch.onnx.export(
        functional.eval(),
        (tuple(inputs), states),
        dynamic_shapes=(tuple(shapes), tuple({0: shapes[0][0]} for _ in states)),
        dynamo=True,
        external_data=False,
        verbose=False,
    )
    assert program is not None
    program.save(str(path))


class _Functional(nn.Module):
    """A step that returns its new state instead of moving it."""

    def __init__(self, module: nn.Module, step: Callable[..., Tensor], state: Tensor | State) -> None:
        super().__init__()
        self._module = module
        self._step = step
        self._form = state

    def forward(self, inputs: tuple[Tensor, ...], states: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        state = _like(self._form, iter([tensor.clone() for tensor in states]))
        return (self._step(*inputs, state), *tensors(state))


def _like(form: Tensor | State, values: Iterator[Tensor]) -> Tensor | State:
    if isinstance(form, Tensor):
        return next(values)
    return map_state(lambda _: next(values), form)
