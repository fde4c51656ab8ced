"""What the browser's fake camera shows and its fake microphone hears."""

import wave
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from rtc_voice.speech.text import SAMPLE_RATE, TextToSpeech

WIDTH, HEIGHT, FRAMES_PER_SECOND = 640, 480, 15
PAN_PX = 24  # to either side, in four seconds there and back
BACKGROUND = 90  # a grey wall


def write_camera(path: Path, portrait: Path, count: int = 1) -> None:
    """A y4m of the portrait, slowly panning before a grey wall, made to be looped; or of several of it side by side."""
    picture = Image.open(portrait).convert("RGB")
    height = HEIGHT // count
    picture = picture.resize((round(picture.width * height / picture.height), height))
    with path.open("wb") as file:
        file.write(f"YUV4MPEG2 W{WIDTH} H{HEIGHT} F{FRAMES_PER_SECOND}:1 Ip A1:1 C420jpeg\n".encode())
        for phase in np.linspace(0, 2 * np.pi, 4 * FRAMES_PER_SECOND, endpoint=False):
            canvas = Image.new("RGB", (WIDTH, HEIGHT), (BACKGROUND,) * 3)
            for place in range(1, 2 * count, 2):
                left = (place * WIDTH // count - picture.width) // 2
                canvas.paste(picture, (left + round(PAN_PX * np.sin(phase)), (HEIGHT - height) // 2))
            file.write(b"FRAME\n" + _i420(canvas))


def _i420(picture: Image.Image) -> bytes:
    luma, blue, red = (np.asarray(plane, dtype=np.float32) for plane in picture.convert("YCbCr").split())
    return b"".join(plane.astype(np.uint8).tobytes() for plane in (luma, _halved(blue), _halved(red)))


def _halved(plane: NDArray[np.float32]) -> NDArray[np.float32]:
    """Half the width and height, each pixel the mean of four."""
    return np.asarray(plane.reshape(plane.shape[0] // 2, 2, plane.shape[1] // 2, 2).mean(axis=(1, 3)))


def write_microphone(path: Path, text: str, slower: float = 1.0) -> None:
    """A WAV of ``text`` spoken by the local voice, which Chromium repeats for ever; slower is deeper, as on tape."""
    samples = np.concatenate(list(TextToSpeech().sentences(text)))
    samples = np.interp(np.arange(0, len(samples) - 1, 1 / slower), np.arange(len(samples)), samples)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes((0.5 * 32767 * samples).astype("<i2").tobytes())
