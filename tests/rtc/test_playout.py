import threading

import numpy as np
import pytest

from rtc_voice.metrics import Metrics
from rtc_voice.rtc.playout import (
    FIRST_RESERVE_S,
    FIRST_WINDOW,
    LAST_RESERVE_S,
    REFILL_CHUNKS,
    ChunkQueue,
    Samples,
    StandingLatency,
)
from tests.rtc.conftest import JumpClock


def ramp(start: int, count: int) -> Samples:
    return np.arange(start, start + count, dtype=np.float32)


def test_samples_come_out_in_order_whatever_the_sizes(rng: np.random.Generator) -> None:
    queue = ChunkQueue(24_000, max_chunks=1_000)
    whole = rng.standard_normal(5_000).astype(np.float32)
    for chunk in np.split(whole, np.sort(rng.integers(0, 5_000, 40))):
        assert queue.push(chunk)
    pulled = []
    while (samples := queue.pull(480)) is not None:
        pulled.append(samples)
    np.testing.assert_array_equal(np.concatenate(pulled), whole)
    assert [part.size for part in pulled[:-1]] == [480] * 10
    assert queue.waiting_samples == 0


def test_a_full_queue_refuses_and_counts() -> None:
    metrics = Metrics()
    queue = ChunkQueue(24_000, max_chunks=2, metrics=metrics)
    assert queue.push(ramp(0, 480)) and queue.push(ramp(480, 480))
    assert queue.room() == 0
    assert not queue.push(ramp(960, 480))
    assert metrics.counters["refused_chunks"] == 1
    assert queue.push(ramp(0, 0), mark="end")
    queue.pull(480)
    assert queue.room() == 1


def test_how_late_a_missed_chunk_came_is_recorded_once() -> None:
    metrics, clock = Metrics(), JumpClock()
    queue = ChunkQueue(24_000, max_chunks=9, metrics=metrics, clock=clock)
    queue.pull(480)  # nobody speaks: nothing is missed
    clock.time += 1
    queue.push(ramp(0, 480))
    queue.pull(480)
    queue.expecting = queue.live = True
    for _ in range(2):  # missed twice
        queue.pull(480)
        clock.time += 0.02
    queue.push(ramp(480, 480))
    queue.push(ramp(960, 480))
    assert metrics.times["chunk_late_ms"].summary() == {"p50": 40, "p95": 40, "p99": 40, "max": 40, "n": 1}


def test_a_half_played_chunk_keeps_its_place() -> None:
    queue = ChunkQueue(24_000, max_chunks=1)
    queue.push(ramp(0, 480))
    queue.pull(100)
    assert queue.room() == 0
    assert queue.waiting_samples == 380


def test_marks_say_when_their_first_sample_is_played() -> None:
    queue = ChunkQueue(24_000, max_chunks=10)
    seen: list[tuple[str, float]] = []
    queue.on_mark = lambda mark, time: seen.append((mark, time))
    queue.push(ramp(0, 240), mark="one")
    queue.push(ramp(0, 480), mark="two")
    queue.push(ramp(0, 0), mark="end")
    queue.pull(480, time_s=10.0)
    assert seen == [("one", 10.0), ("two", 10.01)]
    queue.pull(480, time_s=10.02)
    assert seen[2][0] == "end"
    assert seen[2][1] == pytest.approx(10.03)


def test_a_mark_behind_the_last_sample_does_not_wait_for_the_next_pull() -> None:
    queue = ChunkQueue(24_000, max_chunks=10)
    seen: list[str] = []
    queue.on_mark = lambda mark, time: seen.append(mark)
    queue.push(ramp(0, 480))
    queue.push(ramp(0, 0), mark="end")
    queue.pull(480)
    assert seen == ["end"]


