"""What a participant turns on their voice."""

from dataclasses import replace

from rtc_voice.errors import InputError
from rtc_voice.voices.types import Knobs, Voice

RANGES = {"pitch_semitones": (-12.0, 12.0), "size": (0.8, 1.25), "brightness_db": (-12.0, 12.0), "redraw": (0, 999)}
F0_HZ = (50.0, 500.0)  # what the synthesiser is built for


def check(knobs: Knobs) -> None:
    """Raises InputError, naming the allowed values, where a knob is turned too far."""
    for name, (low, high) in RANGES.items():
        value = getattr(knobs, name)
        if not low <= value <= high:  # also catches NaN
            raise InputError(f"{name} is {value}", f"allowed: {low} to {high}")
    if knobs.redraw != int(knobs.redraw):
        raise InputError(f"redraw is {knobs.redraw}", "allowed: whole numbers")


def apply(voice: Voice, knobs: Knobs) -> Voice:
    """``voice`` as the knobs ask; its embedding stays.

    ``redraw`` is not for here: it asks the predictor for another voice.

    Raises:
        InputError: a knob outside its range.
    """
    check(knobs)
    f0_hz = voice.f0_hz * 2 ** (knobs.pitch_semitones / 12)
    return replace(
        voice,
        f0_hz=min(max(f0_hz, F0_HZ[0]), F0_HZ[1]),
        tract=voice.tract * knobs.size,
        tilt_db=voice.tilt_db + knobs.brightness_db,
    )
