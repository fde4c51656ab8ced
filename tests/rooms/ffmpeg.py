"""FFmpeg as a WHIP client: a portrait and speech, sent by its own muxer, as ``ffmpeg -f whip`` does."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from rtc_voice.faces.picture import read_picture
from rtc_voice.selfcall import pan

RATE, FPS = 48_000, 10
FRAME = 960  # samples


@contextmanager
def sending(
    url: str, token: str, portrait: Path, speech: NDArray[np.float32], files: tuple[Path, Path]
) -> Iterator[None]:
    """Send to ``url`` while inside: the portrait, and ``speech`` (48 kHz mono ``[T]``) again and again.

    ``files`` are a certificate and its key: the one that FFmpeg 8 makes with GnuTLS is on the curve P-224, which
    OpenSSL refuses.
    """
    is_over = threading.Event()
    faults: list[BaseException] = []

    def send() -> None:
        try:
            _send(url, token, portrait, speech, files, is_over)
        except BaseException as fault:
            faults.append(fault)

    sender = threading.Thread(target=send)
    sender.start()
    try:
        yield
    finally:
        is_over.set()
        sender.join()
    if faults:
        raise faults[0]


def _send(
    url: str,
    token: str,
    portrait: Path,
    speech: NDArray[np.float32],
    files: tuple[Path, Path],
    is_over: threading.Event,
) -> None:
    options = {"authorization": token, "cert_file": str(files[0]), "key_file": str(files[1])}
    with av.open(url, "w", format="whip", options=options) as out:
        picture = out.add_stream("libx264", rate=FPS, options={"profile": "baseline", "preset": "ultrafast"})
        picture.width, picture.height, picture.pix_fmt = 640, 480, "yuv420p"
        sound = out.add_stream("libopus", rate=RATE, layout="stereo")
        views = pan(read_picture(portrait))
        start, heard = time.monotonic(), 0
        for number in range(1_000_000):
            if is_over.is_set():
                return
            frame = av.VideoFrame.from_ndarray(next(views), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            out.mux(picture.encode(frame))
            while heard < (number + 1) * RATE // FPS:
                out.mux(sound.encode(_stereo(speech, heard)))
                heard += FRAME
            time.sleep(max(0.0, start + (number + 1) / FPS - time.monotonic()))


def _stereo(speech: NDArray[np.float32], at: int) -> av.AudioFrame:
    samples = np.take(speech, range(at, at + FRAME), mode="wrap")
    both = np.repeat((32_767 * samples).astype(np.int16), 2)[None]
    frame = av.AudioFrame.from_ndarray(both, format="s16", layout="stereo")
    frame.sample_rate, frame.pts, frame.time_base = RATE, at, Fraction(1, RATE)
    return frame
