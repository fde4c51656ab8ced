"""Text to source speech, sentence by sentence."""

from collections.abc import Iterator

import numpy as np
from hibari import Hibari
from numpy.typing import NDArray

from rtc_voice.errors import TextError

SAMPLE_RATE = 24_000  # Hz


class TextToSpeech:
    """A small local English voice: the source that the voice conversion then turns into anybody.

    Not for the event loop: a sentence takes about 60 ms of one core.
    """

    def __init__(self) -> None:
        self._voice = Hibari(threads=1)

    def sentences(self, text: str, *, speed: float = 1.0, seed: int = 0) -> Iterator[NDArray[np.float32]]:
        """The sentences of ``text`` as 24 kHz speech, each as soon as it is made.

        Raises:
            TextError: nothing in ``text`` can be spoken.
        """
        phonemes = self._voice.phonemize(text)
        if not phonemes:
            raise TextError(f"nothing to say in {text[:40]!r}", "write English words or numbers")
        rng = np.random.default_rng(seed)
        for sentence in phonemes:
            yield self._voice.from_ids(self._voice.ids(sentence), speed, rng).astype(np.float32)
