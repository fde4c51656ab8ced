"""The other side of a call: a participant made of code, for the demo and for tests."""

import asyncio
import json
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import numpy as np
from aiortc import RTCBundlePolicy, RTCDataChannel, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamTrack
from numpy.typing import NDArray

from rtc_voice.config import AUDIO
from rtc_voice.metrics import Metrics
from rtc_voice.rtc.aiortc_private import take_packets, use_loopback_when_alone
from rtc_voice.rtc.ice import DIRECT, IceConfig
from rtc_voice.rtc.peer import opus_only
from rtc_voice.rtc.playout import ChunkQueue, Samples
from rtc_voice.rtc.protocol import CHANNEL_LABEL, Inbound, dump
from rtc_voice.rtc.receive import AudioReceiver, drain
from rtc_voice.rtc.tracks import OpusTrack, PictureTrack, SpeechTrack
from rtc_voice.timing import Clock

OpenCall = Callable[[str, str], Awaitable[Mapping[str, str]]]
"""Takes an offer (``sdp``, ``type``) and gives the answer, with at least ``sdp`` and ``type``."""

FPS = 15
CONNECT_TIMEOUT_S = 20.0
MAX_HEARD = 30_000  # frames kept: 10 minutes
MAX_WAITING = 1_000  # messages, and sounds waiting to be said


@dataclass(frozen=True, slots=True)
class Heard:
    """One frame of what the other side sent."""

    time_s: float  # on the caller's clock, when it was decoded
    samples: Samples  # 24 kHz mono, ``[T]``


class Caller:
    """A participant who calls, speaks, shows pictures, listens and takes messages.

    Inside ``async with`` the call stands. ``heard`` keeps what came in and ``messages`` what was sent on the data
    channel, as decoded JSON.
    """

    def __init__(
        self,
        open_call: OpenCall,
        *,
        clock: Clock,
        metrics: Metrics,
        pictures: Iterator[NDArray[np.uint8]] | None = None,
        ice: IceConfig = DIRECT,
    ) -> None:
        self.heard: deque[Heard] = deque(maxlen=MAX_HEARD)
        self.messages: asyncio.Queue[dict[str, object]] = asyncio.Queue(MAX_WAITING)
        self.microphone = ChunkQueue(AUDIO.sample_rate, MAX_WAITING, metrics)
        self._open_call = open_call
        self._clock = clock
        self._metrics = metrics
        use_loopback_when_alone()
        self._pc = RTCPeerConnection(ice.configuration(RTCBundlePolicy.MAX_BUNDLE))
        self._tracks: list[MediaStreamTrack] = [OpusTrack(SpeechTrack(self.microphone, clock, metrics))]
        if pictures is not None:
            self._tracks.append(PictureTrack(pictures, FPS, clock, metrics))
        self._audio = AudioReceiver(self._on_samples, metrics, clock)
        self._channel = self._add_media()
        self._open = asyncio.Event()
        self._closing: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                await self._call()
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def _add_media(self) -> RTCDataChannel:
        """Add the tracks, then the channel: bundled before them, aiortc 1.16 closes the transport they share."""
        for track in self._tracks:
            transceiver = self._pc.addTransceiver(track)
            if track.kind == "audio":
                transceiver.setCodecPreferences(opus_only())
                take_packets(transceiver.receiver, self._audio.take, self._metrics)
        return self._pc.createDataChannel(CHANNEL_LABEL)

    async def _call(self) -> None:
        self._pc.on("track", self._on_track)
        self._channel.on("message", self._on_message)
        self._channel.on("open", self._open.set)
        await self._pc.setLocalDescription(await self._pc.createOffer())
        answer = await self._open_call(self._pc.localDescription.sdp, self._pc.localDescription.type)
        await self._pc.setRemoteDescription(RTCSessionDescription(answer["sdp"], answer["type"]))
        await self._open.wait()

    def say(self, samples: Samples) -> bool:
        """Speak: 24 kHz mono ``[T]``, peak 1, after what is still being said; False when too much is waiting."""
        return self.microphone.push(samples)

    def send(self, message: Inbound) -> None:
        """Send a message to the bot."""
        self._channel.send(dump(message))

    async def message(self, kind: str, timeout_s: float = 10.0) -> dict[str, object]:
        """The next message of type ``kind``; others before it are dropped. TimeoutError if none comes."""
        async with asyncio.timeout(timeout_s):
            while (message := await self.messages.get())["type"] != kind:
                pass
        return message

    def recording(self) -> Samples:
        """All that was heard, ``[T]``."""
        return np.concatenate([heard.samples for heard in self.heard]) if self.heard else np.zeros(0, np.float32)

    async def close(self) -> None:
        """Hang up; calling it again does nothing more."""
        tasks = set(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._audio.close()
        for track in self._tracks:
            track.stop()
        self._closing = self._closing or asyncio.get_running_loop().create_task(self._pc.close())
        await asyncio.shield(self._closing)  # once cancelled half-way, aiortc's close never ends

    def _on_track(self, track: MediaStreamTrack) -> None:
        task = asyncio.get_running_loop().create_task(drain(track))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _on_samples(self, samples: Samples, filled: int) -> None:
        self.heard.append(Heard(self._clock.now(), samples))

    def _on_message(self, text: str | bytes) -> None:
        if self.messages.full():
            self.messages.get_nowait()
            self._metrics.count("dropped_messages")
        self.messages.put_nowait(json.loads(text))
