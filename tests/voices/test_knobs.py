import math

import numpy as np
import pytest

from rtc_voice.errors import InputError
from rtc_voice.voices.knobs import apply
from rtc_voice.voices.types import Knobs, Voice

VOICE = Voice(np.full(256, 1 / 16, dtype=np.float32), f0_hz=120.0, f0_range_semitones=3.0, tract=1.05)


def test_defaults_change_nothing() -> None:
    assert apply(VOICE, Knobs()) == VOICE


def test_each_knob_turns_its_own_trait() -> None:
    turned = apply(VOICE, Knobs(pitch_semitones=12.0, size=1.1, brightness_db=-6.0))
    assert turned.f0_hz == pytest.approx(240.0)
    assert turned.tract == pytest.approx(1.155)
    assert turned.tilt_db == -6.0
    assert turned.f0_range_semitones == VOICE.f0_range_semitones
    assert turned.embedding is VOICE.embedding


def test_pitch_stays_where_the_synthesiser_can_follow() -> None:
    high = Voice(VOICE.embedding, f0_hz=300.0, f0_range_semitones=3.0, tract=0.8)
    assert apply(high, Knobs(pitch_semitones=12.0)).f0_hz == 500.0


@pytest.mark.parametrize(
    ("knobs", "allowed"),
    [
        (Knobs(pitch_semitones=12.1), "-12.0 to 12.0"),
        (Knobs(pitch_semitones=math.nan), "-12.0 to 12.0"),
        (Knobs(size=0.79), "0.8 to 1.25"),
        (Knobs(brightness_db=math.inf), "-12.0 to 12.0"),
        (Knobs(redraw=-1), "0 to 999"),
    ],
)
def test_a_knob_turned_too_far_names_what_is_allowed(knobs: Knobs, allowed: str) -> None:
    with pytest.raises(InputError) as error:
        apply(VOICE, knobs)
    assert allowed in error.value.hint
