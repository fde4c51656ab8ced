import pytest

from rtc_voice.synthesis import speed
from rtc_voice.synthesis.chain import VoiceChain
from rtc_voice.synthesis.speed import voices_that_fit
from tests.synthesis.voices import small_chain


@pytest.fixture(scope="module")
def chain() -> VoiceChain:
    return small_chain()


@pytest.mark.parametrize(
    ("fixed_ms", "each_ms", "most", "fit"),
    [(3, 1.6, 64, 4), (3, 1.6, 3, 3), (3, 1.6, 4, 4), (0, 14, 64, 1), (30, 1, 64, 1), (0, 0.1, 64, 64), (0, 1, 64, 10)],
)
def test_voices_fit_until_a_chunk_of_all_takes_half_of_its_time(
    chain: VoiceChain, monkeypatch: pytest.MonkeyPatch, fixed_ms: float, each_ms: float, most: int, fit: int
) -> None:
    monkeypatch.setattr(speed, "_processor_ms", lambda chain, voices: fixed_ms + each_ms * voices)
    assert voices_that_fit(chain, most) == fit
