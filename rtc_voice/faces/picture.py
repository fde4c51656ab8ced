"""Reads pictures from files, and refuses what cannot be one before spending time on it."""

import mimetypes
import struct
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from rtc_voice.errors import PictureError, no_file
from rtc_voice.faces.types import Picture

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM")
MAX_SIDE = 12_000  # px
MAX_PIXELS = 64_000_000


def read_picture(path: str | Path) -> Picture:
    """The picture in a file as RGB, turned upright as its EXIF says; transparent parts become white.

    Raises:
        PictureError: no such file, empty, damaged, not a picture, or larger than 12,000 px a side or 64 megapixels
            (found in the header, so a huge picture costs nothing).
    """
    path = Path(path)
    if not path.is_file():
        raise PictureError(no_file(path), "check the path")
    if not path.stat().st_size:
        raise PictureError(f"{path.name} is empty", "copy or download it again")
    with _open(path) as image:
        width, height = image.size
        if max(width, height) > MAX_SIDE or width * height > MAX_PIXELS:
            raise _too_large(path, f"{width} x {height} px")
        try:
            return _decode(image)
        except (OSError, SyntaxError, ValueError, EOFError, struct.error) as error:
            raise PictureError(f"{path.name} is damaged: {error}", "copy or download it again") from error


def is_picture(path: str | Path) -> bool:
    """Whether a file is meant as a picture, by its name or by its first bytes. Readable or not."""
    if (mimetypes.guess_type(str(path))[0] or "").startswith("image/"):
        return True
    try:
        with _open(Path(path)):
            return True
    except PictureError as error:
        return isinstance(error.__cause__, Image.DecompressionBombError)


def _open(path: Path) -> Image.Image:
    with warnings.catch_warnings():
        # Pillow warns above its own limit; ours is checked right after.
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        try:
            return Image.open(path, formats=FORMATS)
        except Image.DecompressionBombError as error:
            raise _too_large(path, "over 170 megapixels") from error
        except UnidentifiedImageError as error:
            raise PictureError(f"{path.name} is no picture we can read", f"formats: {', '.join(FORMATS)}") from error
        except (OSError, SyntaxError, ValueError, EOFError, struct.error) as error:
            raise PictureError(f"{path.name} cannot be read: {error}", "copy or download it again") from error


def _too_large(path: Path, size: str) -> PictureError:
    limits = f"at most {MAX_SIDE} px a side and {MAX_PIXELS // 1_000_000} megapixels"
    return PictureError(f"{path.name} is too large: {size}", limits)


def _decode(image: Image.Image) -> Picture:
    upright = ImageOps.exif_transpose(image)
    if upright.has_transparency_data:
        layer = upright.convert("RGBA")
        upright = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
    return np.array(upright.convert("RGB"))
