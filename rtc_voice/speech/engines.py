"""Which text engine says what: ours for English, and those that are installed for other languages.

An engine of your own is found by an entry point of the group ``rtc_voice.text_engines``: a function that takes what
stands behind the colon of ``NAME:MODEL`` (None without) and gives a ``TextEngine``.
"""

import unicodedata
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import entry_points
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rtc_voice.errors import InputError, TextError
from rtc_voice.speech import text as hibari

GROUP = "rtc_voice.text_engines"
DEFAULT = ("hibari",)
_LATIN = ("LATIN",)
_SCRIPTS = {  # as Unicode names letters; languages that are not here are written in Latin ones
    **dict.fromkeys(("be", "bg", "kk", "mk", "ru", "sr", "uk"), ("CYRILLIC",)),
    **dict.fromkeys(("ar", "fa", "ur"), ("ARABIC",)),
    **dict.fromkeys(("hi", "mr", "ne"), ("DEVANAGARI",)),
    "el": ("GREEK",),
    "he": ("HEBREW",),
    "hy": ("ARMENIAN",),
    "ja": ("HIRAGANA", "KATAKANA", "CJK"),
    "ka": ("GEORGIAN",),
    "ko": ("HANGUL",),
    "ml": ("MALAYALAM",),
    "ta": ("TAMIL",),
    "te": ("TELUGU",),
    "th": ("THAI",),
    "zh": ("CJK",),
}


class TextEngine(Protocol):
    """Text to source speech, which the conversion then turns into anybody's."""

    languages: tuple[str, ...]  # ISO 639-1, such as "en"
    f0: tuple[float, float] | None  # mean in Hz and range in semitones of its voice, if known: the first word is better

    def sentences(self, text: str, language: str) -> Iterator[NDArray[np.float32]]:
        """The sentences of ``text`` as 24 kHz speech, peak 1, ``[T]`` each, as soon as they are made.

        Raises:
            TextError: nothing in ``text`` can be spoken.
        """


def load_engine(name: str) -> TextEngine:
    """The engine of ``NAME`` or ``NAME:MODEL``.

    Raises:
        InputError: there is no such engine or model.
        MissingPartError: the engine's package is not installed.
    """
    kind, _, model = name.partition(":")
    known = _known()
    if kind not in known:
        raise InputError(f"there is no text engine {kind!r}", f"known: {', '.join(sorted(known))}")
    return known[kind]()(model or None)


class TextEngines:
    """Engines in the order in which they are asked.

    Args:
        names: ``NAME`` or ``NAME:MODEL`` each.
    """

    def __init__(self, names: Sequence[str] = DEFAULT) -> None:
        self._engines = [load_engine(name) for name in names]

    @property
    def languages(self) -> list[str]:
        """What can be spoken."""
        return list(dict.fromkeys(code for engine in self._engines for code in engine.languages))

    def choose(self, text: str, language: str | None = None) -> tuple[TextEngine, str]:
        """Who says ``text``, and in which language: the one named, or the first that is written in its letters.

        Args:
            text: what is to be said.
            language: ISO 639-1, such as ``de``; what follows a hyphen is left out.

        Raises:
            TextError: no engine speaks it.
        """
        remedy = f"spoken here: {', '.join(self.languages)}; other engines: docs/text-engines.md"
        wanted = language and language.partition("-")[0].casefold()
        for engine in self._engines:
            for code in engine.languages:
                if code == wanted or (wanted is None and _is_written_in(text, _SCRIPTS.get(code, _LATIN))):
                    return engine, code
        what = f"the language {language[:40]!r}" if language else f"what is written in {text[:40]!r}"
        raise TextError(f"no text engine speaks {what}", remedy)


def _known() -> dict[str, Callable[[], Callable[[str | None], TextEngine]]]:
    from rtc_voice.speech import kokoro, piper

    ours: dict[str, Callable[[], Callable[[str | None], TextEngine]]] = {
        "hibari": lambda: hibari.load,
        "kokoro": lambda: kokoro.load,
        "piper": lambda: piper.load,
    }
    return {**{point.name: point.load for point in entry_points(group=GROUP)}, **ours}


def _is_written_in(text: str, scripts: tuple[str, ...]) -> bool:
    names = (unicodedata.name(letter, "") for letter in text if letter.isalpha())
    return all(any(script in name for script in scripts) for name in names)