def test_clearing_drops_sound_and_marks() -> None:
    queue = ChunkQueue(24_000, max_chunks=1)
    seen: list[str] = []
    queue.on_mark = lambda mark, time: seen.append(mark)
    queue.push(ramp(0, 480), mark="one")
    queue.clear()
    assert queue.pull(480) is None
    assert seen == []
    assert queue.room() == 1


def test_two_threads_lose_nothing() -> None:
    queue = ChunkQueue(24_000, max_chunks=8)

    def make() -> None:
        for start in range(0, 40_000, 100):
            while not queue.push(ramp(start, 100)):
                pass

    maker = threading.Thread(target=make)
    maker.start()
    pulled: list[Samples] = []
    while sum(part.size for part in pulled) < 40_000:
        if (samples := queue.pull(480)) is not None:
            pulled.append(samples)
    maker.join()
    np.testing.assert_array_equal(np.concatenate(pulled), ramp(0, 40_000))


class LiveLine:
    """A live queue that is pulled every 20 ms, ``phase_s`` after each chunk comes."""

    def __init__(self, phase_s: float) -> None:
        self.clock = JumpClock()
        self.metrics = Metrics()
        self.queue = ChunkQueue(24_000, 100, self.metrics, self.clock)
        self.queue.live = self.queue.expecting = True
        self.phase_s = phase_s

    def step(self, chunk: Samples, mark: str | None = None) -> Samples | None:
        self.queue.push(chunk, mark)
        self.clock.time += self.phase_s
        samples = self.queue.pull(480, self.clock.now())
        self.clock.time += 0.02 - self.phase_s
        return samples


def test_live_speech_begins_with_a_reserve_so_that_the_next_chunk_may_be_slower() -> None:
    line = LiveLine(phase_s=0.001)
    silence = line.step(ramp(1, 480))
    assert silence is not None and silence.size == 480 and not silence.any()
    for number in range(1, 4):
        line.clock.time += 0.005 * (number == 2)  # slower than the pull that would have taken it at once
        heard = line.step(ramp(480 * number + 1, 480))
        np.testing.assert_array_equal(heard, ramp(480 * (number - 1) + 1, 480))
    line.queue.expecting = False  # a pause: what comes after it begins anew
    while line.queue.pull(480, line.clock.now()) is not None:
        pass
    line.queue.expecting = True
    again = line.step(ramp(1, 480))
    assert again is not None and not again.any()


def test_live_latency_that_is_never_needed_is_cut_out_without_a_step() -> None:
    line = LiveLine(phase_s=FIRST_RESERVE_S + 0.001)
    tone = np.cos(2 * np.pi * 50 * np.arange(480 * 140) / 24_000).astype(np.float32)  # 20 ms hold one period
    chunks = list(np.split(tone, 140))
    for chunk in chunks[:3]:
        line.queue.push(chunk)  # a burst at the start
    out, hurries = [], []
    for chunk in chunks[3:]:
        out.append(line.step(chunk))
        hurries.append(line.queue.hurry_s)
    assert max(hurries) == pytest.approx(0.001)  # what is left of 73 ms after three frames and the reserve
    assert line.queue.waiting_samples == 0
    assert line.metrics.counters["cut_samples"] == 3 * 480
    whole = np.concatenate([samples for samples in out if samples is not None])
    assert whole.size == 137 * 480
    assert np.abs(np.diff(whole)).max() < 1.05 * 2 * np.pi * 50 / 24_000


def test_a_chunk_that_waits_for_its_pull_asks_for_an_earlier_one() -> None:
    line = LiveLine(phase_s=0.015)
    hurries = []
    for _ in range(FIRST_WINDOW):
        line.step(ramp(0, 480))
        hurries.append(line.queue.hurry_s)
    excess = pytest.approx(0.015 - FIRST_RESERVE_S)
    # As it sets in, and since that was of no avail, once it is sure.
    assert hurries == [excess, *[0] * (FIRST_WINDOW - 2), excess]
    assert line.metrics.counters["cut_samples"] == 0


