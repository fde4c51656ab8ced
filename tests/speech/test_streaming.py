"""Rows of a state can be taken, put and slid without touching the others."""

import torch

from rtc_voice.speech.streaming import State, put_rows, slide, take_rows


def test_rows_go_out_and_back_and_leave_the_others() -> None:
    state: State = {"a": torch.arange(4.0).unsqueeze(1), "b": {"c": torch.arange(8.0).reshape(4, 2)}}
    address = state["b"]["c"].data_ptr()
    rows = torch.tensor([3, 1])
    taken = take_rows(state, rows)
    assert taken["a"].flatten().tolist() == [3, 1]
    taken["a"] += 10
    taken["b"]["c"] += 10
    put_rows(state, rows, taken)
    assert state["a"].flatten().tolist() == [0, 11, 2, 13]
    assert state["b"]["c"].tolist() == [[0, 1], [12, 13], [4, 5], [16, 17]]
    assert state["b"]["c"].data_ptr() == address


def test_one_row_is_repeated_into_many() -> None:
    state = {"a": torch.zeros(3, 2)}
    put_rows(state, torch.tensor([0, 2]), {"a": torch.ones(1, 2)})
    assert state["a"].tolist() == [[1, 1], [0, 0], [1, 1]]


def test_slide_keeps_the_newest() -> None:
    history = torch.tensor([[1.0, 2.0, 3.0]])
    address = history.data_ptr()
    assert slide(history, torch.tensor([[4.0]])).tolist() == [[1, 2, 3, 4]]
    assert history.tolist() == [[2, 3, 4]]
    assert slide(history, torch.arange(5.0, 10.0).unsqueeze(0)).shape == (1, 8)
    assert history.tolist() == [[7, 8, 9]]
    assert history.data_ptr() == address
