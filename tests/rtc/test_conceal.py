"""What is heard where a chunk of speech is missing."""

import numpy as np
import pytest

from rtc_voice.rtc.conceal import FADE_S, JOIN_S, Concealment, Samples

RATE, FRAME = 24_000, 480


def voiced(seconds: float, f0: float = 130.0) -> Samples:
    """A steady vowel: harmonics of ``f0`` that fall off by 6 dB an octave."""
    time = np.arange(int(seconds * RATE)) / RATE
    sines = [np.sin(2 * np.pi * f0 * k * time + k) / k for k in range(1, 20)]
    return np.asarray(0.1 * np.sum(sines, axis=0), np.float32)


def level_db(samples: Samples) -> float:
    return float(10 * np.log10(np.mean(samples**2) + 1e-12))


def played(frames: list[Samples | None], *, goes_on: bool = True) -> Samples:
    concealment = Concealment(RATE)
    return np.concatenate([concealment.fill(frame, FRAME, goes_on=goes_on) for frame in frames])


@pytest.mark.parametrize("f0", [80.0, 130.0, 310.0])
def test_a_chunk_that_comes_late_leaves_no_hole_in_a_vowel(f0: float) -> None:
    frames = list(voiced(0.4, f0).reshape(-1, FRAME))
    out = played([*frames[:10], None, *frames[10:]])
    pieces = [level_db(piece) for piece in out[: 20 * FRAME].reshape(-1, FRAME // 2)]
    assert min(pieces[20:24]) > max(pieces) - 9  # the whole hole, and where speech comes back
    steady = np.abs(np.diff(out[:4_800])).max()
    assert np.abs(np.diff(out)).max() < 1.1 * steady  # it does not click


def test_what_is_made_up_has_the_pitch_of_what_was_said() -> None:
    frames = list(voiced(0.2).reshape(-1, FRAME))
    hole = played([*frames, None])[-FRAME:]
    expected = voiced(0.22)[-FRAME:] * np.linspace(1, 1 - FRAME / (FADE_S * RATE), FRAME, dtype=np.float32)
    assert level_db(hole - expected) < level_db(expected) - 15


def test_a_voice_that_stays_away_dies_away() -> None:
    frames = list(voiced(0.2).reshape(-1, FRAME))
    out = played([*frames, None, None, None])
    assert not out[4_800 + int(FADE_S * RATE) :].any()


def test_speech_that_has_ended_breaks_off_at_once_and_returns_without_a_click() -> None:
    one = np.ones(FRAME, np.float32)
    out = played([one, one[:100], None, one, one], goes_on=False)
    assert np.abs(np.diff(out[1:])).max() < 1.01 / 71
    assert not out[700 : 3 * FRAME].any()
    np.testing.assert_array_equal(out[3 * FRAME + int(JOIN_S * RATE) :], 1)


def test_a_piece_that_is_too_short_is_played_and_drawn_on() -> None:
    whole = voiced(0.2)
    concealment = Concealment(RATE)
    out = np.concatenate(
        [
            concealment.fill(part, FRAME, goes_on=True)
            for part in (*whole[:4_320].reshape(-1, FRAME), whole[4_320:4_420])
        ]
    )
    np.testing.assert_array_equal(out[:4_420], whole[:4_420])
    assert level_db(out[4_420:]) > level_db(whole) - 6


def test_sound_without_a_hole_is_not_touched(rng: np.random.Generator) -> None:
    whole = rng.standard_normal(3 * FRAME).astype(np.float32)
    np.testing.assert_array_equal(played(list(whole.reshape(-1, FRAME))), whole)


def test_speech_after_a_silence_keeps_its_onset() -> None:
    np.testing.assert_array_equal(played([None, np.ones(FRAME, np.float32)])[FRAME:], 1)


def test_speech_comes_back_within_the_cross_fade() -> None:
    frames = list(voiced(0.24).reshape(-1, FRAME))
    out = played([*frames[:10], None, None, *frames[10:]])
    np.testing.assert_array_equal(
        out[12 * FRAME + int(JOIN_S * RATE) :], np.concatenate(frames[10:])[int(JOIN_S * RATE) :]
    )


def test_no_numbers_do_not_stay() -> None:
    frames = list(voiced(0.2).reshape(-1, FRAME))
    out = played([np.full(FRAME, np.nan, np.float32), None, *frames])
    np.testing.assert_array_equal(out[3 * FRAME :], np.concatenate(frames)[FRAME:])
