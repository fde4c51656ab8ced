"""Where training happens, and in what precision."""

import torch

from rtc_voice.device import find_device
from rtc_voice.speech.streaming import State, map_state


def training_device(name: str) -> torch.device:
    """``find_device`` for training: products of matrices are in TF32 there.

    Not in bfloat16: source and filter lie between what is learnt and the losses, and what two decimals of an envelope
    leave out is heard as noise that the WaveNet cannot take away.
    """
    device = find_device(name)
    if device.type == "cuda":
        torch.set_float32_matmul_precision("high")
    return device


def on(device: torch.device, state: State) -> State:
    """``state`` on ``device``: what is drawn at random is drawn on the CPU, so that every device draws the same."""
    return map_state(lambda tensor: tensor.to(device), state)
