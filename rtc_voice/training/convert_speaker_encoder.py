"""Resemblyzer's checkpoint to the safetensors that ``SpeakerEncoder`` loads.

Run as ``python -m rtc_voice.training.convert_speaker_encoder WHEEL OUT``.
"""

import io
import sys
import zipfile
from pathlib import Path

import torch
from safetensors.torch import save_file


def convert(wheel: Path, out: Path) -> None:
    """Write the network's weights, in half precision, from the wheel of Resemblyzer 0.1.4.

    The optimiser's state and the two numbers of the training loss are left behind.
    """
    with zipfile.ZipFile(wheel) as archive:
        checkpoint = archive.read("resemblyzer/pretrained.pt")
    state = torch.load(io.BytesIO(checkpoint), map_location="cpu", weights_only=True)["model_state"]
    kept = {name: weight.half() for name, weight in state.items() if not name.startswith("similarity")}
    save_file(kept, out, metadata={"source": "Resemblyzer 0.1.4", "licence": "Apache-2.0"})


if __name__ == "__main__":
    convert(Path(sys.argv[1]), Path(sys.argv[2]))
