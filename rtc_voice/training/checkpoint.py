"""Training that can be interrupted: a checkpoint, and weights averaged over the last steps."""

import copy
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from torch import nn

Network = TypeVar("Network", bound=nn.Module)


class Average(Generic[Network]):
    """Exponential moving average of a network's weights."""

    def __init__(self, network: Network, decay: float = 0.998) -> None:
        self.network = copy.deepcopy(network)
        self.network.eval().requires_grad_(False)
        self.decay, self.steps = decay, 0

    @torch.no_grad()
    def follow(self, network: Network) -> None:
        """Take in the weights of ``network`` after a step."""
        self.steps += 1
        decay = min(self.decay, self.steps / (self.steps + 10))
        torch._foreach_lerp_(list(self.network.parameters()), list(network.parameters()), 1 - decay)


def save_checkpoint(path: Path, parts: dict[str, Any], step: int) -> None:
    """Write the state of ``parts`` (anything with ``state_dict``) so that a crash never leaves half a file."""
    unfinished = path.with_suffix(".part")
    torch.save({"step": step, **{name: part.state_dict() for name, part in parts.items()}}, unfinished)
    unfinished.rename(path)


def load_checkpoint(path: Path, parts: dict[str, Any]) -> int:
    """Put ``parts`` back as they were; the step they were saved at, 0 where nothing was saved."""
    if not path.is_file():
        return 0
    saved = torch.load(path, weights_only=True, map_location="cpu")
    for name, part in parts.items():
        part.load_state_dict(saved[name])
    return int(saved["step"])
