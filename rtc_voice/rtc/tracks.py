"""Outgoing media, paced: the bot's speech, encoded without a queue in between, and pictures for a test caller."""

import logging
from collections.abc import Iterator
from fractions import Fraction
from typing import Any, Protocol

import av
import numpy as np
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from numpy.typing import NDArray

from rtc_voice.config import AUDIO
from rtc_voice.metrics import Metrics
from rtc_voice.rtc.conceal import Concealment
from rtc_voice.rtc.opus import RTP_RATE, OpusEncoder
from rtc_voice.rtc.playout import Samples
from rtc_voice.timing import Clock

logger = logging.getLogger(__name__)

SILENT_PACKET = b"\xf8\xff\xfe"  # 20 ms of Opus
_RTP_TICK = Fraction(1, RTP_RATE)  # aiortc's own time base, so that it converts nothing
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


class SpeechSource(Protocol):
    """What is to be played: a ``ChunkQueue``, or several of them mixed."""

    @property
    def sample_rate(self) -> int:
        """Hz."""

    @property
    def expecting(self) -> bool:
        """Whether somebody is speaking: an empty pull is a late chunk then."""

    @property
    def hurry_s(self) -> float:
        """How much sooner the next pull may come, from the last one."""

    def pull(self, n_samples: int, time_s: float) -> Samples | None:
        """Up to ``n_samples`` for playing at ``time_s``, ``[<= n_samples]``; None when nothing is waiting."""


class FilledSpeech:
    """What a source holds; where it has nothing, its sound dies away. It neither raises nor waits. For any pace."""

    def __init__(self, queue: SpeechSource, metrics: Metrics) -> None:
        self._queue = queue
        self._metrics = metrics
        self._concealment = Concealment(queue.sample_rate)

    def next(self, n_samples: int, time_s: float) -> Samples:
        """The next ``n_samples``, ``[n_samples]``, for playing at ``time_s``; what is missing counts as late."""
        try:
            samples = self._queue.pull(n_samples, time_s)
        except Exception:
            logger.exception("the source of speech failed; silence goes out")
            self._metrics.count("failed_pulls")
            return self._concealment.fill(None, n_samples, goes_on=False)
        late = self._queue.expecting and (samples is None or samples.size < n_samples)
        if late:
            self._metrics.count("late_chunks")
        return self._concealment.fill(samples, n_samples, goes_on=late)


class SpeechTrack(MediaStreamTrack):
    """What a source holds as 20 ms frames of s16 mono, each at its time; silence when it holds nothing.

    It neither raises nor waits for sound while it lives, because aiortc ends a track that does.
    """

    kind = "audio"

    def __init__(self, queue: SpeechSource, clock: Clock, metrics: Metrics) -> None:
        super().__init__()
        self._queue = queue
        self._clock = clock
        self.metrics = metrics
        self.sample_rate = queue.sample_rate  # Hz
        self._frame_samples = queue.sample_rate * AUDIO.chunk_ms // 1000
        self._pacer = Pacer(self._frame_samples / queue.sample_rate, clock, metrics)
        self._speech = FilledSpeech(queue, metrics)

    async def recv(self) -> av.AudioFrame:
        """The next frame, at its time."""
        samples, number = await self.next()
        return audio_frame(samples, number * self._frame_samples, self.sample_rate)

    async def next(self) -> tuple[Samples, int]:
        """The samples of the next frame, at its time, and its number."""
        if self.readyState != "live":
            raise MediaStreamError
        number = await self._pacer.wait()
        samples = self._speech.next(self._frame_samples, self._clock.now())
        self._pacer.hurry(self._queue.hurry_s)
        return samples, number


class OpusTrack(MediaStreamTrack):
    """The frames of a ``SpeechTrack`` as Opus packets, which aiortc sends as they are.

    Why not leave it to aiortc: its encoder takes 48 kHz only, and resampling to frames of 960 samples holds every
    frame back for 20 ms; it runs in the loop's default executor, where any other job delays it; and it adds up the
    audio level of every frame sample by sample in Python. Encoding 24 kHz mono here takes 0.06 ms on one 2-GHz core.
    """

    kind = "audio"

    def __init__(self, source: SpeechTrack) -> None:
        super().__init__()
        self._source = source
        self._encoder: OpusEncoder | None = None

    async def recv(self) -> "av.Packet[Any]":
        """The next packet, at its time."""
        samples, number = await self._source.next()
        packet = av.Packet(self._encode(samples))
        packet.pts, packet.time_base = number * RTP_RATE * AUDIO.chunk_ms // 1000, _RTP_TICK
        return packet

    def _encode(self, samples: Samples) -> bytes:
        try:
            if self._encoder is None:
                self._encoder = OpusEncoder(self._source.sample_rate)
            return self._encoder.encode(samples)
        except Exception:
            logger.exception("a frame cannot be encoded; silence goes out")
            self._source.metrics.count("failed_frames")
            self._encoder = None
            return SILENT_PACKET

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


def audio_frame(samples: Samples, pts: int, sample_rate: int) -> av.AudioFrame:
    """``samples``, peak 1, ``[T]``, as s16 mono whose first one is number ``pts``."""
    whole = np.nan_to_num(samples * 32767.0, nan=0.0)
    frame = av.AudioFrame.from_ndarray(whole.clip(-32768, 32767).astype(np.int16)[None], format="s16", layout="mono")
    frame.sample_rate = sample_rate
    frame.pts = pts
    frame.time_base = Fraction(1, sample_rate)
    return frame
