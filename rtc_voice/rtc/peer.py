"""One participant's connection: their offer is answered, their media and messages come in, our speech goes out."""

import asyncio
import logging
from collections import deque
from collections.abc import Coroutine
from typing import Protocol

import av
from aiortc import (
    RTCDataChannel,
    RTCPeerConnection,
    RTCRtpCodecCapability,
    RTCRtpReceiver,
    RTCSessionDescription,
)
from aiortc.exceptions import InternalError, InvalidAccessError, InvalidStateError, OperationError
from aiortc.mediastreams import MediaStreamTrack
from aiortc.sdp import SessionDescription, candidate_from_sdp

from rtc_voice.errors import ProtocolError
from rtc_voice.metrics import Metrics
from rtc_voice.rtc.aiortc_private import guard_transports, is_answering, take_packets, use_loopback_when_alone
from rtc_voice.rtc.ice import DIRECT, IceConfig
from rtc_voice.rtc.jitter import AudioPacket
from rtc_voice.rtc.listener import tell
from rtc_voice.rtc.playout import ChunkQueue, Samples
from rtc_voice.rtc.protocol import CHANNEL_LABEL, ErrorMessage, dump
from rtc_voice.rtc.receive import AudioReceiver, drain, receive_video
from rtc_voice.rtc.tracks import OpusTrack, SpeechTrack
from rtc_voice.timing import Clock

logger = logging.getLogger(__name__)

CONNECT_TIMEOUT_S = 14.0
LOOK_S = 0.5  # how often a peer's silence is looked at
SILENCE_S = 1.5  # without media or reports before the peer is asked whether it is there
ANSWER_S = 2.0  # to answer: with these three, a vanished peer is noticed within 5 s
MAX_UNSENT_MESSAGES = 64
MAX_BUFFERED_BYTES = 1 << 20

# What aiortc raises for a description it cannot use (measured by mutating offers).
BAD_DESCRIPTION = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    InternalError,
    InvalidAccessError,
    InvalidStateError,
    LookupError,
    OperationError,
    RuntimeError,
    StopIteration,
    TypeError,
    ValueError,
)


class PeerEvents(Protocol):
    """Who hears of what a peer sends. All are called on the event loop and must return at once."""

    def on_connected(self) -> None:
        """Media can flow."""

    def on_message(self, text: str | bytes) -> None:
        """A message came on the data channel, unchecked."""

    def on_samples(self, samples: Samples) -> None:
        """The peer's sound, 24 kHz mono ``[T]``, as it comes; gaps are filled in."""

    def on_pause(self) -> None:
        """The peer has stopped sending sound for now."""

    def on_picture(self, frame: av.VideoFrame, time_ms: float) -> None:
        """A picture of the peer's video, at most 15 a second, with the clock's time of its arrival."""

    def on_video_ended(self) -> None:
        """The peer's video has ended; the call goes on."""

    def on_gone(self) -> None:
        """The connection failed or was closed by the peer; it is closed by now. ``close`` is no departure."""


