"""Text engines: by language, from our own and from other people's packages, each error with its remedy."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from rtc_voice.errors import InputError, MissingPartError, RtcVoiceError, TextError
from rtc_voice.speech.engines import TextEngines, load_engine
from rtc_voice.speech.text import TextToSpeech

TONES = """
import numpy as np
class Tones:
    languages, f0 = ("ru", "de"), (100.0, 1.0)
    def __init__(self, model): self.model = model
    def sentences(self, text, language):
        for _ in text.split("."): yield np.ones(240, np.float32)
"""


@pytest.fixture
def tones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package of somebody else's, installed."""
    (tmp_path / "tones.py").write_text(TONES)
    info = tmp_path / "tones-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: tones\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[rtc_voice.text_engines]\ntones = tones:Tones\n")
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.usefixtures("tones")
def test_an_engine_of_another_package_is_found_and_chosen_by_letters_or_by_name() -> None:
    engines = TextEngines(("hibari", "tones:deep"))
    assert engines.languages == ["en", "ru", "de"]
    for text, language, chosen in (
        ("Good morning 7", None, "en"),
        ("Доброе утро", None, "ru"),
        ("Guten Morgen", "de", "de"),
        ("Guten Morgen", "de-AT", "de"),
        ("12", None, "en"),
    ):
        engine, code = engines.choose(text, language)
        assert code == chosen
        assert isinstance(engine, TextToSpeech) == (chosen == "en")
    assert getattr(engines.choose("Доброе утро")[0], "model") == "deep"  # noqa: B009 - not of the interface
    assert TextEngines(("tones", "hibari")).choose("Latin letters")[1] == "de"  # the first that is asked


@pytest.mark.parametrize(
    ("text", "language", "words"),
    [
        ("Hello", "de", "'de'"),
        ("Hello Привет", None, "'Hello Привет'"),
        ("こんにちは", None, "こんにちは"),
        ("Hello", "x" * 1000, "xxx"),
    ],
)
def test_a_language_that_no_engine_speaks_is_an_error_that_names_those_spoken(
    text: str, language: str | None, words: str
) -> None:
    with pytest.raises(TextError, match=words) as caught:
        TextEngines().choose(text, language)
    assert "spoken here: en" in caught.value.hint
    assert len(caught.value.message) < 120


@pytest.mark.parametrize(
    ("name", "kind", "remedy"),
    [
        ("festival", InputError, "known: hibari, kokoro, piper"),
        ("hibari:deep", InputError, "hibari alone"),
        ("piper", RtcVoiceError, "piper"),
        ("piper:none.onnx", RtcVoiceError, "piper"),
        ("kokoro", RtcVoiceError, "kokoro"),
        ("kokoro:nowhere", RtcVoiceError, "kokoro"),
    ],
)
def test_an_engine_that_cannot_be_had_is_an_error_that_says_how_to_get_it(
    name: str, kind: type[RtcVoiceError], remedy: str
) -> None:
    with pytest.raises(kind) as caught:
        load_engine(name)
    assert remedy in caught.value.hint
    package = {"piper": "piper", "kokoro": "kokoro_onnx"}.get(name.partition(":")[0])
    if package is not None and importlib.util.find_spec(package) is None:
        assert isinstance(caught.value, MissingPartError)
        assert f"pip install 'rtc-voice[{name.partition(':')[0]}]'" in caught.value.hint
    elif package is not None:
        assert "--text-engine" in caught.value.hint


def test_the_embedded_engine_speaks() -> None:
    engine, language = TextEngines().choose("One. Two.")
    assert [np.abs(samples).max() > 0.1 for samples in engine.sentences("One. Two.", language)] == [True, True]
