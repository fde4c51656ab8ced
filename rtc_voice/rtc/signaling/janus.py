"""A room of Janus' VideoRoom plugin, multistream API (Janus 1.0 and newer).

One handle enters the room, hears who comes and goes, and writes the chat. Everybody's media, everybody's chat and every
voice has a handle and a connection of its own, so that one that fails takes no other along.

Source: https://janus.conf.meetecho.com/docs/videoroom.html
"""

import asyncio
import logging
import random
import secrets
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit, urlunsplit

from rtc_voice.errors import InputError, ProtocolError
from rtc_voice.metrics import Metrics
from rtc_voice.rtc.ice import DIRECT, IceConfig
from rtc_voice.rtc.link import Ear, Link
from rtc_voice.rtc.signaling.janus_session import JanusError, JanusHandle, JanusSession, Json
from rtc_voice.rtc.signaling.room import Carrier, Participant, RoomEvents
from rtc_voice.rtc.tracks import SpeechSource
from rtc_voice.timing import Clock

logger = logging.getLogger(__name__)

PLUGIN = "janus.plugin.videoroom"
SCHEMES = ("janus+ws", "janus+wss")
FIRST_PAUSE_S, LAST_PAUSE_S = 0.5, 5.0  # between tries to come back; a restarted server is found within the last
MAX_PARTICIPANTS = 64
CHAT_LABEL = "chat"
_NO_SUCH_FEED, _NO_PLACE = 428, 432
_MORE = "wait until somebody leaves, or have `publishers` raised in the room's settings"
_REFUSED = {
    426: "ask whoever runs it for the room's number",
    429: "add &pin=… to the address",
    430: "ask whoever runs it for the room's number",
    _NO_PLACE: _MORE,
    433: "add &pin=… or &token=… to the address",
}
_FORM = "write janus+ws://HOST:PORT/?room=1234&name=Voice, janus+wss:// for TLS, or whip+https://… (docs/whip.md)"


@dataclass(frozen=True, slots=True)
class JanusAddress:
    """Which room, where, and as whom."""

    url: str  # ws:// or wss://
    room: int | str
    name: str
    pin: str | None = None
    secrets: dict[str, str] = field(default_factory=dict)  # token, apisecret

    def __str__(self) -> str:
        return f"{self.room} as {self.name}"

    @classmethod
    def parse(cls, text: str) -> "JanusAddress":
        """The address in ``janus+ws://HOST:PORT/?room=…&name=…[&pin=…][&token=…][&apisecret=…]``.

        Raises:
            InputError: not such an address.
        """
        try:
            parts = urlsplit(text)
            port = parts.port
        except ValueError as error:
            raise InputError(f"{text!r:.100} is no address: {error}", _FORM) from error
        if parts.scheme not in SCHEMES or not parts.hostname or port == 0:
            raise InputError(f"{text!r:.100} is no address of a Janus room", _FORM)
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        unknown = sorted(set(query) - {"room", "name", "pin", "token", "apisecret"})
        if unknown or not query.get("room"):
            raise InputError(f"unknown in the address: {', '.join(unknown)}" if unknown else "no room is named", _FORM)
        room = int(query["room"]) if query["room"].isdecimal() else query["room"]
        given = {key: value for key, value in query.items() if key in ("token", "apisecret")}
        url = urlunsplit((parts.scheme.removeprefix("janus+"), parts.netloc, parts.path or "/", "", ""))
        return cls(url, room, query.get("name") or "Voice", query.get("pin"), given)


@dataclass(slots=True, eq=False)
class _Feed:
    """One participant as the room describes them."""

    participant: Participant
    id: int | str
    streams: list[Json]
    chat: Link | None = None

    def kinds(self) -> set[tuple[str, str]]:
        return {(str(s.get("mid")), str(s.get("type"))) for s in self.streams if not s.get("disabled")}


