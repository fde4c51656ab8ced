import math

import pytest
import torch

from rtc_voice.speech.analysis import Features
from rtc_voice.speech.envelope import BANDS
from rtc_voice.speech.pitch import semitones
from rtc_voice.speech.speaker_pitch import AVERAGE_F0_HZ, load_speaker_pitch


def speech(f0_hz: list[float]) -> Features:
    rows = len(f0_hz)
    envelope = torch.randn(1, rows, BANDS, generator=torch.Generator().manual_seed(0), dtype=torch.float64) - 4
    return Features(envelope, torch.tensor([f0_hz], dtype=torch.float64), torch.ones(1, rows, 6, dtype=torch.float64))


def apart(one: torch.Tensor, hz: float) -> float:
    return abs(float(one) - math.log(hz)) / semitones(1)


@pytest.mark.parametrize("chunk", [1, 3, 40])
def test_chunks_match_whole_signal(chunk: int) -> None:
    pitch = load_speaker_pitch().double()
    features = speech([0, 0, *[110 + 0.3 * i for i in range(60)], 0, 0, *[140 - 0.2 * i for i in range(58)]])
    whole = pitch.step(features, pitch.init_state(1))
    state = pitch.init_state(1)
    parts = (features.envelope, features.f0, features.aperiodicity)
    pieces = zip(*(torch.split(part, chunk, dim=1) for part in parts), strict=True)
    streamed = [pitch.step(Features(*piece), state) for piece in pieces]
    for i in range(2):
        torch.testing.assert_close(torch.cat([s[i] for s in streamed], dim=1), whole[i], rtol=0, atol=1e-12)


@pytest.mark.parametrize("hz", [95.0, 210.0])
def test_a_speaker_who_was_heard_for_long_is_known_by_what_was_heard(hz: float) -> None:
    pitch = load_speaker_pitch().double()
    mean, spread = pitch.step(speech([hz] * 900), pitch.init_state(1))
    assert apart(mean[0, -1], hz) < 0.5
    assert float(spread[0, -1]) < semitones(0.6)


def test_a_known_speaker_is_believed_from_the_first_row() -> None:
    pitch = load_speaker_pitch().double()
    state = pitch.init_state(2)
    known = pitch.known(199.0, 5.0, rows=1000.0)
    for name, value in known.items():
        state[name][1:] = value
    two = speech([240.0] * 5)
    both = Features(two.envelope.repeat(2, 1, 1), two.f0.repeat(2, 1), two.aperiodicity.repeat(2, 1, 1))
    mean, spread = pitch.step(both, state)
    assert apart(mean[1, 0], 199.0) < 0.5
    assert float(spread[1, 0]) == pytest.approx(semitones(5.0), rel=0.05)
    assert apart(mean[0, 0], 199.0) > apart(mean[1, 0], 199.0)


def test_silence_teaches_nothing() -> None:
    pitch = load_speaker_pitch().double()
    state = pitch.init_state(1)
    pitch.step(speech([0.0] * 50), state)
    assert all(float(value.abs().max()) == 0 for value in state.values())
    mean, _ = pitch.step(speech([0.0]), state)
    assert torch.isfinite(mean).all()
    assert apart(mean[0, 0], AVERAGE_F0_HZ) < 6
