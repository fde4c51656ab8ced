"""Recordings in and out of files."""

import io
import wave
from pathlib import Path

import av
import av.error
import numpy as np
from numpy.typing import NDArray

from rtc_voice.errors import AudioError, no_file
from rtc_voice.output import check_place

MAX_S = 3600.0  # seconds read from a file at most
WAV_RATES = (8000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)  # Hz


def read_audio(path: str | Path, sample_rate: int) -> NDArray[np.float32]:
    """The sound of a file (any format that FFmpeg reads; a video's sound too), mono, peak 1, ``[T]``.

    Raises:
        AudioError: no such file, empty, damaged, without sound, or longer than an hour.
    """
    path = Path(path)
    if not path.is_file():
        raise AudioError(no_file(path), "check the path")
    if not path.stat().st_size:
        raise AudioError(f"{path.name} is empty", "record or copy it again")
    try:
        samples = _decode(path, sample_rate)
    except (av.error.FFmpegError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        remedy = "use WAV, FLAC, MP3, M4A or OGG, or a video with sound"
        raise AudioError(f"{path.name} is no recording we can read: {str(reason)[:120]}", remedy) from error
    if not samples.size:
        raise AudioError(f"{path.name} holds no sound", "record it again")
    return samples


def _decode(path: Path, sample_rate: int) -> NDArray[np.float32]:
    resampler = av.AudioResampler(format="flt", layout="mono", rate=sample_rate)
    parts: list[NDArray[np.float32]] = []
    total = 0
    with av.open(str(path)) as container:
        if not container.streams.audio:
            return np.zeros(0, np.float32)
        for frame in (*container.decode(audio=0), None):
            for out in resampler.resample(frame):
                parts.append(out.to_ndarray()[0].astype(np.float32))
                total += parts[-1].size
            if total > MAX_S * sample_rate:
                raise AudioError(f"{path.name} is longer than an hour", "cut it into pieces")
    return np.concatenate(parts) if parts else np.zeros(0, np.float32)


def parse_wav(data: bytes) -> tuple[NDArray[np.float32], int]:
    """The samples of a WAV file from somebody unknown, peak 1, ``[T]``, and their rate in Hz.

    Only 16-bit mono at a usual rate: no decoder for anything else is let near what strangers send.

    Raises:
        AudioError: it is anything else.
    """
    try:
        with wave.open(io.BytesIO(data)) as file:
            kind = (file.getnchannels(), file.getsampwidth())
            rate, body = file.getframerate(), file.readframes(file.getnframes())
    except (wave.Error, EOFError) as error:
        raise AudioError("this is no WAV file", "send 16-bit mono WAV") from error
    if kind != (1, 2) or rate not in WAV_RATES:
        rates = ", ".join(map(str, WAV_RATES))
        raise AudioError(f"a WAV file of {kind[0]} x {8 * kind[1]} bit, {rate} Hz", f"send 1 x 16 bit at {rates} Hz")
    return np.frombuffer(body[: len(body) // 2 * 2], "<i2").astype(np.float32) / np.float32(32768), int(rate)


def write_wav(path: str | Path, samples: NDArray[np.float32], sample_rate: int) -> None:
    """Write mono samples of peak 1 as a 16-bit WAV file; folders on the way are made.

    Raises:
        AudioError: the file cannot be written.
    """
    path = Path(path)
    check_place(path, ".wav", AudioError)
    try:
        with path.open("wb") as opened, wave.open(opened, "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(sample_rate)
            file.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
    except OSError as error:
        raise AudioError(f"{path} cannot be written: {error.strerror}", "choose another place with -o") from error
