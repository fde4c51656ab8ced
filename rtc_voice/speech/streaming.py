"""State that moves in place: the few operations that every streaming part shares.

A part's state is a tensor or a dict of states, batch first; row ``b`` belongs to voice ``b`` for as long as it lives.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

State = dict[str, Any]
"""Named tensors (batch first), or further states."""


def map_state(function: Callable[..., Any], *states: State) -> State:
    """The state made of ``function`` applied to the tensors that have the same name in all ``states``."""
    first = states[0]
    return {
        name: map_state(function, *(s[name] for s in states))
        if isinstance(first[name], dict)
        else function(*(s[name] for s in states))
        for name in first
    }


def take_rows(state: State, rows: Tensor) -> State:
    """A copy of the rows ``rows`` (int64 ``[R]``) of ``state``."""
    return map_state(lambda t: t.index_select(0, rows), state)


def view_rows(state: State, first: int, count: int) -> State:
    """``count`` neighbouring rows of ``state`` from ``first`` on, not copied: what moves them moves ``state``."""
    return map_state(lambda t: t[first : first + count], state)


def put_rows(state: State, rows: Tensor, values: State) -> None:
    """Write ``values`` (of ``R`` rows, or one to repeat) into the rows ``rows`` of ``state``, in place."""
    map_state(lambda t, v: t.index_copy_(0, rows, v.expand(len(rows), *v.shape[1:])), state, values)


def slide(history: Tensor, chunk: Tensor, dim: int = -1) -> Tensor:
    """``history`` followed by ``chunk`` along ``dim``; ``history`` then holds the newest of it, in place."""
    joined = torch.cat([history, chunk], dim=dim)
    history.copy_(joined.narrow(dim, joined.shape[dim] - history.shape[dim], history.shape[dim]))
    return joined
