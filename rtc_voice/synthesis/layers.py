"""The one streaming layer that networks here are made of."""

from torch import Tensor, nn

from rtc_voice.speech.streaming import slide


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
        return super().forward(slide(history, chunk))

    def forward(self, x: Tensor) -> Tensor:
        """Filter a whole signal."""
        return self.step(x, self.init_state(x.shape[0]))
