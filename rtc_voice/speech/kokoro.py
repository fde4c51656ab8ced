"""Text to speech by Kokoro-82M in six languages; the extra ``kokoro``. One core takes longer than live for it."""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rtc_voice.errors import InputError, MissingPartError, TextError
from rtc_voice.speech.text import trim

MODEL, VOICES = "kokoro-v1.0.onnx", "voices-v1.0.bin"
_REMEDY = (
    f"put {MODEL} and {VOICES} of https://github.com/thewh1teagle/kokoro-onnx/releases into a folder, "
    "then --text-engine kokoro:FOLDER"
)
# Language: what eSpeak calls it, and the letter with which the names of its voices begin.
_LANGUAGES = {
    "en": ("en-us", "a"),
    "es": ("es", "e"),
    "fr": ("fr-fr", "f"),
    "hi": ("hi", "h"),
    "it": ("it", "i"),
    "pt": ("pt-br", "p"),
}
_SENTENCE = re.compile(r"(?<=[.!?।])\s+")


def load(folder: str | None) -> "Kokoro":
    """The model in ``folder``.

    Raises:
        MissingPartError: kokoro-onnx is not installed.
        InputError: the files are not there, or damaged.
    """
    try:
        import kokoro_onnx  # noqa: F401 - told before the model is: without the package none is of use
    except ModuleNotFoundError as error:
        raise MissingPartError("kokoro-onnx is not installed", "pip install 'rtc-voice[kokoro]'") from error
    if folder is None:
        raise InputError("kokoro needs a model", _REMEDY)
    return Kokoro(Path(folder))


class Kokoro:
    """Kokoro, in the first voice of each language."""

    f0: tuple[float, float] | None = None

    def __init__(self, folder: Path) -> None:
        from kokoro_onnx import Kokoro as Model

        for name in (MODEL, VOICES):
            if not (folder / name).is_file():
                raise InputError(f"there is no {name} in {folder}", _REMEDY)
        try:
            self._model = Model(str(folder / MODEL), str(folder / VOICES))
            names = sorted(self._model.voices)
        except Exception as error:  # whatever onnxruntime and numpy may raise
            raise InputError(f"{folder} holds no kokoro model: {str(error)[:80]}", _REMEDY) from error
        firsts = {code: next((n for n in names if n.startswith(mark)), None) for code, (_, mark) in _LANGUAGES.items()}
        self._voices = {code: name for code, name in firsts.items() if name is not None}
        self.languages = tuple(self._voices)

    def sentences(self, text: str, language: str) -> Iterator[NDArray[np.float32]]:
        """See ``TextEngine``."""
        spoken = [sentence for sentence in _SENTENCE.split(text) if any(letter.isalnum() for letter in sentence)]
        if not spoken:
            raise TextError(f"nothing to say in {text[:40]!r}", "write words or numbers")
        for sentence in spoken:
            samples, _ = self._model.create(sentence, self._voices[language], lang=_LANGUAGES[language][0])
            yield trim(samples.astype(np.float32))
