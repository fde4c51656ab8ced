import numpy as np
import pytest
from scipy.signal import resample_poly

from benchmarks.heard import _pitch, _right
from rtc_voice.voices.types import Voice
from tests.voices.signals import glide


def test_the_right_voice_is_the_nearest_one_less_the_means() -> None:
    rng = np.random.default_rng(0)
    own, common = rng.standard_normal((20, 16)), 50 * rng.standard_normal(16)
    row = _right("x", own + common, own + 0.1 * rng.standard_normal((20, 16)) - common)
    assert row["right_share"] == row["low"] == row["high"] == 1 and row["chance"] == 0.05
    assert _right("x", own, rng.standard_normal((20, 16)))["right_share"] < 0.3  # type: ignore[operator]


def test_pitch_is_compared_by_order_and_by_semitones() -> None:
    pytest.importorskip("swift_f0", reason="of the extra `train`")
    heard = [resample_poly(glide(2.0, hz), 3, 2).astype(np.float32) for hz in (100.0, 150.0, 220.0)]
    asked = [Voice(np.zeros(256, np.float32), hz, 2.0, 1.0) for hz in (100.0, 150.0, 220.0)]
    row = _pitch(asked, heard)
    assert row["rank_correlation"] == 1 and row["error_semitones_p50"] < 1  # type: ignore[operator]
    assert _pitch(asked[::-1], heard)["rank_correlation"] == -1
