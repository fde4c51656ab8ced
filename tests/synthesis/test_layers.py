"""The streaming convolutions: any chunking is the whole, each is causal, and a convolution as elsewhere."""

import pytest
import torch
from torch import nn

from rtc_voice.synthesis.layers import CausalConv1d, History, Layers


def through(layers: Layers, x: torch.Tensor, state: torch.Tensor) -> torch.Tensor:
    history = History(layers, state)
    for layer in layers:
        x = layer(history.before(x))
    history.keep()
    return x


@pytest.mark.parametrize("chunk", [1, 7, 160, 1000])
def test_chunks_match_whole_signal(chunk: int) -> None:
    layers = Layers(3, 3, kernel_size=3, dilations=(1, 2, 16)).double()
    x = torch.randn(2, 1000, 3, dtype=torch.float64)
    state = layers.init_state(batch=2)
    with torch.no_grad():
        streamed = torch.cat([through(layers, part, state) for part in torch.split(x, chunk, dim=1)], dim=1)
        whole = through(layers, x, layers.init_state(batch=2))
    torch.testing.assert_close(streamed, whole, rtol=0, atol=1e-12)


def test_an_output_sees_its_context_only() -> None:
    conv = CausalConv1d(1, 1, kernel_size=3, dilation=4)
    heard = torch.randn(1, 50, 1, requires_grad=True)
    conv(heard)[0, 30 - conv.context, 0].backward()
    assert heard.grad is not None
    assert torch.nonzero(heard.grad[0, :, 0]).flatten().tolist() == [22, 26, 30]
    assert conv.context == 8


def test_it_is_the_convolution_of_the_same_taps() -> None:
    conv = CausalConv1d(2, 3, kernel_size=3, dilation=5).double()
    taps = torch.unflatten(conv.weight, 1, (3, 2)).transpose(1, 2)
    heard = torch.randn(1, 100, 2, dtype=torch.float64)
    with torch.no_grad():
        expected = nn.functional.conv1d(heard.transpose(1, 2), taps, conv.bias, dilation=5).transpose(1, 2)
        torch.testing.assert_close(conv(heard), expected, rtol=0, atol=1e-12)
