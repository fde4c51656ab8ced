"""The two layers that networks here are made of, as products of matrices.

A chunk is two rows for most networks. With so few columns a matrix product takes half the time of a convolution in
ONNX Runtime (0.7 for 1.4 ms for six layers of 160 channels), which packs the weights of the one beforehand only.
"""

import torch
from torch import Tensor, nn

from rtc_voice.speech.streaming import slide


class Pointwise(nn.Conv1d):
    """The same matrix at every step of time, ``[B, C_in, T]`` to ``[B, C_out, T]``."""

    def __init__(self, in_channels: int, out_channels: int, *, bias: bool = True) -> None:
        super().__init__(in_channels, out_channels, 1, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """Change each step alone."""
        return _product(x, self.weight, self.bias)


class CausalConv1d(nn.Conv1d):
    """Dilated convolution over the past only. ``[B, C_in, T]`` to ``[B, C_out, T]``, any ``T >= 1``."""

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, dilation: int = 1) -> None:
        super().__init__(in_channels, out_channels, kernel_size, dilation=dilation)
        self.context = (kernel_size - 1) * dilation  # past samples kept between chunks

    def init_state(self, batch: int) -> Tensor:
        """Silence before the first chunk, ``[batch, C_in, context]``."""
        return self.weight.new_zeros(batch, self.in_channels, self.context)

    def step(self, chunk: Tensor, history: Tensor) -> Tensor:
        """Filter the next chunk and slide ``history`` forward in place."""
        heard, steps = slide(history, chunk), chunk.shape[-1]
        starts = range(0, self.context + 1, self.dilation[0])
        return _product(torch.cat([heard[..., s : s + steps] for s in starts], dim=1), self.weight, self.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Filter a whole signal."""
        return self.step(x, self.init_state(x.shape[0]))


def _product(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """``weight`` ``[C_out, C_in, K]`` times ``x`` ``[B, K * C_in, T]``, tap after tap."""
    flat = weight.transpose(1, 2).flatten(1)
    return nn.functional.linear(x.transpose(1, 2), flat, bias).transpose(1, 2)
