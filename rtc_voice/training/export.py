"""Writes the networks' steps as ONNX graphs, for ``synthesis/exported.py``."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import onnxscript.optimizer
import torch
from torch import Tensor, nn

from rtc_voice.speech.analysis import Features, Spectra
from rtc_voice.speech.streaming import State, map_state
from rtc_voice.synthesis.chain import (
    HEARING_GRAPHS,
    SOURCE_GRAPHS,
    WAVENET_GRAPH,
    Heard,
    Source,
    load_torch_chain,
)
from rtc_voice.synthesis.exported import MOVED, tensors

MAX_BATCH, MAX_HOPS = 64, 512


def export_chain(progress: Callable[[str], None] = lambda line: None) -> None:
    """Export the shipped chain into the package, but for source and filter; needs the extra ``train``; two minutes."""
    chain = load_torch_chain()
    batch = torch.export.Dim("batch", min=1, max=MAX_BATCH)
    hops = torch.export.Dim("hops", min=1, max=MAX_HOPS)
    state = chain.init_state(2)
    hop, config = chain.config.hop, chain.wavenet.config
    for count, path in HEARING_GRAPHS.items():
        progress(f"writing {path.name}")
        spectra = chain.analysis.spectra(torch.randn(2, count * hop), state["history"]).tensors()
        export_step(
            chain,
            lambda *given: chain.hear(Spectra(*given[:-1]), given[-1]).tensors(),
            spectra,
            [{0: batch} for _ in spectra],
            state["hearing"],
            path,
        )
    for count, path in SOURCE_GRAPHS.items():
        progress(f"writing {path.name}")
        heard = chain.hear_sound(torch.randn(2, count * hop), state).tensors()
        export_step(
            chain,
            lambda *given: _tensors_of(chain.source(Heard(*given[:-1]), given[-1])),
            heard,
            [{0: batch} for _ in heard],
            state["source"],
            path,
        )
    progress(f"writing {WAVENET_GRAPH.name}")
    features = chain.source(chain.hear_sound(torch.randn(2, 3 * hop), state), state["source"])[0].tensors()
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
        state: an example; what of it the step never writes to is an input only.
        path: file to write.
    """
    states = tuple(tensors(state))
    with torch.inference_mode(False), torch.no_grad():  # whoever calls: else writes are not counted
        tried = [tensor.clone() for tensor in states]
        results = len(step(*inputs, _like(state, iter(tried))))
        moved = [number for number, tensor in enumerate(tried) if tensor._version]
    functional = _Functional(module, step, state, moved)
    program = torch.onnx.export(
        functional.eval(),
        (tuple(inputs), states),
        dynamic_shapes=(tuple(shapes), tuple({0: shapes[0][0]} for _ in states)),
        output_names=[*(f"made_{number}" for number in range(results)), *(f"{MOVED}{number}" for number in moved)],
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
    """A step that returns what of its state it moves instead of moving it."""

    def __init__(
        self, module: nn.Module, step: Callable[..., tuple[Tensor, ...]], state: Tensor | State, moved: Sequence[int]
    ) -> None:
        super().__init__()
        self._module = module
        self._step = step
        self._form = state
        self._moved = moved

    def forward(self, inputs: tuple[Tensor, ...], states: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        state = _like(self._form, iter([tensor.clone() for tensor in states]))
        made, held = self._step(*inputs, state), list(tensors(state))
        return (*made, *(held[number] for number in self._moved))


def _like(form: Tensor | State, values: Iterator[Tensor]) -> Tensor | State:
    if isinstance(form, Tensor):
        return next(values)
    return map_state(lambda _: next(values), form)
