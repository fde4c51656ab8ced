import numpy as np
import pytest

from rtc_voice.voices.ages import f0_shift_semitones, tract_factor, voice_maleness


def test_adults_up_to_forty_five_are_left_alone() -> None:
    for age in (20.0, 30.0, 45.0):
        for male in (0.0, 0.4, 1.0):
            assert voice_maleness(male, age) == male
            assert f0_shift_semitones(male, age) == 0
            assert tract_factor(male, age) == 1


def test_a_girl_of_eight_is_as_high_as_the_source_says() -> None:
    # 259.5 Hz at 8 against 223.5 Hz at 16.
    assert f0_shift_semitones(0.0, 8.0) == pytest.approx(12 * np.log2(259.5 / 223.5), abs=0.02)


def test_old_women_fall_and_old_men_rise() -> None:
    assert f0_shift_semitones(0.0, 70.0) == pytest.approx(-1.6)
    assert f0_shift_semitones(1.0, 90.0) == pytest.approx(2.0)


@pytest.mark.parametrize("male", [0.0, 1.0])
def test_no_birthday_makes_a_jump(male: float) -> None:
    ages = np.arange(0.0, 110.0, 0.1)
    shifts = [f0_shift_semitones(voice_maleness(male, age), age) for age in ages]
    tracts = [tract_factor(voice_maleness(male, age), age) for age in ages]
    assert np.abs(np.diff(shifts)).max() < 0.15
    assert np.abs(np.diff(tracts)).max() < 0.01
