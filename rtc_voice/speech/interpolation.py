"""Reading between the points of a row."""

from torch import Tensor


def lerp(values: Tensor, position: Tensor) -> Tensor:
    """``values`` read linearly between their points.

    Args:
        values: ``[..., N]``.
        position: fractional indices in 0 to ``N - 1``, ``[..., M]`` or broadcast to that; ``[M]`` are read soonest.

    Returns:
        ``[..., M]``.
    """
    left = position.floor().long().clamp(max=values.shape[-1] - 2)
    weight = position - left
    if position.dim() == 1:
        return between(values.index_select(-1, left), values.index_select(-1, left + 1), weight)
    left = left.expand(*values.shape[:-1], left.shape[-1])
    return between(values.gather(-1, left), values.gather(-1, left + 1), weight)


def between(start: Tensor, end: Tensor, weight: Tensor | float) -> Tensor:
    """``torch.lerp`` in one way for all weights: it has two, both of which an exported graph would take."""
    return start + weight * (end - start)
