"""Typed text becomes source speech."""

import numpy as np
import pytest

from rtc_voice.errors import TextError
from rtc_voice.speech.text import SAMPLE_RATE, TextToSpeech


@pytest.fixture(scope="module")
def voice() -> TextToSpeech:
    return TextToSpeech()


def test_sentences_come_one_by_one_with_little_silence_around(voice: TextToSpeech) -> None:
    sentences = list(voice.sentences("Good morning. How are you today?"))
    assert len(sentences) == 2
    for samples in sentences:
        assert samples.dtype == np.float32
        audible = np.flatnonzero(np.abs(samples) > 0.01 * np.abs(samples).max())
        assert audible[0] <= 0.011 * SAMPLE_RATE
        assert 0.1 * SAMPLE_RATE <= len(samples) - audible[-1] <= 0.13 * SAMPLE_RATE


def test_the_same_text_sounds_the_same(voice: TextToSpeech) -> None:
    once, again = (np.concatenate(list(voice.sentences("Hello there."))) for _ in range(2))
    np.testing.assert_array_equal(once, again)


@pytest.mark.parametrize("text", ["", "   ", "\n", "…", "!!!", "🎉", "Привет мир", "こんにちは", "Hello Привет"])
def test_nothing_to_say_is_an_error_with_a_remedy(voice: TextToSpeech, text: str) -> None:
    with pytest.raises(TextError) as caught:
        list(voice.sentences(text))
    assert caught.value.hint
