"""A one-way connection to the server of a room: a participant comes in on it, or a voice goes out."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Protocol

import av
from aiortc import RTCBundlePolicy, RTCDataChannel, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamTrack

from rtc_voice.errors import ProtocolError
from rtc_voice.metrics import Metrics
from rtc_voice.rtc.aiortc_private import guard_transports, is_answering, take_packets, use_loopback_when_alone
from rtc_voice.rtc.ice import DIRECT, IceConfig
from rtc_voice.rtc.listener import tell
from rtc_voice.rtc.peer import (
    ANSWER_S,
    BAD_DESCRIPTION,
    MAX_BUFFERED_BYTES,
    add_candidate,
    ask_for_copies,
    opus_only,
)
from rtc_voice.rtc.playout import Samples
from rtc_voice.rtc.receive import AudioReceiver, drain, receive_video
from rtc_voice.rtc.tracks import OpusTrack, SpeechSource, SpeechTrack
from rtc_voice.timing import Clock

CONNECT_TIMEOUT_S = 15.0


class Ear(Protocol):
    """Who hears and sees a participant. All are called on the event loop and must return at once."""

    def on_samples(self, samples: Samples) -> None:
        """Their sound, 24 kHz mono ``[T]``, as it comes; gaps are filled in."""

    def on_pause(self) -> None:
        """They have stopped sending sound; called once, until it comes again."""

    def on_picture(self, frame: av.VideoFrame, time_ms: float) -> None:
        """Their newest picture, with the clock's time of its arrival."""

    def on_video_ended(self) -> None:
        """Their video has ended."""


