import numpy as np
import pytest

from rtc_voice.rtc.playout import Samples
from rtc_voice.rtc.resample import Halver, to_mono


def tone(frequency: float, samples: int = 48_000) -> Samples:
    return np.sin(2 * np.pi * frequency * np.arange(samples) / 48_000).astype(np.float32)


def level_db(samples: Samples) -> float:
    return float(20 * np.log10(np.sqrt(2) * samples[1_000:-1_000].std() + 1e-12))


@pytest.mark.parametrize("chunk", [1, 7, 94, 95, 441, 960])
def test_any_chunks_match_the_whole(chunk: int, rng: np.random.Generator) -> None:
    signal = rng.standard_normal(9_600).astype(np.float32)
    halver = Halver()
    streamed = np.concatenate([halver(signal[i : i + chunk]) for i in range(0, signal.size, chunk)])
    np.testing.assert_allclose(streamed, Halver()(signal), rtol=0, atol=2e-6)
    assert streamed.size == 4_800


@pytest.mark.parametrize("frequency", [100, 1_000, 5_000, 10_000])
def test_a_tone_keeps_its_level_and_frequency(frequency: int) -> None:
    out = Halver()(tone(frequency))
    assert abs(level_db(out)) < 0.05
    spectrum = np.abs(np.fft.rfft(out * np.hanning(out.size)))
    assert np.argmax(spectrum) == frequency


@pytest.mark.parametrize("frequency", [13_400, 16_000, 20_000, 23_900])
def test_what_would_fold_is_gone(frequency: int) -> None:
    assert level_db(Halver()(tone(frequency))) < -75


def test_the_delay_is_what_it_says_and_below_a_millisecond() -> None:
    click = np.zeros(9_600, np.float32)
    click[4_801] = 1  # an odd place, since the delay of 47 input samples is odd
    assert np.argmax(Halver()(click)) / 24_000 == pytest.approx(4_801 / 48_000 + Halver.delay_s, abs=1e-9)
    assert Halver.delay_s < 1e-3


def test_every_frame_gives_its_half_at_once() -> None:
    halver = Halver()
    assert [halver(np.zeros(960, np.float32)).size for _ in range(3)] == [480, 480, 480]


def test_mono_is_the_mean_of_the_channels() -> None:
    stereo = np.array([[32_767, 32_767, -32_768, 0]], np.int16)
    np.testing.assert_allclose(to_mono(stereo, 2), [32_767 / 32_768, -0.5])
    np.testing.assert_allclose(to_mono(stereo, 1), stereo[0] / 32_768)
