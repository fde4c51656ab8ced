"""What the networks here are made of: causal convolutions and gates over rows of time, as products of matrices.

Rows are channels-last, ``[B, T, C]``. A chunk is two rows for most networks. With so few a matrix product takes half
the time of a convolution in ONNX Runtime (0.7 for 1.4 ms for six layers of 160 channels), which packs the weights of
the one beforehand only; and nothing needs to be turned round between the products.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class CausalConv1d(nn.Linear):
    """Dilated convolution over the past only, ``[B, context + T, C_in]`` to ``[B, T, C_out]``, any ``T >= 1``."""

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, dilation: int = 1) -> None:
        super().__init__(kernel_size * in_channels, out_channels)
        self.in_channels, self.dilation = in_channels, dilation
        self.context = (kernel_size - 1) * dilation  # rows of the past that a row depends on

    def forward(self, heard: Tensor) -> Tensor:
        """Filter the rows after the first ``context`` of ``heard``."""
        ahead = range(self.context, -1, -self.dilation)
        taps = [heard[:, self.context - left : -left or None] for left in ahead]
        return super().forward(torch.cat(taps, dim=-1))


class History:
    """What each of several convolutions of as many channels has heard, in one state ``[B, sum of contexts, C]``.

    One tensor, as handing a graph twelve takes longer than moving their rows.
    """

    def __init__(self, layers: "Layers", state: Tensor) -> None:
        self._state, self._contexts = state, layers.contexts
        self._before = torch.split(state, layers.contexts, dim=1)
        self._after: list[Tensor] = []

    def before(self, x: Tensor) -> Tensor:
        """The new rows ``x`` of the next convolution, after those that it needs of the past."""
        number = len(self._after)
        heard = torch.cat([self._before[number], x], dim=1)
        self._after.append(heard[:, -self._contexts[number] :])
        return heard

    def keep(self) -> None:
        """Move the state on, in place, when all have heard."""
        self._state.copy_(torch.cat(self._after, dim=1))


class Layers(nn.ModuleList):
    """Causal convolutions of as many channels, one after the other, with one ``History``."""

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, dilations: Sequence[int]) -> None:
        layers = [CausalConv1d(in_channels, out_channels, kernel_size, dilation) for dilation in dilations]
        super().__init__(layers)
        self.in_channels = in_channels
        self.contexts = [layer.context for layer in layers]

    def init_state(self, batch: int) -> Tensor:
        """Nothing has been heard."""
        return next(self.parameters()).new_zeros(batch, sum(self.contexts), self.in_channels)


def gated(x: Tensor) -> Tensor:
    """The first half of the channels through the gates that the other half opens."""
    shape, gate = x.chunk(2, dim=-1)
    return torch.tanh(shape) * torch.sigmoid(gate)
