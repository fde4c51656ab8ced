import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rtc_voice.rtc.jitter import DELAY_WINDOW_S, GRACE_S, MAX_DELAY_S, AudioPacket
from tests.rtc.packets import FRAME_S, TICKS, Playback, packet

RESERVE_S = 0.008  # less than the queue behind the buffer keeps


def in_order(count: int, first: int = 0, at_s: float = 10.0) -> list[tuple[float, AudioPacket]]:
    return [(at_s + n * FRAME_S, packet(n)) for n in range(first, first + count)]


def jittery(
    rng: np.random.Generator, count: int, jitter_s: float, reordered: float = 0.0
) -> list[tuple[float, AudioPacket]]:
    """Uniform jitter of packets that overtake each other only where ``reordered``."""
    times = np.maximum.accumulate(10 + np.arange(count) * FRAME_S + rng.uniform(0, jitter_s, count))
    late = rng.random(count) < reordered
    return [(float(t) + (0.025 if late[n] else 0), packet(n)) for n, t in enumerate(times)]


def test_a_clean_network_costs_nothing() -> None:
    play = Playback().run(in_order(200))
    assert [time for time, _ in play.played] == [time for time, _ in in_order(200)]
    assert play.metrics.counters == {"received_packets": 200, "played_packets": 200}
    assert play.buffer.delay_s == 0


@pytest.mark.parametrize(
    ("first", "timestamp"), [(65_530, 0), (0, (1 << 32) - 5 * TICKS), (65_534, (1 << 32) - 2 * TICKS)]
)
def test_sequence_numbers_and_timestamps_wrap(first: int, timestamp: int) -> None:
    sent = [packet(n, first=first, first_timestamp=timestamp) for n in range(12)]
    arrivals = [(10 + n * FRAME_S, one) for n, one in enumerate(sent)]
    del arrivals[6]
    expected = [one.number if n != 6 else None for n, one in enumerate(sent)]
    assert Playback().run(arrivals).numbers == expected


def test_packets_that_overtake_each_other_are_played_in_order(rng: np.random.Generator) -> None:
    arrivals = [(time + rng.uniform(0, 0.06), one) for time, one in in_order(500)]
    overtaken = sum(a > b for (a, _), (b, _) in zip(arrivals, arrivals[1:], strict=False))
    assert overtaken > 100
    play = Playback().run(arrivals)
    numbers = [number for number in play.numbers if number is not None]
    assert numbers == sorted(numbers)
    assert len(numbers) > 490
    assert None not in play.numbers[50:]


def test_a_lost_packet_is_concealed_in_time_and_the_delay_stays() -> None:
    arrivals = in_order(60)
    del arrivals[20]
    play = Playback().run(arrivals)
    assert play.numbers == [1_000 + n if n != 20 else None for n in range(60)]
    assert play.played[20][0] == pytest.approx(10 + 20 * FRAME_S + GRACE_S)
    assert play.played[-1][0] == arrivals[-1][0]
    assert play.buffer.delay_s == 0
    assert play.metrics.counters["concealed_ms"] == 20


def test_the_packet_after_a_hole_is_at_hand_for_its_copy_when_it_is_there() -> None:
    arrivals = jittery(np.random.default_rng(1), 200, 0.05)
    del arrivals[150]
    play = Playback().run(arrivals)
    hole = next(piece for _, piece in play.played[140:] if piece.packet is None)
    assert hole.following == b"x"


@pytest.mark.parametrize("share", [0.01, 0.05, 0.2])
def test_random_loss_costs_no_delay_and_no_packet(rng: np.random.Generator, share: float) -> None:
    arrivals = [arrival for arrival in in_order(2_000) if rng.random() > share]
    play = Playback().run(arrivals)
    assert play.metrics.counters["played_packets"] == len(arrivals)
    assert play.starved_s(RESERVE_S) == 0
    assert play.played[-1][0] == arrivals[-1][0]


def test_jitter_of_30_ms_and_reordering_leave_no_gap(rng: np.random.Generator) -> None:
    arrivals = jittery(rng, 3_000, 0.03, reordered=0.02)
    play = Playback().run(arrivals)
    assert play.starved_s(RESERVE_S) == 0
    assert play.metrics.counters["played_packets"] > 0.985 * len(arrivals)
    assert play.metrics.counters["concealed_ms"] < 0.015 * 20 * len(arrivals)
    assert 0.025 < play.buffer.delay_s < 0.06


def test_a_little_more_jitter_is_met_with_a_little_more_delay(rng: np.random.Generator) -> None:
    """A step would be cut out behind the buffer when it is not needed, and missing when it is."""
    held = []
    for jitter_s in np.arange(0.001, 0.012, 0.0005):
        buffer = Playback().run(jittery(rng, 200, float(jitter_s))).buffer
        held.append(buffer.delay_s)
    assert held[0] == 0
    assert max(np.diff(held)) < 0.002
    assert held[-1] == pytest.approx(0.0115, abs=0.001)


def test_the_delay_grows_at_once_and_shrinks_within_seconds(rng: np.random.Generator) -> None:
    arrivals = in_order(100)
    arrivals += [(time + rng.uniform(0, 0.04), one) for time, one in in_order(100, first=100)]
    play = Playback().run(arrivals[:108])
    assert play.buffer.delay_s > 0.01
    play.run(arrivals[108:])
    assert play.buffer.delay_s > 0.03
    calm = in_order(int(DELAY_WINDOW_S / FRAME_S) + 2, first=200)
    play.run(calm)
    assert play.buffer.delay_s == 0
    assert play.played[-1][0] == calm[-1][0]


