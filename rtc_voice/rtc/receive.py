"""Incoming media: every decoded frame is taken at once, as 24 kHz mono or as the newest picture."""

import asyncio
from collections.abc import Callable

import av
import numpy as np
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack

from rtc_voice.metrics import Metrics
from rtc_voice.rtc.playout import Samples
from rtc_voice.rtc.resample import INPUT_RATE, OUTPUT_RATE, Halver, to_mono
from rtc_voice.timing import Clock

MAX_FILLED_S = 0.2  # a longer gap is a pause of the sender (discontinuous transmission), not loss
FADE_S = 0.02
MAX_FPS = 15


class AudioReader:
    """Decoded 48 kHz frames to 24 kHz mono on an unbroken time line; lost packets are filled in."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._halve = Halver()
        self._expected_pts: int | None = None
        self._last = np.zeros(0, np.float32)  # the last frame, 48 kHz

    def read(self, frame: av.AudioFrame) -> tuple[Samples, int]:
        """The samples of the next frame, ``[T]``, and how many of them at the start were made up for a gap."""
        samples = to_mono(frame.to_ndarray().astype(np.int16, copy=False), len(frame.layout.channels))
        missing = self._missing(frame)
        filled = self._conceal(missing)
        self._last = samples
        return self._halve(np.concatenate([filled, samples])), missing * OUTPUT_RATE // INPUT_RATE

    def _missing(self, frame: av.AudioFrame) -> int:
        pts = self._expected_pts if frame.pts is None else frame.pts
        gap = 0 if pts is None or self._expected_pts is None else pts - self._expected_pts
        self._expected_pts = None if pts is None else pts + frame.samples
        if gap <= 0:
            return 0
        self._metrics.count("gaps")
        missing = min(gap, int(MAX_FILLED_S * INPUT_RATE))
        self._metrics.count("concealed_samples", missing * OUTPUT_RATE // INPUT_RATE)
        return missing

    def _conceal(self, missing: int) -> Samples:
        """The last frame mirrored in time, which joins without a jump, fading within 20 ms."""
        filled = np.zeros(missing, np.float32)
        fade = min(missing, self._last.size, int(FADE_S * INPUT_RATE))
        filled[:fade] = self._last[::-1][:fade] * np.linspace(1, 0, fade, dtype=np.float32)
        return filled


async def receive_audio(track: MediaStreamTrack, on_samples: Callable[[Samples, int], None], metrics: Metrics) -> None:
    """Hand on every frame of ``track`` until it ends: ``on_samples(samples, filled)``, see ``AudioReader.read``."""
    reader = AudioReader(metrics)
    while True:
        try:
            frame = await track.recv()
        except MediaStreamError:
            return
        assert isinstance(frame, av.AudioFrame)
        on_samples(*reader.read(frame))


async def receive_video(
    track: MediaStreamTrack,
    on_picture: Callable[[av.VideoFrame, float], None],
    metrics: Metrics,
    clock: Clock,
    max_fps: float = MAX_FPS,
) -> None:
    """Take every picture of ``track`` until it ends and hand on the newest: ``on_picture(frame, arrival_ms)``.

    A picture is handed on as the decoder gave it: turning 480p into RGB costs milliseconds, which the event loop does
    not have. Those that a newer one overtakes are counted as ``skipped_pictures``.
    """
    newest: asyncio.Queue[tuple[av.VideoFrame, float]] = asyncio.Queue(maxsize=1)

    async def hand_on() -> None:
        while True:
            frame, moment = await newest.get()
            on_picture(frame, 1000 * moment)
            await clock.sleep_until(moment + 1 / max_fps)

    async with asyncio.TaskGroup() as group:
        handing_on = group.create_task(hand_on())
        try:
            while True:
                frame = await track.recv()
                assert isinstance(frame, av.VideoFrame)
                if newest.full():
                    newest.get_nowait()
                    metrics.count("skipped_pictures")
                newest.put_nowait((frame, clock.now()))
        except MediaStreamError:
            handing_on.cancel()


async def drain(track: MediaStreamTrack) -> None:
    """Take and drop everything of ``track`` until it ends; left alone, its queue would grow without bound."""
    while True:
        try:
            await track.recv()
        except MediaStreamError:
            return