def test_latency_that_is_needed_now_and_then_is_kept() -> None:
    line = LiveLine(phase_s=FIRST_RESERVE_S)
    line.queue.push(ramp(0, 480))
    nothing = ramp(0, 0)
    for number in range(200):
        line.step(nothing if number % 10 == 1 else ramp(0, 480))
        if number % 10 == 1:  # every tenth chunk comes just after its pull
            line.queue.push(ramp(0, 480))
    assert line.metrics.counters["cut_samples"] == 0


def test_a_late_chunk_after_a_cut_makes_cutting_more_patient() -> None:
    standing = StandingLatency()
    for _ in range(10):
        assert standing.excess_s(9.0, late=True) == 0  # nothing has come yet, and nothing was cut
    cuts = [standing.excess_s(0.02, late=False) for _ in range(FIRST_WINDOW)]
    assert cuts == [0] * (FIRST_WINDOW - 1) + [pytest.approx(0.02 - FIRST_RESERVE_S)]
    for _ in range(20):
        standing.excess_s(0.02, late=False)
    standing.excess_s(0.0, late=True)
    patient = 2 * FIRST_WINDOW
    assert [standing.excess_s(0.03, late=False) for _ in range(patient)] == [0] * (patient - 1) + [
        pytest.approx(0.03 - LAST_RESERVE_S)
    ]


def test_a_reserve_that_grew_shrinks_in_calm_times() -> None:
    standing = StandingLatency()
    for _ in range(3):  # cut, and late after it: the reserve is at its largest
        while not standing.excess_s(0.05, late=False):
            pass
        standing.excess_s(0.0, late=True)
    cuts = [standing.excess_s(0.02, late=False) for _ in range(50 * 60)]  # a minute
    assert sum(cuts[: 50 * 10]) == 0
    assert max(cuts[-FIRST_WINDOW:]) == pytest.approx(0.02 - FIRST_RESERVE_S)


def test_what_is_made_ahead_is_not_cut() -> None:
    line = LiveLine(phase_s=0.015)
    line.queue.live = False
    for _ in range(40):
        line.queue.push(ramp(0, 480))
    for _ in range(60):
        line.step(ramp(0, 480))
        assert line.queue.hurry_s == 0
    assert line.queue.waiting_samples == 40 * 480


def test_marks_in_what_is_cut_are_still_told() -> None:
    line = LiveLine(phase_s=FIRST_RESERVE_S + 0.001)
    seen: list[str] = []
    line.queue.on_mark = lambda mark, time: seen.append(mark)
    for number in range(4):
        line.queue.push(ramp(0, 480), mark=str(number))
    for number in range(4, 4 + 2 * FIRST_WINDOW):
        line.step(ramp(0, 480), mark=str(number))
    assert line.metrics.counters["cut_samples"] > 0
    assert seen == [str(number) for number in range(4 + 2 * FIRST_WINDOW)]


def test_typed_speech_that_ran_dry_goes_on_when_it_has_a_reserve() -> None:
    queue = ChunkQueue(24_000, 10)
    chunk = np.ones(480, np.float32)
    queue.expecting = True
    queue.push(chunk)
    assert queue.pull(480) is not None
    assert queue.pull(480) is None
    for _ in range(REFILL_CHUNKS - 1):
        queue.push(chunk)
        assert queue.pull(480) is None
    queue.push(chunk)
    assert all(queue.pull(480) is not None for _ in range(REFILL_CHUNKS))


@pytest.mark.parametrize("name", ["expecting", "live"])
def test_the_end_of_a_text_and_live_speech_do_not_wait_for_a_reserve(name: str) -> None:
    queue = ChunkQueue(24_000, 10)
    queue.expecting = True
    assert queue.pull(480) is None
    setattr(queue, name, name == "live")
    queue.push(np.ones(480, np.float32))
    assert queue.pull(480) is not None
