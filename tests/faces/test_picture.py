import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.scenes import PORTRAITS
from rtc_voice.errors import PictureError
from rtc_voice.faces.picture import read_picture


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds no pixels: reading it any further than its header fails."""
    header = struct.pack(">4sIIBBBBB", b"IHDR", width, height, 8, 2, 0, 0, 0)
    start = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    return start + struct.pack(">I4s", 1_000_000, b"IDAT")


def jpeg() -> bytes:
    buffer = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save(buffer, "JPEG")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "there is no file"),
        (b"", "is empty"),
        (b"%PDF-1.7 not a picture", "is no picture"),
        (jpeg()[:2000], "is damaged"),
        (jpeg()[:10], "(is no picture|cannot be read|is damaged)"),
        (png_header(20_000, 20_000), "is too large: (20000 x 20000 px|over 170 megapixels)"),
        (png_header(20_000, 10), "is too large: 20000 x 10 px"),
        (png_header(12_000, 6_000), "is too large: 12000 x 6000 px"),
        (png_header(11_000, 9_000), "is too large"),
    ],
)
def test_bad_pictures_get_one_clear_line(content: bytes | None, message: str, tmp_path: Path) -> None:
    path = tmp_path / "picture"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(PictureError, match=message) as caught:
        read_picture(path)
    assert "\n" not in str(caught.value)
    assert caught.value.hint


def test_a_folder_is_no_picture(tmp_path: Path) -> None:
    with pytest.raises(PictureError, match="is a folder"):
        read_picture(tmp_path)


def test_exif_orientation_is_undone(tmp_path: Path) -> None:
    stored = np.zeros((4, 8, 3), np.uint8)
    stored[:, :4] = 255  # the camera's left half is bright
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise to see it upright
    Image.fromarray(stored).save(tmp_path / "turned.png", exif=exif)
    upright = read_picture(tmp_path / "turned.png")
    assert upright.shape == (8, 4, 3)
    assert upright[:4].min() == 255
    assert upright[4:].max() == 0


@pytest.mark.parametrize("mode", ["L", "1", "P", "CMYK", "RGBA", "LA"])
def test_every_kind_of_picture_becomes_rgb(mode: str, tmp_path: Path) -> None:
    name = tmp_path / ("picture.jpg" if mode == "CMYK" else "picture.png")
    Image.new("RGB", (5, 3), (255, 255, 255)).convert(mode).save(name)
    picture = read_picture(name)
    assert picture.shape == (3, 5, 3)
    assert picture.dtype == np.uint8
    assert picture.min() > 250


def test_transparent_parts_become_white(tmp_path: Path) -> None:
    Image.new("RGBA", (2, 2), (0, 0, 0, 0)).save(tmp_path / "clear.png")
    assert read_picture(tmp_path / "clear.png").min() == 255


def test_bundled_portraits_can_be_read() -> None:
    assert [read_picture(path).shape[2] for path in sorted(PORTRAITS.glob("*.jpg"))] == [3, 3]
