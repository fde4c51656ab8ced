"""A room of our own: people send to it over one connection each, and anybody may listen to the voices in it.

How they come is for ``whip_endpoint`` to say. There is no chat.
"""

import asyncio
import logging
import secrets
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field

import av
from aiortc.sdp import SessionDescription

from rtc_voice.errors import CapacityError, ProtocolError
from rtc_voice.metrics import Metrics
from rtc_voice.rtc.broadcast import Broadcast
from rtc_voice.rtc.ice import DIRECT, IceConfig
from rtc_voice.rtc.link import Ear, Link
from rtc_voice.rtc.peer import SILENCE_S, check_offer, read_offer
from rtc_voice.rtc.playout import Samples
from rtc_voice.rtc.signaling.room import Carrier, Participant, RoomEvents, voice_name
from rtc_voice.rtc.tracks import SpeechSource
from rtc_voice.timing import Clock

logger = logging.getLogger(__name__)

MAX_LISTENERS = 16


class NotThereError(ProtocolError):
    """Nobody has a voice of that name, for now."""


class NameTakenError(ProtocolError):
    """Somebody of that name is sending already."""


class TooManyTracksError(ProtocolError):
    """An offer of more than one track of a kind (RFC 9725, section 4.4.2)."""


@dataclass(slots=True, eq=False)
class Session:
    """One client's connection; who knows the id may change or end it."""

    link: Link
    user_fragment: str  # of the client's ICE; another one would be a restart
    id: str = field(default_factory=lambda: secrets.token_urlsafe(18))
    tag: str = field(default_factory=lambda: secrets.token_urlsafe(6))  # names its ICE session


class _Sender:
    """The session of somebody who sends; what comes is dropped until they have an ear."""

    def __init__(self, participant: Participant, session: Session) -> None:
        self.participant = participant
        self.session = session
        self.ear: Ear | None = None

    def on_samples(self, samples: Samples) -> None:
        if self.ear is not None:
            self.ear.on_samples(samples)

    def on_pause(self) -> None:
        if self.ear is not None:
            self.ear.on_pause()

    def on_picture(self, frame: av.VideoFrame, time_ms: float) -> None:
        if self.ear is not None:
            self.ear.on_picture(frame, time_ms)

    def on_video_ended(self) -> None:
        if self.ear is not None:
            self.ear.on_video_ended()


class HostedRoom:
    """A ``Signaling`` whose participants come to us.

    Args:
        admit: raises CapacityError when nobody else can be taken.
    """

    def __init__(
        self,
        admit: Callable[[], None],
        *,
        clock: Clock,
        metrics: Metrics,
        ice: IceConfig = DIRECT,
    ) -> None:
        self.sessions: dict[str, Session] = {}
        self._admit = admit
        self._clock = clock
        self._metrics = metrics
        self._ice = ice
        self._events: RoomEvents
        self._senders: dict[str, _Sender] = {}  # by their participant's id
        self._voices: dict[str, Broadcast] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    # For the bot

    async def join(self, events: RoomEvents) -> None:
        """Report from now on; see ``Signaling.join``."""
        self._events = events

    async def subscribe(self, participant_id: str, ear: Ear) -> Carrier:
        """Their sound and pictures, which they send already; see ``Signaling.subscribe``."""
        sender = self._senders.get(participant_id)
        if sender is None:
            raise ProtocolError("they are not in the room", "they may come back", "gone")
        sender.ear = ear
        return sender.session.link

    async def publish(self, name: str, source: SpeechSource) -> Carrier:
        """Let whoever asks for ``name`` hear ``source``; see ``Signaling.publish``."""
        voice = self._voices[name] = Broadcast(source, self._clock, self._metrics)
        return voice

    async def retract(self, carrier: Carrier) -> None:
        """Stop listening to a participant, who may go on sending; or take a voice back, and its listeners' sessions."""
        for sender in self._senders.values():
            if sender.session.link is carrier:
                sender.ear = None
                return
        self._voices = {name: voice for name, voice in self._voices.items() if voice is not carrier}
        await carrier.close()

    def chat(self, text: str) -> None:
        """There is no chat."""
        logger.info("%s", text)

    async def leave(self) -> None:
        """End every session and voice."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(voice.close() for voice in self._voices.values()))
        self._voices.clear()

    # For clients

    async def receive(self, name: str, offer: str) -> tuple[Session, str]:
        """Take what somebody called ``name`` sends; the session and our answer.

        Raises:
            ProtocolError: the offer cannot be used, or brings nothing; NameTakenError, TooManyTracksError.
            CapacityError: nobody else can be taken.
        """
        description = read_offer(offer)
        sent = [media for media in description.media if media.direction in ("sendonly", "sendrecv")]
        kinds = [media.kind for media in sent if media.kind != "application"]
        if not kinds:
            raise ProtocolError("the offer sends neither sound nor pictures", "offer sendonly media", "bad-offer")
        if len(set(kinds)) < len(kinds):
            raise TooManyTracksError("more than one track of a kind", "send one of sound and one of pictures")
        if any(sender.participant.name == name for sender in self._senders.values()):
            raise NameTakenError(f"{name} is sending already", "use another name, or end that session first")
        self._admit()
        session = self._session(description)
        sender = _Sender(Participant(secrets.token_urlsafe(12), name), session)
        session.link.listen(sender, kinds)
        self._senders[sender.participant.id] = sender
        self._events.on_joined(sender.participant)
        return session, await self._answer(session, offer)

    async def play(self, name: str, offer: str) -> tuple[Session, str]:
        """Let a client hear the voice of ``name``; the session and our answer.

        Raises:
            ProtocolError: the offer cannot be used; NotThereError: there is no such voice now.
            CapacityError: no more listeners.
        """
        check_offer(offer, "offer")
        voice = self._voices.get(voice_name(name))
        if voice is None:
            raise NotThereError(f"{name} has no voice now", "try again once they have agreed")
        if len(self.sessions) - len(self._senders) >= MAX_LISTENERS:
            raise CapacityError(f"{MAX_LISTENERS} are listening", "try again later")
        session = self._session(read_offer(offer))
        track = voice.track()
        track.once("ended", session.link.lost.set)
        session.link.carry(track)
        return session, await self._answer(session, offer)

    async def end(self, session: Session) -> None:
        """End a client's session; one that has ended is ignored."""
        if self.sessions.pop(session.id, None) is None:
            return
        session.link.lost.set()
        for id in [id for id, sender in self._senders.items() if sender.session is session]:
            del self._senders[id]
            self._events.on_left(id)
        await session.link.close()

    def _session(self, description: SessionDescription) -> Session:
        link = Link(clock=self._clock, metrics=self._metrics, ice=self._ice, silence_s=SILENCE_S)
        ice = description.media[0].ice
        session = Session(link, (ice.usernameFragment if ice else None) or "")
        self.sessions[session.id] = session
        return session

    async def _answer(self, session: Session, offer: str) -> str:
        """Our answer; the session is kept until it is lost, which one that cannot be answered is at once."""
        try:
            answer = await session.link.answer(offer)
        except BaseException:
            await self.end(session)
            raise
        self._start(self._keep(session))
        return answer

    async def _keep(self, session: Session) -> None:
        try:
            await session.link.connected()
            await session.link.lost.wait()
        except ProtocolError as error:
            if session.id in self.sessions:
                logger.warning("a session ends: %s", error)
        finally:
            await self.end(session)

    def _start(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
