"""Outgoing media, paced: the bot's speech, encoded without a queue in between, and pictures for a test caller."""

import logging
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import av
import numpy as np
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from numpy.typing import NDArray

from rtc_voice.config import AUDIO
from rtc_voice.metrics import Metrics
from rtc_voice.rtc.playout import ChunkQueue, Declick, Samples
from rtc_voice.timing import Clock

logger = logging.getLogger(__name__)

FADE_S = 0.003
SILENT_PACKET = b"\xf8\xff\xfe"  # 20 ms of Opus
VIDEO_CLOCK_HZ = 90_000


class Pacer:
    """Says when each frame leaves: at the first frame's time plus its place on the media clock.

    After a stall it leaves frames out of the media clock instead of sending them in a burst. The timestamps then stay
    on the grid they started on, so the far end sees one late packet and no lasting growth of the delay.
    """

    def __init__(self, frame_s: float, clock: Clock, metrics: Metrics) -> None:
        self._frame_s = frame_s
        self._clock = clock
        self._metrics = metrics
        self._start: float | None = None
        self._next = 0
        self._left: float | None = None

    async def wait(self) -> int:
        """The number of the next frame, at its time."""
        if self._start is None:
            self._start = self._clock.now()
        await self._clock.sleep_until(self._start + self._next * self._frame_s)
        now = self._clock.now()
        late_s = now - (self._start + self._next * self._frame_s)
        if late_s > self._frame_s:  # less is made up for at the next frame, without a burst
            self._metrics.count("late_frames")
            self._next += int(late_s / self._frame_s)
        if self._left is not None:
            self._metrics.record("frame_spacing_error_ms", 1000 * abs(now - self._left - self._frame_s))
        self._left = now
        self._next += 1
        return self._next - 1

    def hurry(self, seconds: float) -> None:
        """Let all frames from now on leave that much sooner; at most a frame's length at once."""
        if self._start is not None:
            self._start -= min(seconds, self._frame_s)


class SpeechTrack(MediaStreamTrack):
    """What a ``ChunkQueue`` holds as 20 ms frames of s16 mono, each at its time; silence when it holds nothing.

    It neither raises nor waits for sound while it lives, because aiortc ends a track that does.
    """

    kind = "audio"

    def __init__(self, queue: ChunkQueue, clock: Clock, metrics: Metrics) -> None:
        super().__init__()
        self._queue = queue
        self._clock = clock
        self.metrics = metrics
        self._frame_samples = queue.sample_rate * AUDIO.chunk_ms // 1000
        self._pacer = Pacer(self._frame_samples / queue.sample_rate, clock, metrics)
        self._declick = Declick(int(queue.sample_rate * FADE_S))

    async def recv(self) -> av.AudioFrame:
        """The next frame, at its time."""
        if self.readyState != "live":
            raise MediaStreamError
        number = await self._pacer.wait()
        samples = self._declick.fill(self._pull(), self._frame_samples)
        return _audio_frame(samples, number * self._frame_samples, self._queue.sample_rate)

    def _pull(self) -> Samples | None:
        try:
            samples = self._queue.pull(self._frame_samples, self._clock.now())
        except Exception:
            logger.exception("the source of a speech track failed; silence goes out")
            self.metrics.count("failed_pulls")
            return None
        self._pacer.hurry(self._queue.hurry_s)
        if self._queue.expecting and (samples is None or samples.size < self._frame_samples):
            self.metrics.count("late_chunks")
        return samples


class OpusTrack(MediaStreamTrack):
    """The frames of a ``SpeechTrack`` as Opus packets, which aiortc sends as they are.

    Why not leave it to aiortc: its encoder takes 48 kHz only, and resampling to frames of 960 samples holds every
    frame back for 20 ms; it runs in the loop's default executor, where any other job delays it; and it adds up the
    audio level of every frame sample by sample in Python. Encoding 24 kHz mono here takes 0.06 ms on one 2-GHz core.
    """

    kind = "audio"

    def __init__(self, source: SpeechTrack, bit_rate: int = 40_000) -> None:
        super().__init__()
        self._source = source
        self._bit_rate = bit_rate  # bits per second
        self._encoder: av.AudioCodecContext | None = None

    async def recv(self) -> "av.Packet[av.AudioStream]":
        """The next packet, at its time."""
        frame = await self._source.recv()
        packet = self._encode(frame)
        packet.pts = frame.pts  # the encoder's own starts below zero, by its delay
        packet.time_base = Fraction(1, frame.sample_rate)
        return packet

    def _encode(self, frame: av.AudioFrame) -> "av.Packet[Any]":
        try:
            if self._encoder is None:
                self._encoder = _opus_encoder(frame.sample_rate, self._bit_rate)
            return self._encoder.encode(frame)[0]
        except Exception:
            logger.exception("a frame cannot be encoded; silence goes out")
            self._source.metrics.count("failed_frames")
            self._encoder = None
            return av.Packet(SILENT_PACKET)

    def stop(self) -> None:
        """End the track and its source."""
        super().stop()
        self._source.stop()


class PictureTrack(MediaStreamTrack):
    """Pictures at a steady rate; after the last one it goes on showing that."""

    kind = "video"

    def __init__(self, pictures: Iterator[NDArray[np.uint8]], fps: int, clock: Clock, metrics: Metrics) -> None:
        super().__init__()
        self._pictures = pictures
        self._fps = fps
        self._pacer = Pacer(1 / fps, clock, metrics)
        self._shown = np.zeros((240, 320, 3), np.uint8)

    async def recv(self) -> av.VideoFrame:
        """The next picture, at its time."""
        if self.readyState != "live":
            raise MediaStreamError
        number = await self._pacer.wait()
        self._shown = next(self._pictures, self._shown)
        frame = av.VideoFrame.from_ndarray(self._shown, format="rgb24")
        frame.pts = number * VIDEO_CLOCK_HZ // self._fps
        frame.time_base = Fraction(1, VIDEO_CLOCK_HZ)
        return frame


def _audio_frame(samples: Samples, pts: int, sample_rate: int) -> av.AudioFrame:
    whole = np.nan_to_num(samples * 32767.0, nan=0.0)
    frame = av.AudioFrame.from_ndarray(whole.clip(-32768, 32767).astype(np.int16)[None], format="s16", layout="mono")
    frame.sample_rate = sample_rate
    frame.pts = pts
    frame.time_base = Fraction(1, sample_rate)
    return frame


def _opus_encoder(sample_rate: int, bit_rate: int) -> av.AudioCodecContext:
    """An encoder that gives one packet for each 20 ms frame, with 2.5 ms of delay (`voip` has 6.5)."""
    encoder = av.AudioCodecContext.create("libopus", "w")
    encoder.sample_rate = sample_rate
    encoder.layout = "mono"
    encoder.format = "s16"
    encoder.bit_rate = bit_rate
    encoder.time_base = Fraction(1, sample_rate)
    encoder.options = {"application": "lowdelay", "frame_duration": str(AUDIO.chunk_ms)}
    return encoder
