"""Text to source speech, sentence by sentence."""

import unicodedata
from collections.abc import Iterator

import numpy as np
from hibari import Hibari
from numpy.typing import NDArray

from rtc_voice.errors import InputError, TextError

SAMPLE_RATE = 24_000  # Hz
F0_HZ, F0_RANGE_SEMITONES = 199.0, 5.0  # of the voice, measured by our own tracker over five sentences
PACE = 0.85  # of hibari's own, 237 words a minute in short sentences: a converted voice loses a quarter fewer words so
_AUDIBLE = 0.01  # of the sentence's peak
_LEAD_S, _TAIL_S = 0.01, 0.12  # silence kept around a sentence; the voice itself leaves 0.3 s before and 0.4 s after


def load(model: str | None) -> "TextToSpeech":
    """The engine as ``engines`` asks for it; there is one voice.

    Raises:
        InputError: another voice is asked for.
    """
    if model is not None:
        raise InputError(f"hibari has no voice {model!r}", "write hibari alone: it has one voice")
    return TextToSpeech()


class TextToSpeech:
    """A small local English voice: the source that the voice conversion then turns into anybody.

    Not for the event loop: a sentence takes 10 to 60 ms of one core.
    """

    languages: tuple[str, ...] = ("en",)
    f0: tuple[float, float] | None = (F0_HZ, F0_RANGE_SEMITONES)

    def __init__(self) -> None:
        self._voice = Hibari(threads=1)

    def sentences(
        self, text: str, language: str = "en", *, speed: float = PACE, seed: int = 0
    ) -> Iterator[NDArray[np.float32]]:
        """The sentences of ``text`` as 24 kHz speech, peak 1, each as soon as it is made.

        Raises:
            TextError: nothing in ``text`` can be spoken.
        """
        phonemes = self.phonemes(text)
        rng = np.random.default_rng(seed)
        for sentence in phonemes:
            samples = self._voice.from_ids(self._voice.ids(sentence), speed, rng)
            if samples.size:
                yield trim(samples.astype(np.float32))

    def phonemes(self, text: str) -> list[str]:
        """The phonemes of each sentence of ``text``.

        Raises:
            TextError: nothing in ``text`` can be spoken.
        """
        foreign = [letter for letter in text if letter.isalpha() and "LATIN" not in unicodedata.name(letter, "")]
        if foreign:
            raise TextError(f"{text[:40]!r} is not English", "only English can be typed; speak live in any language")
        phonemes = [p for p in self._voice.phonemize(text) if any(letter.isalpha() for letter in p)]
        if not phonemes:
            raise TextError(f"nothing to say in {text[:40]!r}", "write English words or numbers")
        return phonemes


def trim(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Most of the silence at both ends taken away: every millisecond of it is latency."""
    audible = np.flatnonzero(np.abs(samples) > _AUDIBLE * np.abs(samples).max(initial=1e-6))
    if not audible.size:
        return samples
    start = max(0, audible[0] - int(_LEAD_S * SAMPLE_RATE))
    return samples[start : audible[-1] + int(_TAIL_S * SAMPLE_RATE)]
