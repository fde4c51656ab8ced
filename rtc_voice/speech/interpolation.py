"""Reading between the points of a row."""

from torch import Tensor


def lerp(values: Tensor, position: Tensor) -> Tensor:
    """``values`` read linearly between their points.

    Args:
        values: ``[..., N]``.
        position: fractional indices in 0 to ``N - 1``, ``[..., M]`` or broadcast to that.

    Returns:
        ``[..., M]``.
    """
    position = position.expand(*values.shape[:-1], position.shape[-1])
    left = position.floor().long().clamp(max=values.shape[-1] - 2)
    weight = position - left
    read: Tensor = values.gather(-1, left) * (1 - weight) + values.gather(-1, left + 1) * weight
    return read
