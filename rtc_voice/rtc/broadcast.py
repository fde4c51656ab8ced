"""One voice for any number of listeners: encoded once, and each gets every packet."""

import asyncio
from typing import Any

import av
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack

from rtc_voice.metrics import Metrics
from rtc_voice.rtc.tracks import OpusTrack, SpeechSource, SpeechTrack
from rtc_voice.timing import Clock

MAX_WAITING = 5  # packets for a connection that does not take them yet: 100 ms, dropped from the old end


class Broadcast:
    """Plays ``source`` from now on, whether somebody listens or not, until ``close``. A ``Carrier`` of a voice."""

    def __init__(self, source: SpeechSource, clock: Clock, metrics: Metrics) -> None:
        self.lost = asyncio.Event()  # never set: there is no connection that could fail
        self._track = OpusTrack(SpeechTrack(source, clock, metrics))
        self._metrics = metrics
        self._listeners: set[_Listener] = set()
        self._playing = asyncio.get_running_loop().create_task(self._play())

    def track(self) -> MediaStreamTrack:
        """The voice for one more listener, as Opus packets, until either is stopped."""
        listener = _Listener(self._metrics)
        self._listeners.add(listener)
        listener.once("ended", lambda: self._listeners.discard(listener))
        return listener

    async def close(self) -> None:
        """Stop; calling it again does nothing more."""
        self._playing.cancel()
        await asyncio.gather(self._playing, return_exceptions=True)
        self._track.stop()
        for listener in list(self._listeners):
            listener.stop()

    async def _play(self) -> None:
        while True:
            packet = await self._track.recv()
            for listener in self._listeners:
                listener.put(packet)


class _Listener(MediaStreamTrack):
    kind = "audio"

    def __init__(self, metrics: Metrics) -> None:
        super().__init__()
        self._metrics = metrics
        self._unsent: asyncio.Queue[av.Packet[Any]] = asyncio.Queue(MAX_WAITING)

    def put(self, packet: "av.Packet[Any]") -> None:
        if self._unsent.full():
            self._unsent.get_nowait()
            self._metrics.count("dropped_packets")
        self._unsent.put_nowait(packet)

    async def recv(self) -> "av.Packet[Any]":
        """The next packet, when it comes."""
        if self.readyState != "live":
            raise MediaStreamError
        return await self._unsent.get()
