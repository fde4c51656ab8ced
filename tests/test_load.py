import pytest

from rtc_voice.errors import CapacityError
from rtc_voice.load import KNOWN_S, SLOWER_S, SLOWEST_S, WINDOW, Load


def loaded(*, lag_s: float = 0.0, share: float = 0.0, looks: int = WINDOW, ticks_per_chunk: float = 1.0) -> Load:
    load = Load()
    for n in range(looks):
        load.add(0.05 * n, lag_s, 0.05 * n * share, round(0.05 * n / 0.02 * ticks_per_chunk))
    return load


def test_an_engine_that_always_works_in_short_ticks_is_not_full() -> None:
    load = loaded(share=1.0, ticks_per_chunk=3)
    assert load.share == pytest.approx(1 / 3, rel=0.02)
    load.check()
    assert load.picture_interval_s() == 0


def test_an_idle_machine_takes_calls_and_looks_at_every_picture() -> None:
    load = loaded(lag_s=0.002, share=0.2)
    load.check()
    assert load.picture_interval_s() == 0


@pytest.mark.parametrize(("share", "interval_s"), [(0.0, KNOWN_S), (0.1, SLOWER_S), (0.95, SLOWEST_S)])
def test_a_face_whose_voice_is_known_waits_while_anybody_speaks(share: float, interval_s: float) -> None:
    assert loaded(share=share).picture_interval_s(has_voice=True) == interval_s


@pytest.mark.parametrize(("lag_s", "share"), [(0.03, 0.0), (0.0, 0.7)])
def test_pictures_wait_before_calls_are_refused(lag_s: float, share: float) -> None:
    load = loaded(lag_s=lag_s, share=share)
    load.check()
    assert load.picture_interval_s() == SLOWER_S


@pytest.mark.parametrize(("lag_s", "share", "reason"), [(0.15, 0.0, "150 ms behind"), (0.0, 0.95, "95%")])
def test_an_overloaded_machine_says_why_it_refuses(lag_s: float, share: float, reason: str) -> None:
    load = loaded(lag_s=lag_s, share=share)
    with pytest.raises(CapacityError, match=reason):
        load.check()
    assert load.picture_interval_s() == SLOWEST_S


def test_one_hiccup_refuses_nobody() -> None:
    load = loaded(lag_s=0.001)
    load.add(2.0, 3.0, 0.0, 0)
    load.check()
    assert load.picture_interval_s() == 0


def test_overload_passes_when_it_is_over() -> None:
    load = loaded(lag_s=0.2, share=1.0)
    for n in range(WINDOW):
        load.add(2 + 0.05 * n, 0.0, 2.0, 100)
    load.check()


def test_nothing_is_refused_before_enough_has_been_seen() -> None:
    loaded(lag_s=1.0, share=1.0, looks=WINDOW - 1).check()
