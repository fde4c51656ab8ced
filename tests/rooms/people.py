"""Somebody in a room of a real Janus: shows a portrait and writes in the chat."""

from types import TracebackType
from typing import Self

from aiortc import RTCBundlePolicy, RTCPeerConnection, RTCSessionDescription

from rtc_voice.faces.picture import read_picture
from rtc_voice.metrics import Metrics
from rtc_voice.rtc.ice import DIRECT
from rtc_voice.rtc.peer import opus_only
from rtc_voice.rtc.playout import ChunkQueue
from rtc_voice.rtc.signaling.janus import CHAT_LABEL, PLUGIN
from rtc_voice.rtc.signaling.janus_session import JanusSession
from rtc_voice.rtc.tracks import OpusTrack, PictureTrack, SpeechTrack
from rtc_voice.selfcall import PORTRAIT, pan
from rtc_voice.timing import MonotonicClock
from tests.rooms.servers import ROOM, JanusServer
from tests.waiting import until

PICTURES_PER_SECOND = 5
PATIENCE_S = 100.0  # for a busy machine; nothing here takes more than seconds on an idle one


class Person:
    """Inside ``async with`` they are in the room."""

    def __init__(
        self, janus: JanusServer, name: str, room: int = ROOM, kinds: tuple[str, ...] = ("audio", "video")
    ) -> None:
        clock, metrics = MonotonicClock(), Metrics()
        self.name = name
        self._room = room
        self._session = JanusSession(janus.url)
        self._pc = RTCPeerConnection(DIRECT.configuration(RTCBundlePolicy.MAX_BUNDLE))
        self.queue = ChunkQueue(24_000, 100)  # what they say
        tracks = (
            OpusTrack(SpeechTrack(self.queue, clock, metrics)),
            PictureTrack(pan(read_picture(PORTRAIT)), PICTURES_PER_SECOND, clock, metrics),
        )
        self._tracks = [track for track in tracks if track.kind in kinds]

    async def __aenter__(self) -> Self:
        await self._session.__aenter__()
        handle = await self._session.attach(PLUGIN, lambda event: None)
        await handle.request({"request": "join", "ptype": "publisher", "room": self._room, "display": self.name})
        for track in self._tracks:
            transceiver = self._pc.addTransceiver(track, direction="sendonly")
            if track.kind == "audio":
                transceiver.setCodecPreferences(opus_only())
        self._chat = self._pc.createDataChannel(CHAT_LABEL)
        await self._pc.setLocalDescription(await self._pc.createOffer())
        _, answer = await handle.request({"request": "publish"}, ("offer", self._pc.localDescription.sdp))
        await self._pc.setRemoteDescription(RTCSessionDescription(answer or "", "answer"))
        await until(lambda: self._chat.readyState == "open", PATIENCE_S)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.__aexit__(kind, error, trace)
        for track in self._tracks:
            track.stop()
        await self._pc.close()

    def write(self, text: str) -> None:
        """Write in the chat."""
        self._chat.send(text)
