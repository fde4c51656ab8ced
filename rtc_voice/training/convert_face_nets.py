"""Converts face-api's weights to the safetensors that ``faces/nets.py`` loads.

    python -m rtc_voice.training.convert_face_nets PACKAGE ASSETS

``PACKAGE`` is the unpacked npm package ``@vladmandic/face-api@1.7.15`` (MIT). Its uint8 weights stay uint8: the file
stays small and the network is the original one to the last bit of its quantisation.
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor

Entry = tuple[NDArray[np.generic], float, float]
"""Raw values with the ``scale`` and ``min`` that make them weights: ``raw * scale + min``."""


def read_weights(package: Path, model: str) -> dict[str, Entry]:
    """All tensors of one face-api model by their original names, in TensorFlow's axis order."""
    manifest = json.loads((package / "model" / f"{model}_model-weights_manifest.json").read_text())
    shard = (package / "model" / f"{model}_model.bin").read_bytes()
    entries: dict[str, Entry] = {}
    offset = 0
    for spec in manifest[0]["weights"]:
        quantised = spec.get("quantization", {"dtype": "float32", "scale": 1.0, "min": 0.0})
        dtype = np.dtype(quantised["dtype"])
        count = int(np.prod(spec["shape"]))
        raw = np.frombuffer(shard, dtype, count, offset).reshape(spec["shape"])
        entries[spec["name"]] = (raw, quantised["scale"], quantised["min"])
        offset += count * dtype.itemsize
    if offset != len(shard):
        raise ValueError(f"{model}: {len(shard) - offset} bytes are left over")
    return entries


def floats(entry: Entry) -> Tensor:
    """The entry's values as float32."""
    raw, scale, low = entry
    return torch.from_numpy((raw.astype(np.float64) * scale + low).astype(np.float32))


def pack(entry: Entry, name: str, axes: tuple[int, ...], gain: Tensor | None = None) -> dict[str, Tensor]:
    """One weight in torch's axis order; uint8 with scale and minimum per output where the source is uint8.

    Args:
        entry: the original.
        name: the weight's name in our network.
        axes: from TensorFlow's order to torch's.
        gain: folded into the weight, one per output.
    """
    raw, scale, low = entry
    values = torch.from_numpy(raw.transpose(axes).copy())
    gain = torch.ones(values.shape[0]) if gain is None else gain
    if values.dtype == torch.uint8:
        return {name: values, f"{name}:scale": gain * scale, f"{name}:min": gain * low}
    return {name: values * gain.view(-1, *[1] * (values.dim() - 1))}


def convert_recognition(source: dict[str, Entry]) -> dict[str, Tensor]:
    """State of ``RecognitionNet``: scale layers folded, ``(W x + b) s + t = (s W) x + (s b + t)``."""
    blocks = dict.fromkeys(name.split("/")[0] for name in source if name.count("/") == 3)
    layers = {"stem": "conv32_down"} | {
        f"blocks.{i}.{conv}": f"{block}/{conv}" for i, block in enumerate(blocks) for conv in ("conv1", "conv2")
    }
    state: dict[str, Tensor] = {}
    for ours, theirs in layers.items():
        gain = floats(source[f"{theirs}/scale/weights"])
        state |= pack(source[f"{theirs}/conv/filters"], f"{ours}.weight", (3, 2, 0, 1), gain)
        state[f"{ours}.bias"] = floats(source[f"{theirs}/conv/bias"]) * gain + floats(source[f"{theirs}/scale/biases"])
    return state | pack(source["fc"], "fc.weight", (1, 0))


def convert_attributes(source: dict[str, Entry]) -> dict[str, Tensor]:
    """State of ``AttributeNet``."""
    axes = {
        "depthwise_filter": (2, 3, 0, 1),
        "pointwise_filter": (3, 2, 0, 1),
        "filters": (3, 2, 0, 1),
        "weights": (1, 0),
    }
    state: dict[str, Tensor] = {}
    for theirs, entry in source.items():
        kind = theirs.split("/")[-1]
        name = attribute_name(theirs)
        state |= pack(entry, name, axes[kind]) if kind in axes else {name: floats(entry)}
    return state


def attribute_name(theirs: str) -> str:
    """Our name of one of face-api's weights."""
    kinds = {"depthwise_filter": "0.weight", "pointwise_filter": "1.weight", "filters": "weight", "weights": "weight"}
    layer, kind = theirs.rsplit("/", 1)
    ours = "1.bias" if "separable" in layer and kind == "bias" else kinds.get(kind, kind)
    for old, new in _LAYERS.items():
        layer = layer.replace(old, new)
    return f"{layer}.{ours}"


_LAYERS = {
    "entry_flow/conv_in": "stem",
    "entry_flow/reduction_block_": "blocks.",
    "middle_flow/main_block_0/separable_conv": "blocks.2.convs.",
    "middle_flow/main_block_1/separable_conv": "blocks.3.convs.",
    "exit_flow/reduction_block": "blocks.4",
    "exit_flow/separable_conv": "last",
    "/separable_conv": ".conv",
    "/expansion_conv": ".expansion",
    "fc/age": "age",
    "fc/gender": "sex",
}


def main(package: Path, assets: Path) -> None:
    """Write both files into ``assets``."""
    save_file(convert_recognition(read_weights(package, "face_recognition")), assets / "face_recognition.safetensors")
    save_file(convert_attributes(read_weights(package, "age_gender")), assets / "face_attributes.safetensors")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
