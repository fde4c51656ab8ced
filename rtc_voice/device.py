"""Where networks run."""

import torch

from rtc_voice.errors import InputError


def find_device(name: str) -> torch.device:
    """The device of that name; ``auto`` is a GPU where there is one.

    Raises:
        InputError: there is no such device here.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and not torch.cuda.is_available():
        raise InputError("no CUDA device is to be seen here", "give --device cpu, or install a CUDA build of torch")
    if name not in ("cpu", "cuda"):
        raise InputError(f"there is no device {name!r}", "give cpu, cuda or auto")
    return torch.device(name)
