"""Every error that a user can cause names its remedy."""

import ast
import inspect
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from rtc_voice import errors
from rtc_voice.selfcall import PORTRAIT
from tests.commands import check_error, run

PACKAGE = Path(errors.__file__).parent
KINDS = {name for name, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, errors.RtcVoiceError)}


def raised() -> Iterator[tuple[str, ast.Call]]:
    """Where in the package an error of ours is made."""
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in KINDS:
                yield f"{path.relative_to(PACKAGE)}:{node.lineno}", node


def test_no_error_is_made_without_a_remedy() -> None:
    found = list(raised())
    assert len(found) > 100
    for place, call in found:
        hints = [*call.args[1:2], *(keyword.value for keyword in call.keywords if keyword.arg == "hint")]
        assert hints and not (isinstance(hints[0], ast.Constant) and not hints[0].value), place


PHOTO = ["--photo", str(PORTRAIT)]
NOBODY = str(PORTRAIT.with_name("coffee.jpg"))
TABLE = {  # what is typed, in a folder of its own: a word of the error, a word of the remedy
    "no such photo": (["say", "Hello.", "--photo", "none.jpg"], "none.jpg", "path"),
    "a photo of nobody": (["say", "Hello.", "--photo", NOBODY], "face", "front"),
    "no picture": (["photo", "text.txt"], "text.txt", ""),
    "nothing to say": (["say", "…", *PHOTO], "nothing to say", "English"),
    "another language": (["say", "Привет", *PHOTO], "no text engine speaks", "spoken here: en"),
    "a language by name": (["say", "Hallo", "--language", "de", *PHOTO], "'de'", "spoken here: en"),
    "an unknown engine": (["say", "Hello.", "--text-engine", "x", *PHOTO], "'x'", "known: hibari"),
    "no WAV": (["say", "Hello.", *PHOTO, "-o", "out.mp3"], "out.mp3", ".wav"),
    "a place that cannot be": (["say", "Hello.", *PHOTO, "-o", "text.txt/out.wav"], "text.txt", ""),
    "no recording": (["convert", "text.txt", "--to", str(PORTRAIT)], "text.txt", "WAV"),
    "a name in brackets": (["say", "Hello.", "--photo", "none[a].jpg"], "none[a].jpg", "path"),
    "no such recording": (["convert", "none.wav", "--to", str(PORTRAIT)], "none.wav", "path"),
    "no PNG": (["photo", str(PORTRAIT), "-o", "sheet.jpg"], "sheet.jpg", ".png"),
    "a host that is not": (["serve", "--port", "0", "--host", "999.1.1.1"], "999.1.1.1", "127.0.0.1"),
    "a token that can be tried out": (["serve", "--token", "short"], "5 characters", "at least 16"),
    "an origin with a path": (["serve", "--origin", "https://a.example/page"], "no origin", "without a path"),
    "half a certificate": (["serve", "--tls-cert", "cert.pem"], "certificate", "--tls-key"),
    "no certificate": (["serve", "--tls-cert", "text.txt", "--tls-key", "text.txt"], "text.txt", "PEM"),
    "no cache": (["serve", "--port", "0", "--cache", "text.txt"], "text.txt", "move the file away"),
    "no ICE server": (["serve", "--ice-server", "http://a.example"], "a.example", "turn:"),
    "relay without a server": (["serve", "--relay-only"], "relay", "--ice-server"),
    "no room": (["join", "https://a.example"], "a.example", "janus+ws://"),
    "no video": (["local", "--video", "none.mp4", "--audio", "none.wav", "--out", "out.wav"], "none", ""),
    "nowhere to play": (["local", "--video", str(PORTRAIT), "--out", "out.mp3"], "out.mp3", ".wav"),
    "no benchmark": (["bench", "beauty"], "'beauty'", "known: all"),
    "figures of all benchmarks": (["bench", "--json", "all.json"], "--json", "name one of"),
    "no pairs": (["train", "face-voice", "--pairs", "none.csv"], "none.csv", ""),
    "no data to make": (["train", "data", "."], "nothing to make", "--folder"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", TABLE)
def test_a_mistake_is_told_with_its_remedy(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "text.txt").write_text("This is a text.")
    monkeypatch.chdir(tmp_path)
    before = {path: stat.S_IFMT(path.stat().st_mode) for path in tmp_path.iterdir()}
    words, error_word, remedy_word = TABLE[name]
    error, remedy = check_error(run(*words))
    assert error_word in error and remedy_word in remedy and remedy
    assert {path: stat.S_IFMT(path.stat().st_mode) for path in tmp_path.iterdir()} == before, "something was written"
