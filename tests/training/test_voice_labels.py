import numpy as np
import pytest

from rtc_voice.training.voice_labels import voiced_f0
from tests.voices.signals import glide


def test_f0_is_found_where_the_voice_sounds() -> None:
    pytest.importorskip("swift_f0", reason="of the extra `train`")
    speech = np.pad(glide(2.0, f0_hz=150.0), (16_000, 16_000))
    f0, times = voiced_f0(speech, 16_000)
    assert f0.size > 60 and times.min() > 0.9 and times.max() < 3.1
    expected = 150 * 2 ** (0.25 * np.sin(2 * np.pi * 0.7 * (times - 1.0)))
    assert np.median(np.abs(12 * np.log2(f0 / expected))) < 0.3


def test_silence_has_no_f0() -> None:
    pytest.importorskip("swift_f0", reason="of the extra `train`")
    f0, times = voiced_f0(np.zeros(16_000, dtype=np.float32), 16_000)
    assert f0.size == 0 and times.size == 0
