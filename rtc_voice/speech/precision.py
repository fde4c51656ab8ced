"""Small networks in float64, where the last bit decides what everything after it sounds like."""

from torch import Tensor, nn


def linear64(x: Tensor, layer: nn.Linear) -> Tensor:
    """``layer`` in float64: the size of a chunk or a batch moves the last bit of a float32 product."""
    return nn.functional.linear(x.double(), layer.weight.double(), layer.bias.double())
