"""A photo speaks; the voice is the face's, however the photo was taken, and bad pictures are refused in one line."""

import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps

from rtc_voice import offline
from rtc_voice.errors import InputError, NoFaceError, RtcVoiceError
from rtc_voice.faces.picture import read_picture
from rtc_voice.selfcall import PORTRAIT
from rtc_voice.speech.audio_file import write_wav
from rtc_voice.speech.text import F0_HZ, TextToSpeech
from rtc_voice.synthesis.chain import load_chain
from rtc_voice.synthesis.engine import Engine
from rtc_voice.voices.types import Voice
from tests.synthesis.test_engine import CHUNK, Listener
from tests.synthesis.voices import voice

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def portrait() -> Image.Image:
    return Image.open(PORTRAIT).convert("RGB")


@pytest.fixture(scope="module")
def its_voice(portrait: Image.Image) -> Voice:
    return offline.voice_of(np.array(portrait))


@pytest.mark.parametrize("change", ["mirrored", "a third darker", "half size"])
def test_the_same_portrait_has_the_same_voice(portrait: Image.Image, its_voice: Voice, change: str) -> None:
    changed = {
        "mirrored": lambda: ImageOps.mirror(portrait),
        "a third darker": lambda: ImageEnhance.Brightness(portrait).enhance(2 / 3),
        "half size": lambda: portrait.resize((portrait.width // 2, portrait.height // 2), Image.Resampling.LANCZOS),
    }[change]()
    other = offline.voice_of(np.array(changed))
    assert float(other.embedding @ its_voice.embedding) >= 0.95
    assert abs(12 * np.log2(other.f0_hz / its_voice.f0_hz)) <= 0.5


def test_a_text_is_spoken_at_the_voices_pitch() -> None:
    spoken = np.concatenate(list(offline.say("We were away a year ago.", voice(110))))
    assert 1.0 < len(spoken) / 24_000 < 4.0
    assert np.abs(spoken).max() > 0.05


def test_conversion_keeps_the_length_and_the_time_line() -> None:
    chain = load_chain()
    source = np.zeros(12_345, np.float32)
    source[6000:9000] = 0.2 * np.random.default_rng(0).standard_normal(3000)
    out = np.concatenate(list(offline.convert(source, voice(), chain)))
    assert out.shape == source.shape
    loud = np.flatnonzero(np.abs(out) > 0.03)
    assert abs(int(loud[0]) - 6000) < 480
    assert abs(int(loud[-1]) - 9000) < 720


def test_a_recording_is_converted_as_in_a_call() -> None:
    chain, listener = load_chain(), Listener()
    source = np.concatenate(list(TextToSpeech().sentences("Where were you?")))
    offline_out = np.concatenate(list(offline.convert(source, voice(130), chain)))
    with Engine(chain, slots=2) as engine:
        stream = engine.open(voice(130), listener)
        heard = np.pad(source, (0, chain.lookahead + chain.config.chunk_samples))
        for start in range(0, len(heard), 333):  # as packets come: not in the chunks of the engine
            stream.hear(heard[start : start + 333])
            listener.until(samples=min(start + 333, len(heard)) // CHUNK * CHUNK)
    in_call = listener.heard()[chain.lookahead :][: len(source)]
    np.testing.assert_array_equal(in_call, offline_out)


def test_a_voice_comes_from_a_photo_or_a_recording(tmp_path: Path, its_voice: Voice) -> None:
    speech = np.concatenate(list(TextToSpeech().sentences("Where were you while we were away a year ago?")))
    write_wav(tmp_path / "speech.wav", speech, 24_000)
    assert offline.voice_from(PORTRAIT).f0_hz == its_voice.f0_hz
    assert offline.voice_from(tmp_path / "speech.wav").f0_hz == pytest.approx(F0_HZ, rel=0.12)


def bad_recordings(folder: Path) -> dict[str, Path]:
    files = {name: folder / f"{name}.wav" for name in ("silent", "short", "text", "empty", "missing")}
    write_wav(files["silent"], np.zeros(24_000, np.float32), 24_000)
    write_wav(files["short"], np.full(1000, 0.5, np.float32), 24_000)
    files["text"].write_text("no sound at all")
    files["empty"].write_bytes(b"")
    return files | {"folder": folder}


@pytest.mark.parametrize("name", ["silent", "short", "text", "empty", "missing", "folder"])
@pytest.mark.parametrize("read", [offline.read_source, offline.voice_from])
def test_a_bad_recording_gives_one_line_with_a_remedy(
    tmp_path: Path, name: str, read: Callable[[Path], object]
) -> None:
    with pytest.raises(InputError) as caught:
        read(bad_recordings(tmp_path)[name])
    assert "\n" not in str(caught.value)
    assert caught.value.hint


def huge_png(path: Path) -> None:
    """A valid header of 20,000 x 20,000 px, and hardly any data."""
    header = struct.pack(">IIBBBBB", 20_000, 20_000, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(b"\0" * 100)), (b"IEND", b"")]
    body = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)


def bad_pictures(folder: Path) -> dict[str, Path]:
    """Every way in which a picture can be of no use."""
    files = {name: folder / f"{name}.png" for name in ("empty", "corrupt", "huge", "text", "cut off", "black")}
    files["empty"].write_bytes(b"")
    files["corrupt"].write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 4)
    huge_png(files["huge"])
    files["text"].write_text("not a picture")
    Image.open(PORTRAIT).save(files["cut off"])
    files["cut off"].write_bytes(files["cut off"].read_bytes()[:2000])
    Image.new("RGB", (400, 400)).save(files["black"])
    return files | {"no face": PORTRAIT.with_name("coffee.jpg"), "missing": folder / "nowhere.png", "folder": folder}


NAMES = ["empty", "corrupt", "huge", "text", "cut off", "black", "no face", "missing", "folder"]


@pytest.mark.parametrize("name", NAMES)
def test_a_bad_picture_gives_one_line_with_a_remedy(tmp_path: Path, name: str) -> None:
    with pytest.raises(RtcVoiceError) as caught:
        offline.voice_of(read_picture(bad_pictures(tmp_path)[name]))
    assert "\n" not in str(caught.value)
    assert caught.value.hint


def test_a_face_of_a_few_pixels_is_refused_rather_than_guessed(portrait: Image.Image) -> None:
    tiny = Image.new("RGB", (640, 480), "white")
    tiny.paste(portrait.resize((48, 48)), (300, 200))
    with pytest.raises(NoFaceError):
        offline.voice_of(np.array(tiny))
