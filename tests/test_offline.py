"""A photo speaks; the voice is the face's, however the photo was taken, and bad pictures are refused in one line."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps

from rtc_voice import offline
from rtc_voice.errors import NoFaceError, RtcVoiceError
from rtc_voice.faces.picture import read_picture
from rtc_voice.selfcall import PORTRAIT
from rtc_voice.synthesis.chain import load_chain
from rtc_voice.voices.types import Voice
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