class Peer:
    """The connection to one participant: ``answer`` their offer once, then ``close``."""

    def __init__(
        self,
        handler: PeerEvents,
        queue: ChunkQueue,
        *,
        clock: Clock,
        metrics: Metrics,
        ice: IceConfig = DIRECT,
    ) -> None:
        self._handler = handler
        self._clock = clock
        self._metrics = metrics
        use_loopback_when_alone()
        self._pc = RTCPeerConnection(ice.configuration())
        self._speech = OpusTrack(SpeechTrack(queue, clock, metrics))
        self._channel: RTCDataChannel | None = None
        self._unsent: deque[str] = deque(maxlen=MAX_UNSENT_MESSAGES)
        self._tasks: set[asyncio.Task[None]] = set()
        self._has_video = False
        self._audio = AudioReceiver(
            lambda samples, _: tell(metrics, handler.on_samples, samples),
            metrics,
            clock,
            on_pause=lambda: tell(metrics, handler.on_pause),
        )
        self._lost = asyncio.Event()
        self._connected = asyncio.Event()
        self._gone = False
        self._closing: asyncio.Task[None] | None = None

    async def answer(self, sdp: str, type: str) -> dict[str, str]:
        """The answer to an offer, as ``{"sdp", "type"}``; call it once.

        Raises:
            ProtocolError: the offer cannot be used; the peer is closed then.
        """
        try:
            check_offer(sdp, type)
            return await self._negotiate(RTCSessionDescription(sdp, type))
        except BAD_DESCRIPTION as error:
            await self.close()
            raise ProtocolError(
                f"the offer cannot be used: {error!r:.120}", "send an SDP offer as browsers make it", "bad-offer"
            ) from error
        except BaseException:
            await self.close()
            raise

    async def _negotiate(self, offer: RTCSessionDescription) -> dict[str, str]:
        self._pc.on("track", self._on_track)
        self._pc.on("datachannel", self._on_channel)
        self._pc.on("connectionstatechange", self._on_state)
        transceiver = self._pc.addTransceiver(self._speech)
        transceiver.setCodecPreferences(opus_only())
        await self._pc.setRemoteDescription(offer)
        self._guard()
        await self._pc.setLocalDescription(await self._pc.createAnswer())
        self._start(self._watch())
        description = self._pc.localDescription
        return {"sdp": ask_for_copies(description.sdp), "type": description.type}

    def _guard(self) -> None:
        """Before any packet has come: aiortc begins to receive once local addresses are gathered."""
        receivers = [transceiver.receiver for transceiver in self._pc.getTransceivers()]
        hearing = [receiver for receiver in receivers if receiver.track is not None and receiver.track.kind == "audio"]
        for number, receiver in enumerate(hearing):
            take_packets(receiver, self._audio.take if number == 0 else _ignore, self._metrics)
        guard_transports(self._pc, self._metrics)

    async def add_candidate(self, candidate: str, mid: str | None, line: int | None = None) -> None:
        """Take one address that the peer found after its offer (``candidate:…``).

        Raises:
            ProtocolError: not a candidate.
        """
        await add_candidate(self._pc, candidate, mid, line)

    def send(self, text: str) -> bool:
        """Send a message, or keep it until the peer has opened the data channel; False if it was dropped."""
        if self._closing is not None:
            return False
        if self._channel is None:
            self._unsent.append(text)
            return True
        if self._channel.readyState != "open" or self._channel.bufferedAmount > MAX_BUFFERED_BYTES:
            self._metrics.count("dropped_messages")
            return False
        self._channel.send(text)
        return True

    async def close(self) -> None:
        """End the connection and every task of it; calling it again waits for the same end."""
        if self._closing is None:
            self._closing = asyncio.get_running_loop().create_task(self._shut_down())
        # aiortc's close never ends for anybody once it has been cancelled half-way.
        await asyncio.shield(self._closing)

    async def _shut_down(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._audio.close()
        self._speech.stop()
        await self._pc.close()
        if self._gone:
            tell(self._metrics, self._handler.on_gone)

    def _start(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.get_running_loop().create_task(self._or_log(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _or_log(self, work: Coroutine[object, object, None]) -> None:
        """Do ``work``; if it fails, the rest of the call goes on."""
        try:
            await work
        except Exception:
            self._metrics.count("failed_tasks")
            logger.exception("%s failed", work)

    def _on_track(self, track: MediaStreamTrack) -> None:
        if track.kind == "video":
            self._start(drain(track) if self._has_video else self._receive_video(track))
            self._has_video = True

    async def _receive_video(self, track: MediaStreamTrack) -> None:
        show = self._handler.on_picture
        await receive_video(track, lambda *a: tell(self._metrics, show, *a), self._metrics, self._clock)
        tell(self._metrics, self._handler.on_video_ended)

    def _on_channel(self, channel: RTCDataChannel) -> None:
        if channel.label != CHANNEL_LABEL or self._channel is not None:
            error = ErrorMessage("unknown-channel", f"channel {channel.label!r:.40}", f"open one {CHANNEL_LABEL!r}")
            channel.send(dump(error))
            return
        self._channel = channel
        channel.on("message", lambda text: tell(self._metrics, self._handler.on_message, text))
        while self._unsent:
            self.send(self._unsent.popleft())

    def _on_state(self) -> None:
        if self._pc.connectionState == "connected":
            self._connected.set()
            tell(self._metrics, self._handler.on_connected)
        elif self._pc.connectionState in ("failed", "closed"):
            self._lost.set()

    async def _watch(self) -> None:
        """Wait until the connection is lost, then close and say so."""
        if await self._is_set_within(self._connected, CONNECT_TIMEOUT_S):
            await self._silence()
        self._gone = True
        await self.close()

    async def _silence(self) -> None:
        """Return when the connection has failed, or nothing has come for too long and nobody answers."""
        received, since = -1, self._clock.now()
        while not await self._is_set_within(self._lost, LOOK_S):
            now_received = self._metrics.counters["peer_datagrams"]
            if now_received != received:
                received, since = now_received, self._clock.now()
            elif self._clock.now() - since >= SILENCE_S and not await self._is_there():
                self._metrics.count("silent_peers")
                return

    async def _is_there(self) -> bool:
        return await is_answering(self._pc.getTransceivers()[0].receiver.transport.transport, ANSWER_S)

    async def _is_set_within(self, event: asyncio.Event, timeout_s: float) -> bool:
        try:
            async with asyncio.timeout(timeout_s):
                await event.wait()
        except TimeoutError:
            return False
        return True


def _ignore(packet: AudioPacket) -> None:
    """Sound of a second track, which nobody has asked for."""


def ask_for_copies(sdp: str) -> str:
    """``sdp`` with the wish that each packet of Opus carries a copy of the one before (in-band FEC, RFC 7587)."""
    lines = sdp.splitlines(keepends=True)
    for place, line in enumerate(lines):
        if line.startswith("a=rtpmap:") and " opus/48000" in line:
            payload_type = line.removeprefix("a=rtpmap:").split()[0]
            lines[place] = f"{line}a=fmtp:{payload_type} minptime=10;useinbandfec=1\r\n"
    return "".join(lines)


def opus_only() -> list[RTCRtpCodecCapability]:
    """The codecs to offer or accept for an audio track whose packets are Opus already."""
    capabilities = RTCRtpReceiver.getCapabilities("audio")
    return [codec for codec in capabilities.codecs if codec.mimeType == "audio/opus"] if capabilities else []


async def add_candidate(connection: RTCPeerConnection, candidate: str, mid: str | None, line: int | None) -> None:
    """Let ``connection`` try one more address of its peer (``candidate:…``).

    Raises:
        ProtocolError: not a candidate.
    """
    try:
        parsed = candidate_from_sdp(candidate.removeprefix("candidate:"))
        parsed.sdpMid, parsed.sdpMLineIndex = mid, line
        await connection.addIceCandidate(parsed)
    except BAD_DESCRIPTION as error:
        raise ProtocolError(
            f"not a candidate: {candidate!r:.80}", "send candidates as browsers give them", "bad-candidate"
        ) from error


def check_offer(sdp: str, type: str) -> None:
    """Check that it is an offer to receive our audio.

    Raises:
        ProtocolError: it is none, or ``read_offer`` finds it wanting.
    """
    if type != "offer":
        raise ProtocolError(f"a description of type {type!r:.40}", "send an offer", "bad-offer")
    description = read_offer(sdp)
    if not any(media.kind == "audio" and media.direction in ("recvonly", "sendrecv") for media in description.media):
        raise ProtocolError("the offer has no audio that we could speak on", "offer sendrecv audio", "bad-offer")


def read_offer(sdp: str) -> SessionDescription:
    """An offer, checked for what aiortc passes silently or notices only when the answer has gone out.

    Raises:
        ProtocolError: it cannot be read, or its media are not encrypted, or contradict each other.
    """
    try:
        description = SessionDescription.parse(sdp)
    except BAD_DESCRIPTION as error:
        raise ProtocolError(
            f"the offer cannot be read: {error!r:.120}", "send an SDP offer as browsers make it", "bad-offer"
        ) from error
    for media in description.media:
        if media.kind not in ("audio", "video", "application"):
            raise ProtocolError(f"the offer has media of kind {media.kind!r:.40}", "audio, video, data", "bad-offer")
        if media.dtls is None or not media.dtls.fingerprints:
            raise ProtocolError("the offer has no DTLS fingerprint", "offer encrypted media", "bad-offer")
    names = [media.rtp.muxId for media in description.media]
    bundled = [name for group in description.group if group.semantic == "BUNDLE" for name in group.items]
    if len(set(names)) < len(names) or not set(bundled) <= set(names):
        raise ProtocolError("the offer's media ids do not match its bundle", "give each one its own", "bad-offer")
    return description
