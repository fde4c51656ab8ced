from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtc_voice.metrics import Metrics
from rtc_voice.rtc.jitter import MAX_MISORDER, ReorderBuffer


@dataclass
class Numbered:
    sequence_number: int


def handed_over(numbers: list[int]) -> tuple[list[list[int]], Metrics]:
    metrics = Metrics()
    buffer: ReorderBuffer[Numbered] = ReorderBuffer(metrics)
    return [[packet.sequence_number for packet in buffer.add(Numbered(n))] for n in numbers], metrics


def test_packets_in_order_go_through_at_once() -> None:
    out, metrics = handed_over([7, 8, 9])
    assert out == [[7], [8], [9]]
    assert not metrics.counters


def test_sequence_numbers_wrap() -> None:
    assert handed_over([65_534, 65_535, 0, 1])[0] == [[65_534], [65_535], [0], [1]]
    assert handed_over([65_534, 0, 65_535, 1])[0] == [[65_534], [], [65_535, 0], [1]]


def test_swapped_packets_come_out_in_order() -> None:
    out, metrics = handed_over([1, 3, 2, 4])
    assert out == [[1], [], [2, 3], [4]]
    assert not metrics.counters


def test_a_hole_is_given_up_after_two_later_packets() -> None:
    out, metrics = handed_over([1, 3, 4, 5])
    assert out == [[1], [], [3, 4], [5]]
    assert metrics.counters["lost_packets"] == 1


def test_a_wide_hole_is_counted_whole() -> None:
    out, metrics = handed_over([1, 10, 11])
    assert out == [[1], [], [10, 11]]
    assert metrics.counters["lost_packets"] == 8


def test_two_holes_in_a_row_are_each_given_up() -> None:
    out, metrics = handed_over([1, 3, 5, 6, 7])
    assert out == [[1], [], [3], [5, 6], [7]]
    assert metrics.counters["lost_packets"] == 2


def test_late_and_repeated_packets_are_dropped_and_counted() -> None:
    out, metrics = handed_over([1, 3, 3, 4, 2, 4, 5])
    assert out == [[1], [], [], [3, 4], [], [], [5]]
    assert metrics.counters["late_packets"] == 3


@pytest.mark.parametrize("restart", [1 + MAX_MISORDER + 2, 40_000, 65_000])
def test_a_far_jump_starts_a_new_sequence(restart: int) -> None:
    assert handed_over([1, restart, restart + 1])[0] == [[1], [restart], [restart + 1]]


@settings(deadline=None)  # a busy machine is no failure
@given(st.permutations(range(8)), st.sets(st.integers(0, 7)))
def test_whatever_comes_goes_out_at_most_once_and_in_order(order: list[int], lost: set[int]) -> None:
    out, metrics = handed_over([100, *(101 + n for n in order if n not in lost), *range(109, 115)])
    flat = [number for ready in out for number in ready]
    assert flat == sorted(set(flat))
    assert flat[-6:] == list(range(109, 115))
    assert len(flat) + metrics.counters["late_packets"] == 15 - len(lost)
