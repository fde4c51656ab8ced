"""Text to speech by Piper, one voice and language a model; the extra ``piper``, whose package is under the GPL-3.0."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.signal import resample_poly

from rtc_voice.errors import InputError, MissingPartError, TextError
from rtc_voice.speech.text import SAMPLE_RATE, trim

_REMEDY = "python -m piper.download_voices de_DE-thorsten-medium, then --text-engine piper:de_DE-thorsten-medium.onnx"


def load(model: str | None) -> "Piper":
    """The voice in the file ``model``, with its ``.json`` beside it.

    Raises:
        MissingPartError: piper-tts is not installed.
        InputError: no such file, or no voice in it.
    """
    try:
        import piper  # noqa: F401 - told before the model is: without the package none can be had
    except ModuleNotFoundError as error:
        raise MissingPartError("piper-tts is not installed", "pip install 'rtc-voice[piper]'") from error
    if model is None:
        raise InputError("piper needs a voice", _REMEDY)
    return Piper(Path(model))


class Piper:
    """A Piper voice."""

    f0: tuple[float, float] | None = None
    languages: tuple[str, ...]

    def __init__(self, model: Path) -> None:
        from piper import PiperVoice

        config = Path(f"{model}.json")
        if not (model.is_file() and config.is_file()):
            raise InputError(f"there is no piper voice {model} with its .json beside it", _REMEDY)
        try:
            self.languages = (_language(json.loads(config.read_text(encoding="utf-8"))),)
            self._voice = PiperVoice.load(model)
        except Exception as error:  # whatever onnxruntime and a JSON file may raise
            raise InputError(f"{model} is no piper voice: {str(error)[:80]}", _REMEDY) from error

    def sentences(self, text: str, language: str) -> Iterator[NDArray[np.float32]]:
        """See ``TextEngine``."""
        is_silent = True
        for chunk in self._voice.synthesize(text) if any(letter.isalnum() for letter in text) else ():
            common = int(np.gcd(chunk.sample_rate, SAMPLE_RATE))
            made = resample_poly(chunk.audio_float_array, SAMPLE_RATE // common, chunk.sample_rate // common)
            yield trim(made.astype(np.float32))
            is_silent = False
        if is_silent:
            raise TextError(f"nothing to say in {text[:40]!r}", "write words or numbers")


def _language(config: dict[str, dict[str, str]]) -> str:
    """Voices of today name the language's family; older ones eSpeak's voice alone."""
    return config.get("language", {}).get("family") or config["espeak"]["voice"].partition("-")[0]
