"""The streaming convolution: any chunking is the whole signal, and it is causal."""

import pytest
import torch

from rtc_voice.synthesis.layers import CausalConv1d


@pytest.mark.parametrize("is_training", [False, True])
@pytest.mark.parametrize("dilation", [1, 2, 16])
@pytest.mark.parametrize("chunk", [1, 7, 160, 1000])
def test_chunks_match_whole_signal(chunk: int, dilation: int, is_training: bool) -> None:
    conv = CausalConv1d(2, 3, kernel_size=3, dilation=dilation).double().train(is_training)
    x = torch.randn(2, 2, 1000, dtype=torch.float64)
    state = conv.init_state(batch=2)
    with torch.no_grad():
        streamed = torch.cat([conv.step(c, state) for c in torch.split(x, chunk, dim=-1)], dim=-1)
        torch.testing.assert_close(streamed, conv(x), rtol=0, atol=1e-12)


def test_an_output_sees_its_context_only() -> None:
    conv = CausalConv1d(1, 1, kernel_size=3, dilation=4)
    x = torch.randn(1, 1, 50, requires_grad=True)
    conv(x)[0, 0, 30].backward()
    assert x.grad is not None
    assert torch.nonzero(x.grad[0, 0]).flatten().tolist() == [22, 26, 30]
    assert conv.context == 8


def test_training_and_use_compute_the_same() -> None:
    conv = CausalConv1d(2, 3, kernel_size=3, dilation=5).double()
    x = torch.randn(1, 2, 100, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(conv.eval()(x), conv.train()(x), rtol=0, atol=1e-12)
