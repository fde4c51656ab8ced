"""OpenCV, which mediapipe brings along, or the error that says what of the system it needs."""

from rtc_voice.errors import MissingPartError

try:
    import cv2
except ImportError as error:  # its own file is there, a library that it links is not
    raise MissingPartError(f"OpenCV cannot start: {error}", "apt install libgl1 libglib2.0-0") from error

__all__ = ["cv2"]
