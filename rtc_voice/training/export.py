"""Writes the networks' steps as ONNX graphs, for ``synthesis/exported.py``."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import onnxscript.optimizer
import torch
from torch import Tensor, nn

from rtc_voice.speech.analysis import Features
from rtc_voice.speech.streaming import State, map_state
from rtc_voice.synthesis.chain import SOURCE_GRAPHS, SOURCE_STATE, WAVENET_GRAPH, Source, load_torch_chain
from rtc_voice.synthesis.exported import tensors

MAX_BATCH, MAX_HOPS = 64, 512


def export_chain(progress: Callable[[str], None] = lambda line: None) -> None:
    """Export the shipped chain into the package, but for source and filter; needs the extra ``train``; two minutes."""
    chain = load_torch_chain()
    batch = torch.export.Dim("batch", min=1, max=MAX_BATCH)
    hops = torch.export.Dim("hops", min=1, max=MAX_HOPS)
    state = chain.init_state(2)
    moved = {name: state[name] for name in SOURCE_STATE}
    for count, path in SOURCE_GRAPHS.items():
        progress(f"writing {path.name}")
        chunk = torch.randn(2, count * chain.config.hop)
        export_step(chain, lambda *inputs: _tensors_of(chain.source(*inputs)), [chunk], [{0: batch}], moved, path)
    progress(f"writing {WAVENET_GRAPH.name}")
    hop, config = chain.config.hop, chain.wavenet.config
    features = chain.features(torch.zeros(2, 3 * hop), moved).tensors()
    inputs = [torch.randn(2, config.inputs, 3 * hop), *features]
    shapes = [{0: batch, 2: hop * hops}, *({0: batch, 1: hops} for _ in features)]
    export_step(
        chain,
        lambda signals, envelope, f0, shares, state: (
            chain.correction(signals, Features(envelope, f0, shares), state),
        ),
        inputs,
        shapes,
        state["wavenet"],
        WAVENET_GRAPH,
    )


def export_step(
    module: nn.Module,
    step: Callable[..., tuple[Tensor, ...]],
    inputs: Sequence[Tensor],
    shapes: Sequence[dict[int, Any]],
    state: Tensor | State,
    path: Path,
) -> None:
    """Export ``step(*inputs, state)``, which works by ``module`` and gives tensors.

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
        optimize=False,  # torch 2.13 takes adding 1e-8, which keeps a logarithm finite, for adding nothing
    )
    assert program is not None
    # What changes no number: half of the nodes go, and a step takes 10 to 20 % less time.
    onnxscript.optimizer.fold_constants(program.model, onnx_shape_inference=True)
    onnxscript.optimizer.remove_unused_nodes(program.model)
    for node in program.model.graph.all_nodes():
        node.metadata_props.clear()  # from which line of which file it comes, on this machine
    program.save(str(path))


def _tensors_of(source: Source) -> tuple[Tensor, ...]:
    features, pulses, noise = source
    return *features.tensors(), pulses, noise


class _Functional(nn.Module):
    """A step that returns its new state instead of moving it."""

    def __init__(self, module: nn.Module, step: Callable[..., tuple[Tensor, ...]], state: Tensor | State) -> None:
        super().__init__()
        self._module = module
        self._step = step
        self._form = state

    def forward(self, inputs: tuple[Tensor, ...], states: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        state = _like(self._form, iter([tensor.clone() for tensor in states]))
        return (*self._step(*inputs, state), *tensors(state))


def _like(form: Tensor | State, values: Iterator[Tensor]) -> Tensor | State:
    if isinstance(form, Tensor):
        return next(values)
    return map_state(lambda _: next(values), form)