class Link:
    """One connection: say what it carries, then let either side offer, then ``close`` it.

    ``lost`` is set when it fails, or when a connection that stood is ended by the server; not by ``close``.

    Args:
        silence_s: how long nothing may come before the other end is asked whether it is there, and counts as lost if
            it does not answer; None where somebody else tells.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        metrics: Metrics,
        ice: IceConfig = DIRECT,
        silence_s: float | None = None,
    ) -> None:
        use_loopback_when_alone()
        self.lost = asyncio.Event()
        self._pc = RTCPeerConnection(ice.configuration(RTCBundlePolicy.MAX_BUNDLE))
        self._pc.on("track", self._on_track)
        self._pc.on("datachannel", self._on_channel)
        self._pc.on("connectionstatechange", self._on_state)
        self._clock = clock
        self._metrics = metrics
        self._silence_s = silence_s
        self._ear: Ear | None = None
        self._audio: AudioReceiver | None = None
        self._on_text: Callable[[str], None] | None = None
        self._voice: MediaStreamTrack | None = None
        self._channel: RTCDataChannel | None = None
        self._connected = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing: asyncio.Task[None] | None = None

    def speak(self, source: SpeechSource) -> None:
        """Let it carry what ``source`` holds."""
        self.carry(OpusTrack(SpeechTrack(source, self._clock, self._metrics)))

    def carry(self, voice: MediaStreamTrack) -> None:
        """Let it carry a track of Opus packets, which ends with it."""
        self._voice = voice
        self._pc.addTransceiver(voice, direction="sendonly").setCodecPreferences(opus_only())

    def listen(self, ear: Ear, kinds: Sequence[str] = ()) -> None:
        """Hand what comes to ``ear``.

        Name the ``kinds`` wanted, audio or video, to offer them ourselves, or to take no sound but Opus.
        """
        self._ear = ear
        self._audio = AudioReceiver(
            lambda samples, _: tell(self._metrics, ear.on_samples, samples),
            self._metrics,
            self._clock,
            on_pause=lambda: tell(self._metrics, ear.on_pause),
        )
        for kind in kinds:
            transceiver = self._pc.addTransceiver(kind, direction="recvonly")
            if kind == "audio":
                transceiver.setCodecPreferences(opus_only())

    def converse(self, on_text: Callable[[str], None], label: str) -> None:
        """Hand texts that come on a data channel to ``on_text``, and open the channel ``label``, after the media."""
        self._on_text = on_text
        self._channel = self._pc.createDataChannel(label)
        self._on_channel(self._channel)

    async def offer(self) -> str:
        """Our offer as SDP, with all addresses of this side."""
        await self._pc.setLocalDescription(await self._pc.createOffer())
        return str(self._pc.localDescription.sdp)

    async def accept(self, sdp: str) -> None:
        """Take the answer to our offer and wait until the connection stands.

        Raises:
            ProtocolError: the answer cannot be used, or no connection came about.
        """
        await self._describe(sdp, "answer")
        await self.connected()

    async def answer(self, sdp: str) -> str:
        """Our answer to an offer; ``connected`` waits until it has been put to use.

        Raises:
            ProtocolError: the offer cannot be used.
        """
        await self._describe(sdp, "offer")
        try:
            await self._pc.setLocalDescription(await self._pc.createAnswer())
        except BAD_DESCRIPTION as error:
            raise ProtocolError(
                f"the offer cannot be used: {error!r:.120}", "send an SDP offer as browsers make it", "bad-offer"
            ) from error
        return ask_for_copies(str(self._pc.localDescription.sdp))

    async def add_candidate(self, candidate: str, mid: str | None, line: int | None = None) -> None:
        """Take one more address of the other end (``candidate:…``); ProtocolError if it is none."""
        await add_candidate(self._pc, candidate, mid, line)

    async def connected(self) -> None:
        """Wait until the connection stands.

        Raises:
            ProtocolError: it did not come about.
        """
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                await self._connected.wait()
        except TimeoutError as error:
            remedy = "`rtc-voice doctor` says which addresses work; a firewall may want --ice-server turn:…"
            raise ProtocolError("no connection to the media server came about", remedy, "no-connection") from error
        if self._silence_s is not None:
            self._start(self._watch_silence(self._silence_s))

    async def _describe(self, sdp: str, type: str) -> None:
        try:
            await self._pc.setRemoteDescription(RTCSessionDescription(sdp, type))
        except BAD_DESCRIPTION as error:
            raise ProtocolError(
                f"the {type} cannot be used: {error!r:.120}", "see the server's log", f"bad-{type}"
            ) from error
        receivers = [transceiver.receiver for transceiver in self._pc.getTransceivers()]
        for receiver in receivers:
            if self._audio is not None and receiver.track is not None and receiver.track.kind == "audio":
                take_packets(receiver, self._audio.take, self._metrics)
        guard_transports(self._pc, self._metrics)

    def send(self, text: str) -> bool:
        """Send a text on the data channel; False, and counted, when that cannot take it."""
        channel = self._channel
        if channel is None or channel.readyState != "open" or channel.bufferedAmount > MAX_BUFFERED_BYTES:
            self._metrics.count("dropped_messages")
            return False
        channel.send(text)
        return True

    async def close(self) -> None:
        """End the connection and every task of it; calling it again waits for the same end."""
        if self._closing is None:
            self._closing = asyncio.get_running_loop().create_task(self._shut_down())
        await asyncio.shield(self._closing)  # once cancelled half-way, aiortc's close never ends

    async def _shut_down(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._audio is not None:
            self._audio.close()
        if self._voice is not None:
            self._voice.stop()
        await self._pc.close()

    def _start(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _on_track(self, track: MediaStreamTrack) -> None:
        if track.kind == "audio":
            return  # its packets are taken before they are decoded
        self._start(drain(track) if self._ear is None else self._watch_video(track, self._ear))

    async def _watch_video(self, track: MediaStreamTrack, ear: Ear) -> None:
        await receive_video(track, lambda *a: tell(self._metrics, ear.on_picture, *a), self._metrics, self._clock)
        tell(self._metrics, ear.on_video_ended)

    def _on_channel(self, channel: RTCDataChannel) -> None:
        channel.on("message", self._on_message)

    def _on_message(self, text: str | bytes) -> None:
        if self._on_text is not None:
            tell(self._metrics, self._on_text, text if isinstance(text, str) else text.decode("utf-8", "replace"))

    def _on_state(self) -> None:
        if self._pc.connectionState == "connected":
            self._connected.set()
        elif self._pc.connectionState in ("failed", "closed") and self._closing is None:
            self.lost.set()

    async def _watch_silence(self, limit_s: float) -> None:
        received, since = -1, self._clock.now()
        while True:
            await self._clock.sleep_until(self._clock.now() + 1.0)
            report = await self._pc.getStats()
            now_received = sum(stats.packetsReceived for stats in report.values() if stats.type == "transport")
            if now_received != received:
                received, since = now_received, self._clock.now()
            elif self._clock.now() - since >= limit_s and not await self._is_there():
                break
        self._metrics.count("silent_links")
        self.lost.set()

    async def _is_there(self) -> bool:
        return await is_answering(self._pc.getTransceivers()[0].receiver.transport.transport, ANSWER_S)