class JanusRoom:
    """A ``Signaling`` for one VideoRoom; comes back by itself after the server or the network was gone."""

    def __init__(
        self,
        address: JanusAddress,
        *,
        clock: Clock,
        metrics: Metrics,
        ice: IceConfig = DIRECT,
    ) -> None:
        self._address = address
        self._clock = clock
        self._metrics = metrics
        self._ice = ice
        self._session: JanusSession | None = None
        self._events: RoomEvents
        self._feeds: dict[str, _Feed] = {}
        self._own: set[int | str] = set()  # our own voices are no participants
        self._handles: dict[Carrier, JanusHandle] = {}
        self._chat: Link | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._staying: asyncio.Task[None] | None = None

    # Coming and going

    async def join(self, events: RoomEvents) -> None:
        """Enter the room, and come back whenever it is lost; see ``Signaling.join``."""
        self._events = events
        entered: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._staying = asyncio.create_task(self._stay(entered))
        await entered

    async def leave(self) -> None:
        """Take everything back and go; see ``Signaling.leave``."""
        if self._staying is not None:
            self._staying.cancel()
            await asyncio.gather(self._staying, return_exceptions=True)
            self._staying = None

    async def _stay(self, entered: asyncio.Future[None]) -> None:
        tries = 0
        while True:
            try:
                async with JanusSession(self._address.url, secrets=self._address.secrets) as session:
                    await self._be_there(session, entered)
                tries = 0
                logger.warning("the room is lost; trying to come back")
                self._events.on_away()
            except ProtocolError as error:
                if not entered.done():
                    entered.set_exception(_as_refusal(error))
                    return
                logger.warning("the room cannot be reached: %s", error)
            await asyncio.sleep(pause_s(tries))
            tries += 1

    async def _be_there(self, session: JanusSession, entered: asyncio.Future[None]) -> None:
        """Enter, and stay until the session ends."""
        try:
            await self._enter(session)
            if entered.done():
                self._metrics.count("room_returns")
                self._events.on_back()
            else:
                entered.set_result(None)
            for feed in list(self._feeds.values()):
                self._report(feed)
            await session.closed.wait()
        finally:
            await self._drop_all(session)

    async def _enter(self, session: JanusSession) -> None:
        self._session = session
        handle = await session.attach(PLUGIN, self._on_event)
        body = {"request": "join", "ptype": "publisher", "room": self._address.room, "display": self._address.name}
        joined, _ = await handle.request({**body, **self._pin()})
        self._own = {joined["id"]}
        self._feeds = {}
        for publisher in joined.get("publishers", []):
            self._see(publisher)
        try:
            self._chat = await self._open_chat(handle)
        except ProtocolError as error:
            if isinstance(error, JanusError) and error.number == _NO_PLACE:
                raise  # then there is none for a voice either
            logger.warning("the room has no chat: %s", error)

    async def _open_chat(self, handle: JanusHandle) -> Link:
        """Our own data channel: what we write goes to everybody who subscribes to it."""
        link = self._link()
        link.converse(lambda text: None, CHAT_LABEL)
        try:
            _, answer = await handle.request({"request": "publish"}, ("offer", await link.offer()))
            await link.accept(answer or "")
        except BaseException:
            await link.close()
            raise
        return link

    async def _drop_all(self, session: JanusSession) -> None:
        """Every link is closed; the server drops its side with the session."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        links: list[Carrier] = [
            *self._handles,
            *(f.chat for f in self._feeds.values() if f.chat),
            *([self._chat] if self._chat else []),
        ]
        for link in links:
            link.lost.set()
        if not session.closed.is_set():  # we go by our own will: the room hears of it before the media stops
            await asyncio.gather(*(handle.detach() for handle in self._handles.values()), return_exceptions=True)
        await asyncio.gather(*(link.close() for link in links), return_exceptions=True)
        self._handles.clear()
        self._chat = None

    def _pin(self) -> dict[str, str]:
        return {} if self._address.pin is None else {"pin": self._address.pin}

    def _link(self) -> Link:
        return Link(clock=self._clock, metrics=self._metrics, ice=self._ice)

    # Who is there

    def _on_event(self, event: Json) -> None:
        data: Json = event.get("plugindata", {}).get("data", {})
        for publisher in data.get("publishers", []):
            if self._see(publisher):
                self._report(self._feeds[str(publisher["id"])])
        for word in ("leaving", "unpublished"):
            if data.get(word) not in (None, "ok"):
                self._forget(str(data[word]))

    def _see(self, publisher: Json) -> bool:
        """Take note of somebody who sends; whether there is something new about them."""
        id, streams = publisher["id"], publisher.get("streams", [])
        if id in self._own or publisher.get("dummy"):
            return False
        known = self._feeds.get(str(id))
        if known is None:
            if len(self._feeds) >= MAX_PARTICIPANTS:
                self._metrics.count("participants_refused")
                return False
            name = str(publisher.get("display") or f"participant {id}")[:100]
            self._feeds[str(id)] = _Feed(Participant(str(id), name), id, streams)
            return True
        before, known.streams = known.kinds(), streams
        return known.kinds() != before

    def _report(self, feed: _Feed) -> None:
        if feed.chat is None and any(stream.get("type") == "data" for stream in feed.streams):
            self._start(self._listen_to_chat(feed))
        if any(stream.get("type") in ("audio", "video") for stream in feed.streams):
            self._events.on_joined(feed.participant)

    def _forget(self, id: str) -> None:
        feed = self._feeds.pop(id, None)
        if feed is None:
            return
        if feed.chat is not None:
            self._start(self.retract(feed.chat))
        self._events.on_left(id)

    def _start(self, work: Any) -> None:
        task: asyncio.Task[None] = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # Chat

    async def _listen_to_chat(self, feed: _Feed) -> None:
        link = feed.chat = self._link()
        # Janus hands texts on only to subscribers who have opened a channel themselves.
        link.converse(lambda text: self._events.on_chat(feed.participant.id, text), CHAT_LABEL)
        try:
            await self._attach(feed, link, ("data",))
        except ProtocolError as error:
            feed.chat = None
            logger.warning("the chat of %s cannot be read: %s", feed.participant.name, error)

    def chat(self, text: str) -> None:
        """Write to everybody who reads our data channel."""
        if self._chat is not None:
            self._chat.send(text)

    # Media

    async def subscribe(self, participant_id: str, ear: Ear) -> Link:
        """Their sound and pictures; see ``Signaling.subscribe``."""
        feed = self._feeds.get(participant_id)
        if feed is None:
            raise ProtocolError("they are not in the room", "they may come back", "gone")
        link = self._link()
        link.listen(ear)
        await self._attach(feed, link, ("audio", "video"))
        return link

    async def _attach(self, feed: _Feed, link: Link, kinds: tuple[str, ...]) -> None:
        """Have the participant's streams of ``kinds`` sent on ``link``, which is closed if that fails."""
        session = self._session
        assert session is not None, "join first"
        handle = await session.attach(PLUGIN, lambda event: _watch_hang_up(event, link))
        wanted = [
            {"feed": feed.id, "mid": stream["mid"]}
            for stream in feed.streams
            if stream.get("type") in kinds and not stream.get("disabled")
        ]
        body = {"request": "join", "ptype": "subscriber", "room": self._address.room, "streams": wanted}
        try:
            _, offer = await _when_fed(handle, {**body, **self._pin()})
            self._handles[link] = handle
            answer = await link.answer(offer or "")
            await handle.request({"request": "start"}, ("answer", answer))
            await link.connected()
        except BaseException:
            self._handles[link] = handle
            await self.retract(link)
            raise

    async def publish(self, name: str, source: SpeechSource) -> Link:
        """Another publisher in the room; see ``Signaling.publish``."""
        session = self._session
        if session is None or session.closed.is_set():
            raise ProtocolError("the room is lost", "it is joined again as soon as Janus answers", "gone")
        link = self._link()
        link.speak(source)
        handle = await session.attach(PLUGIN, lambda event: _watch_hang_up(event, link))
        self._handles[link] = handle
        # An id of our own choice is known to be ours before the room tells everybody.
        is_text = any(isinstance(own, str) for own in self._own)
        id = secrets.token_urlsafe(12) if is_text else secrets.randbelow(1 << 52)
        self._own.add(id)
        body = {"ptype": "publisher", "room": self._address.room, "display": name, "id": id}
        try:
            offer = await link.offer()
            _, answer = await handle.request({"request": "joinandconfigure", **body, **self._pin()}, ("offer", offer))
            if "opus/48000" not in (answer or "").lower():
                raise ProtocolError("the room takes no Opus", "have `audiocodec` allow it in the room's settings")
            await link.accept(answer or "")
        except JanusError as error:
            await self.retract(link)
            if error.number == _NO_PLACE:
                more = f"{_MORE}; or have all voices on one track with --mix"
                raise ProtocolError("the room has no place for another voice", more, "full") from error
            raise
        except BaseException:
            await self.retract(link)
            raise
        return link

    async def retract(self, carrier: Carrier) -> None:
        """Give the link's handle back, so that the room hears of it, and close it."""
        handle = self._handles.pop(carrier, None)
        if handle is not None:
            await handle.detach()
        await carrier.close()


async def _when_fed(handle: JanusHandle, body: Json) -> tuple[Json, str | None]:
    """Ask again for a short while: a feed may be announced before it can be had."""
    for pause in (0.1, 0.3, 0.6):
        try:
            return await handle.request(body)
        except JanusError as error:
            if error.number != _NO_SUCH_FEED:
                raise
        await asyncio.sleep(pause)
    return await handle.request(body)


def _watch_hang_up(event: Json, link: Link) -> None:
    if event.get("janus") in ("hangup", "detached"):
        link.lost.set()


def _as_refusal(error: ProtocolError) -> Exception:
    """What the person who gave the address can mend."""
    if isinstance(error, JanusError) and error.number in _REFUSED:
        return InputError(f"the room does not let us in: {error.reason}", _REFUSED[error.number])
    return error


def pause_s(tries: int) -> float:
    """How long to wait before the next try, after ``tries`` that failed: doubling, with a random part."""
    return float(min(LAST_PAUSE_S, FIRST_PAUSE_S * 2**tries) * random.uniform(0.8, 1.0))
