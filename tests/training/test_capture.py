"""A step of training, and the same as a CUDA graph."""

import pytest
import torch
from torch import Tensor

from rtc_voice.training.capture import Captured


def trained(device: str, steps: int) -> tuple[list[float], Tensor]:
    """The losses of a small network, learnt step by step, and its weights."""
    torch.manual_seed(0)
    network = torch.nn.Linear(8, 1).to(device)
    rate = torch.tensor(0.05, device=device)
    optimizer = torch.optim.AdamW(network.parameters(), lr=rate, capturable=device == "cuda")
    draw = torch.Generator(device)

    def step(x: Tensor, noise: Tensor) -> Tensor:
        y = x.sum(dim=1, keepdim=True) + noise * torch.rand(len(x), 1, generator=draw, device=x.device)
        loss: Tensor = (network(x) - y).square().mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        return loss.detach()

    captured = Captured(step, torch.device(device), [draw])
    inputs = [torch.randn(16, 8, generator=torch.Generator().manual_seed(n)) for n in range(steps)]
    losses = [float(captured(x, torch.tensor(0.0))) for x in inputs]
    return losses, network.weight.detach().cpu()


def test_a_step_learns() -> None:
    losses, _ = trained("cpu", 200)
    assert losses[-1] < 0.1 * losses[0]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_graph_learns_what_single_steps_do() -> None:
    one, other = trained("cpu", 60), trained("cuda", 60)
    assert one[0] == pytest.approx(other[0], rel=1e-2)
    torch.testing.assert_close(one[1], other[1], rtol=1e-3, atol=1e-3)
