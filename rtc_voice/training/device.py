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
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and not torch.cuda.is_available():
        raise InputError("no CUDA device is to be seen here", "give --device cpu, or install a CUDA build of torch")
    if name not in ("cpu", "cuda"):
        raise InputError(f"{name} is not a device to train on", "give cpu, cuda or auto")
    if name == "cuda":
        # TF32, but not bfloat16: source and filter lie between what is learnt and the losses, and what two decimals of
        # an envelope leave out is heard as noise that the WaveNet cannot take away.
        torch.set_float32_matmul_precision("high")
    return torch.device(name)


def on(device: torch.device, state: State) -> State:
    """``state`` on ``device``: what is drawn at random is drawn on the CPU, so that every device draws the same."""
    return map_state(lambda tensor: tensor.to(device), state)
