"""Incoming media: each packet of sound is decoded when it is due, as 24 kHz mono; of the pictures the newest counts."""

import asyncio
import logging
from collections.abc import Callable

import av
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack

from rtc_voice.metrics import Metrics
from rtc_voice.rtc.jitter import GRACE_S, AudioPacket, JitterBuffer, Piece
from rtc_voice.rtc.opus import BadPacketError, OpusDecoder
from rtc_voice.rtc.playout import Samples
from rtc_voice.timing import Clock

logger = logging.getLogger(__name__)

MAX_FPS = 15
SECOND_LOOK_S = 0.001


class AudioReceiver:
    """Packets of one sender to sound without holes, on the event loop: decoding 20 ms takes 0.05 ms.

    Args:
        on_samples: takes the sound as it becomes due, 24 kHz mono ``[T]``, and how many of the samples were made up.
        on_pause: the sender has stopped; called once, until sound comes again.
    """

    def __init__(
        self,
        on_samples: Callable[[Samples, int], None],
        metrics: Metrics,
        clock: Clock,
        on_pause: Callable[[], None] = lambda: None,
    ) -> None:
        self._on_samples = on_samples
        self._on_pause = on_pause
        self._metrics = metrics
        self._clock = clock
        self._buffer = JitterBuffer(metrics)
        self._decoder = OpusDecoder()
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._is_closed = False

    def take(self, packet: AudioPacket) -> None:
        """The next packet from the network."""
        if self._is_closed:
            return
        self._buffer.add(packet, self._clock.now())
        self._metrics.record("receive_delay_ms", 1000 * self._buffer.delay_s)
        self._play()

    def close(self) -> None:
        """Stop; what comes later is dropped."""
        self._is_closed = True
        self._stop_timer()

    def _play(self) -> None:
        """Hand on what is due, and come back when the next is."""
        pieces = self._buffer.take(self._clock.now())
        for piece in pieces:
            samples = self._sound(piece)
            self._on_samples(samples, 0 if piece.packet else samples.size)
        if pieces and self._buffer.is_paused:
            self._on_pause()
        self._stop_timer()
        wake_s = self._buffer.wake_s()
        if wake_s is not None and not self._is_closed:
            self._timer = self._loop.call_later(wake_s - self._clock.now(), self._wake, wake_s)

    def _wake(self, due_s: float) -> None:
        if self._clock.now() > due_s + GRACE_S:
            # This loop was held up, not the network: packets may be waiting to be read.
            self._timer = self._loop.call_later(SECOND_LOOK_S, self._play)
        else:
            self._play()

    def _sound(self, piece: Piece) -> Samples:
        if piece.packet is not None:
            try:
                return self._decoder.decode(piece.packet.data)
            except BadPacketError as error:
                self._metrics.count("bad_packets")
                logger.debug("%s", error)
        return self._decoder.conceal(piece.ticks, piece.following)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


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
