"""Where training happens, and in what precision."""

import torch

from rtc_voice.errors import InputError
from rtc_voice.speech.streaming import State, map_state


def find_device(name: str) -> torch.device:
    """The device of that name; ``auto`` is a GPU where there is one.

    Raises:
        InputError: there is no such device here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name == "cuda" and not torch.cuda.is_available():
        raise InputError("no CUDA device is to be seen here", "give --device cpu, or install a CUDA build of torch")
    if name not in ("cpu", "cuda"):
        raise InputError(f"{name} is not a device to train on", "give cpu, cuda or auto")
    return torch.device(name)


def on(device: torch.device, state: State) -> State:
    """``state`` on ``device``: what is drawn at random is drawn on the CPU, so that every device draws the same."""
    return map_state(lambda tensor: tensor.to(device), state)


def fast(device: torch.device) -> torch.autocast:
    """bfloat16 for products of matrices on a GPU.

    On a CPU it was slower than float32, also where it has instructions for it: 2.6 for 2.3 s a step of the WaveNet.
    """
    return torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda")