def test_a_stall_is_bridged_and_its_burst_is_played_evenly() -> None:
    arrivals = [(time + 0.1 * (50 <= n < 55) * (1 - (n - 50) / 5), one) for n, (time, one) in enumerate(in_order(200))]
    play = Playback().run(arrivals)
    assert play.starved_s(RESERVE_S) == 0
    assert play.metrics.counters["late_packets"] <= 2
    assert play.played[-1][0] == arrivals[-1][0]


def test_a_slower_way_is_followed() -> None:
    play = Playback().run(in_order(100) + [(time + 0.08, one) for time, one in in_order(900, first=100)])
    assert play.starved_s(RESERVE_S) == 0
    assert play.metrics.counters["late_packets"] <= 3


def test_late_and_repeated_packets_are_dropped_and_told_apart() -> None:
    arrivals = in_order(60)
    arrivals.append((arrivals[12][0] + 0.002, arrivals[12][1]))
    arrivals[40] = (arrivals[40][0] + 0.07, arrivals[40][1])
    play = Playback().run(arrivals)
    assert play.numbers == [1_000 + n if n != 40 else None for n in range(60)]
    assert play.metrics.counters["repeated_packets"] == 1
    assert play.metrics.counters["late_packets"] == 1


def test_a_pause_ends_concealment_and_the_next_packet_is_played_at_once() -> None:
    play = Playback().run(in_order(50), until_s=20)
    assert play.buffer.is_paused and play.buffer.wake_s() is None
    assert play.metrics.counters["concealed_ms"] == 200
    later = [(20 + n * FRAME_S, packet(n + 50)) for n in range(50)]  # its timestamps stood still meanwhile
    play.run(later)
    assert [time for time, _ in play.played[-50:]] == [time for time, _ in later]


def test_a_pause_announced_by_the_timestamps_is_not_concealed() -> None:
    arrivals = in_order(50)
    arrivals += [
        (time + 0.1, AudioPacket(one.number, one.timestamp + 5 * TICKS, 7, TICKS, b"x"))
        for time, one in in_order(5, 50)
    ]
    play = Playback()
    play.run(arrivals)
    assert play.played[-5][0] == arrivals[50][0]


def test_another_source_begins_anew() -> None:
    others = [(11.1 + n * FRAME_S, packet(n, first=9, first_timestamp=123, source=8)) for n in range(5)]
    play = Playback().run(in_order(50) + others)
    assert play.numbers[-5:] == [9, 10, 11, 12, 13]
    assert [time for time, _ in play.played[-5:]] == [time for time, _ in others]


@pytest.mark.parametrize("jump", [100 * TICKS * 3, -100 * TICKS * 3, 1 << 31])
def test_a_timestamp_far_off_begins_anew(jump: int) -> None:
    moved = [
        (time, AudioPacket(one.number, (one.timestamp + jump) % (1 << 32), 7, TICKS, b"x"))
        for time, one in in_order(5, 50)
    ]
    play = Playback().run(in_order(50) + moved)
    assert play.numbers[-5:] == [1_050 + n for n in range(5)]


def test_clocks_that_drift_apart_cost_nothing() -> None:
    for drift in (-2e-4, 2e-4):
        arrivals = [(time * (1 + drift), one) for time, one in in_order(6_000)]
        play = Playback().run(arrivals)
        assert play.metrics.counters["played_packets"] == 6_000
        assert play.metrics.counters["concealed_ms"] == 0


@settings(deadline=None, max_examples=2_000, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(
        st.tuples(
            st.sampled_from([1, 1, 1, 1, 1, 1, 0, 2]),  # copies that arrive
            st.sampled_from([0.0, 0.0, 0.0, 0.001, 0.02, 0.05, 0.3, 1.0]),  # delay
            st.sampled_from([0, 0, 0, 0, 0, 1, 481, 1 << 16, 1 << 31]),  # damage to the timestamp
        ),
        min_size=1,
        max_size=60,
    ),
    st.integers(0, (1 << 16) - 1),
    st.integers(0, (1 << 32) - 1),
)
def test_whatever_the_network_does_packets_come_once_and_the_buffer_comes_to_rest(
    fates: list[tuple[int, float, int]], first: int, first_timestamp: int
) -> None:
    arrivals = []
    for n, (copies, delay_s, damage) in enumerate(fates):
        one = packet(n, first=first, first_timestamp=first_timestamp)
        one = AudioPacket(one.number, (one.timestamp + damage) % (1 << 32), 7, TICKS, b"x")
        arrivals += [(10 + n * FRAME_S + delay_s + 0.004 * copy, one) for copy in range(copies)]
    play = Playback().run(arrivals, until_s=10_000)
    counts = play.metrics.counters
    numbers = [number for number in play.numbers if number is not None]
    assert all(a <= b for (a, _), (b, _) in zip(play.played, play.played[1:], strict=False))
    assert len(numbers) == counts["played_packets"] <= counts["received_packets"] == len(arrivals)
    assert play.buffer.wake_s() is None
    assert 0 <= play.buffer.delay_s <= MAX_DELAY_S
    if not any(damage for _, _, damage in fates):
        assert len(numbers) == len(set(numbers))
