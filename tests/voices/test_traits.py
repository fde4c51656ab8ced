import numpy as np

from rtc_voice.voices.traits import TraitReadout


def test_traits_are_read_as_logarithms_and_kept_human() -> None:
    weights = np.zeros((3, 256), dtype=np.float32)
    weights[0, 0] = np.log(2)
    readout = TraitReadout(weights, np.log([100.0, 3.0, 1.0]).astype(np.float32))
    voice = np.zeros(256, dtype=np.float32)
    assert np.isclose(readout.read(voice).f0_hz, 100) and np.isclose(readout.read(voice).f0_range_semitones, 3)
    voice[0] = 1
    assert np.isclose(readout.read(voice).f0_hz, 200) and np.isclose(readout.read(voice).tract, 1)
    voice[0] = 5
    assert readout.read(voice).f0_hz == 320
    voice[0] = -5
    assert readout.read(voice).f0_hz == 70
