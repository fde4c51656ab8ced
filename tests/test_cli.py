"""The commands as a person types them: help, results, and one clear line for every mistake."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rtc_voice.cli import app, train
from rtc_voice.faces.picture import read_picture
from rtc_voice.selfcall import PORTRAIT
from rtc_voice.speech.audio_file import read_audio, write_wav
from rtc_voice.speech.text import TextToSpeech
from tests.commands import check_error, run
from tests.test_offline import NAMES, bad_pictures, bad_recordings

pytestmark = pytest.mark.slow


def test_help_names_every_command_and_fits_one_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    done = run("--help")
    assert done.returncode == 0
    for command in ("demo", "serve", "local", "say", "convert", "photo", "bench", "doctor"):
        assert command in done.stdout
    assert len(done.stdout.splitlines()) <= 40
    assert "..." not in done.stdout.partition("Commands:")[2]  # no summary is cut off


def test_help_of_each_command_fits_one_screen(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    for command in all_commands():
        with pytest.raises(SystemExit) as ended:
            app([*command, "--help"])
        assert ended.value.code == 0
        assert len(capsys.readouterr().out.splitlines()) <= 40, command


def all_commands() -> Iterator[list[str]]:
    """The words of every command and sub-command."""
    for part, words in ((app, []), (train, ["train"])):
        for command in part.registered_commands:
            assert command.callback is not None
            yield [*words, command.name or command.callback.__name__]


def test_version() -> None:
    assert run("--version").stdout.strip() == "0.1.0"


def test_say_writes_speech(tmp_path: Path) -> None:
    done = run("say", "Hello there.", "--photo", str(PORTRAIT), "-o", str(tmp_path / "new" / "out.wav"))
    assert done.returncode == 0, done.stderr
    assert 0.5 < len(read_audio(tmp_path / "new" / "out.wav", 24_000)) / 24_000 < 3


@pytest.mark.parametrize("name", NAMES)
def test_say_with_a_bad_picture_is_one_error_and_no_file(tmp_path: Path, name: str) -> None:
    out = tmp_path / "out.wav"
    done = run("say", "Hello.", "--photo", str(bad_pictures(tmp_path)[name]), "-o", str(out))
    check_error(done)
    assert not out.exists()


def test_photo_tells_what_it_found_and_draws_it(tmp_path: Path) -> None:
    done = run("photo", str(PORTRAIT), "-o", str(tmp_path / "new" / "sheet.png"))
    assert done.returncode == 0, done.stderr
    for word in ("box", "quality", "female", "years", "predicted F0", "like shipped voices", "no facts"):
        assert word in done.stdout
    assert read_picture(tmp_path / "new" / "sheet.png").shape[1] > 1000


def test_photo_of_nobody_is_an_error(tmp_path: Path) -> None:
    check_error(run("photo", str(PORTRAIT.with_name("coffee.jpg")), "-o", str(tmp_path / "sheet.png")))
    assert not (tmp_path / "sheet.png").exists()


@pytest.mark.parametrize("words", [("--predictor", "magic"), ("-o", "sheet.jpg")])
def test_photo_with_an_option_that_cannot_be_is_an_error(words: tuple[str, str]) -> None:
    done = run("photo", str(PORTRAIT), *words)
    assert done.returncode == 2


def test_training_without_a_manifest_is_an_error(tmp_path: Path) -> None:
    check_error(run("train", "face-voice", "--pairs", str(tmp_path / "none.csv")))


def test_an_error_of_a_real_process_is_two_lines_and_an_exit_code(tmp_path: Path) -> None:
    words = ["say", "…", "--photo", str(PORTRAIT), "-o", str(tmp_path / "out.wav")]
    done = subprocess.run([sys.executable, "-m", "rtc_voice", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 2 and done.stdout == ""
    assert [line.partition(":")[0] for line in done.stderr.splitlines()] == ["error", "remedy"]


def test_say_to_a_place_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    check_error(run("say", "Hello.", "--photo", str(PORTRAIT), "-o", str(tmp_path / "file" / "out.wav")))


@pytest.mark.parametrize("name", ["out.mp3", "out", "folder.wav"])
def test_say_to_what_cannot_be_a_wav_file_is_an_error(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder.wav").mkdir()
    check_error(run("say", "Hello.", "--photo", str(PORTRAIT), "-o", str(tmp_path / name)))


@pytest.fixture(scope="module")
def speech(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("speech") / "speech.wav"
    write_wav(path, np.concatenate(list(TextToSpeech().sentences("Where were you a year ago?"))), 24_000)
    return path


def test_convert_writes_as_much_speech_as_it_reads(tmp_path: Path, speech: Path) -> None:
    out = tmp_path / "new" / "out.wav"
    done = run("convert", str(speech), "--to", str(PORTRAIT), "-o", str(out))
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(out)
    made, source = read_audio(out, 24_000), read_audio(speech, 24_000)
    assert made.shape == source.shape
    assert np.abs(made - source).max() > 0.1


@pytest.mark.parametrize("place", ["source", "target"])
def test_convert_with_a_bad_recording_is_one_error_and_no_file(tmp_path: Path, speech: Path, place: str) -> None:
    bad, out = bad_recordings(tmp_path)["silent"], tmp_path / "out.wav"
    source, target = (bad, speech) if place == "source" else (speech, bad)
    check_error(run("convert", str(source), "--to", str(target), "-o", str(out)))
    assert not out.exists()


def test_convert_never_writes_over_what_it_reads(tmp_path: Path, speech: Path) -> None:
    own = tmp_path / "own.wav"
    own.write_bytes(speech.read_bytes())
    check_error(run("convert", str(own), "--to", str(PORTRAIT), "-o", str(own)))
    assert own.read_bytes() == speech.read_bytes()


def test_photo_never_writes_over_the_picture(tmp_path: Path) -> None:
    own = tmp_path / "photo.png"
    Image.open(PORTRAIT).save(own)
    before = own.read_bytes()
    check_error(run("photo", str(own), "-o", str(own)))
    assert own.read_bytes() == before


def test_local_never_writes_over_what_it_hears(tmp_path: Path, speech: Path) -> None:
    own = tmp_path / "own.wav"
    own.write_bytes(speech.read_bytes())
    check_error(run("local", "--video", str(PORTRAIT), "--audio", str(own), "--out", str(own)))
    assert own.read_bytes() == speech.read_bytes()


def test_what_the_system_refuses_is_one_error(tmp_path: Path) -> None:
    check_error(run("photo", str(PORTRAIT), "-o", str(tmp_path / f"{300 * 'a'}.png")), code=1)
    if Path("/dev/full").exists():
        (tmp_path / "full.png").symlink_to("/dev/full")
        check_error(run("photo", str(PORTRAIT), "-o", str(tmp_path / "full.png")), code=1)


@pytest.mark.parametrize(
    "words", [("--host", "999.1.1.1"), ("--host", "203.0.113.9"), ("--cache", "/"), ("--fuse", "--device", "cpu")]
)
def test_serve_where_it_cannot_is_an_error(words: tuple[str, ...]) -> None:
    check_error(run("serve", "--port", "0", *words))


def test_demo_into_a_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    check_error(run("demo", "--once", "--out", str(tmp_path / "file")))


def test_demo_with_a_picture_of_nobody_is_an_error_before_any_call(tmp_path: Path) -> None:
    check_error(run("demo", "--once", "--photo", str(PORTRAIT.with_name("coffee.jpg")), "--out", str(tmp_path)))


def test_ctrl_c_while_loading_ends_quietly() -> None:
    command = [sys.executable, "-m", "rtc_voice", "demo", "--once"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as process:
        assert process.stderr is not None
        process.stderr.read(1)  # the progress line: it is loading
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode in (0, 130)
    assert "Traceback" not in said
    assert "Warning" not in said


def test_a_benchmark_that_is_not_there_is_an_error() -> None:
    check_error(run("bench", "beauty"))


def test_a_port_that_is_taken_is_an_error() -> None:
    with serving() as server:
        port = server.url.rsplit(":", 1)[1]
        check_error(run("serve", "--port", port))


def test_serve_ends_cleanly_on_a_signal() -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        with serving() as server:
            server.process.send_signal(number)
            assert server.process.wait(timeout=20) == 0
            assert server.process.stderr is not None
            assert "Traceback" not in server.process.stderr.read()


def test_doctor_finds_what_the_bot_needs() -> None:
    done = run("doctor")
    assert done.returncode == 0, done.stdout
    for part in ("Python", "models", "face tracking", "text to speech", "synthesis", "CUDA", "addresses"):
        assert part in done.stdout


class serving:
    """``rtc-voice serve`` on a free port, killed at the end if it still runs."""

    def __enter__(self) -> "serving":
        command = [sys.executable, "-m", "rtc_voice", "serve", "--port", "0"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().strip()
        assert self.url.startswith("http://127.0.0.1:")
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()
