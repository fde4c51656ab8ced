"""The WaveNet: chunks are the whole, rows are alone, the field is what it says, untrained it says nothing."""

import pytest
import torch
from torch import nn

from rtc_voice.synthesis.wavenet import WaveNet, WaveNetConfig

HOP = 24
SMALL = WaveNetConfig(fold=6, inputs=2, features=5, embedding=8, channels=16, layers=4, dilation_cycle=3)


@pytest.fixture
def net() -> WaveNet:
    torch.manual_seed(3)
    net = WaveNet(SMALL, HOP).double()
    nn.init.normal_(net.out.weight, std=0.1)  # as if trained
    return net


def inputs(batch: int, hops: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(5)
    signals = torch.randn(batch, 2, hops * HOP, generator=generator, dtype=torch.float64)
    rows = torch.randn(batch, hops, 5, generator=generator, dtype=torch.float64)
    return signals, rows, 0.5 + torch.rand(batch, hops, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("hops", [1, 3, 10])
def test_chunks_match_whole_signal(net: WaveNet, hops: int) -> None:
    signals, rows, loudness = inputs(2, 30)
    with torch.no_grad():
        whole = net.step(signals, rows, loudness, net.init_state(2))
        state = net.init_state(2)
        chunks = zip(
            torch.split(signals, hops * HOP, dim=2),
            torch.split(rows, hops, dim=1),
            torch.split(loudness, hops, dim=1),
            strict=True,
        )
        parts = [net.step(*chunk, state) for chunk in chunks]
    torch.testing.assert_close(torch.cat(parts, dim=1), whole, rtol=0, atol=1e-12)


def test_batch_row_is_as_alone_and_the_voice_of_a_row_is_its_own(net: WaveNet) -> None:
    signals, rows, loudness = inputs(3, 10)
    voices = torch.randn(3, 8, dtype=torch.float64)
    with torch.no_grad():
        state = net.init_state(3)
        state["bias"].copy_(net.voice_bias(voices))
        together = net.step(signals, rows, loudness, state)
        alone_state = net.init_state(1)
        alone_state["bias"].copy_(net.voice_bias(voices[1:2]))
        alone = net.step(signals[1:2], rows[1:2], loudness[1:2], alone_state)
        neutral = net.step(signals[1:2], rows[1:2], loudness[1:2], net.init_state(1))
    torch.testing.assert_close(together[1:2], alone, rtol=0, atol=1e-12)
    assert float((alone - neutral).abs().max()) > 1e-3


def test_receptive_field_by_gradient(net: WaveNet) -> None:
    signals, rows, loudness = inputs(1, 30)
    signals.requires_grad_()
    at = 20 * HOP
    net.step(signals, rows, loudness, net.init_state(1))[0, at].backward()  # type: ignore[no-untyped-call]
    assert signals.grad is not None
    touched = torch.nonzero(signals.grad[0].abs().sum(dim=0)).flatten()
    assert touched.max() == at + SMALL.fold - 1  # its own fold
    assert touched.max() - touched.min() + 1 == net.receptive_field


def test_untrained_it_changes_nothing() -> None:
    signals, rows, loudness = inputs(1, 5)
    net = WaveNet(SMALL, HOP).double()
    assert not bool(net.step(signals, rows, loudness, net.init_state(1)).any())


def test_the_correction_is_as_loud_as_the_speech(net: WaveNet) -> None:
    signals, rows, loudness = inputs(1, 10)
    soft = signals.clone()
    soft[:, 0] *= 0.01
    with torch.no_grad():
        loud_state, soft_state = net.init_state(1), net.init_state(1)
        loud_state["gain"].fill_(1.0)
        soft_state["gain"].fill_(0.01)
        at_1 = net.step(signals, rows, loudness, loud_state)
        at_001 = net.step(soft, rows, loudness * 0.01, soft_state)
    torch.testing.assert_close(at_001, at_1 * 0.01, rtol=0, atol=1e-12)
