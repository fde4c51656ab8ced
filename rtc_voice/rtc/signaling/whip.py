"""One participant over WHIP and WHEP: they are heard and seen at one address, and their voice is sent to another.

Any server will do that speaks the two protocols, for sending and for playing. There is no chat, and nothing tells who
comes and goes: the participant counts as there from ``join`` to ``leave``, and is asked for again while they are not.

Sources: WHIP, RFC 9725; WHEP, https://datatracker.ietf.org/doc/draft-ietf-wish-whep/.
"""

import asyncio
import logging
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import aiohttp
from yarl import URL

from rtc_voice.errors import InputError, ProtocolError
from rtc_voice.metrics import Metrics
from rtc_voice.rtc.ice import DIRECT, IceConfig
from rtc_voice.rtc.link import Ear, Link
from rtc_voice.rtc.peer import SILENCE_S
from rtc_voice.rtc.signaling.room import Carrier, Participant, RoomEvents
from rtc_voice.rtc.tracks import SpeechSource
from rtc_voice.timing import Clock

logger = logging.getLogger(__name__)

SDP_TYPE = "application/sdp"
FRAGMENT_TYPE = "application/trickle-ice-sdpfrag"
SCHEMES = ("whip+http", "whip+https")
ANSWER_TIMEOUT_S = 10.0
FAREWELL_S = 0.5  # for a server to hear that a session is over: who is asked to go has 5 s for everything
MAX_ANSWER_BYTES = 64 * 1024
_FORM = (
    "write whip+https://HOST/VOICE?whep=https://HOST/PARTICIPANT&name=NAME, and &token=…, &whep_token=… if asked for"
)


@dataclass(frozen=True, slots=True)
class WhipAddress:
    """Where the voice goes, and where its participant comes from."""

    whip: str
    whep: str
    name: str  # of the participant
    token: str | None = field(default=None, repr=False)
    whep_token: str | None = field(default=None, repr=False)

    def __str__(self) -> str:
        return f"{self.whep} for {self.name}"

    @classmethod
    def parse(cls, text: str) -> "WhipAddress":
        """The addresses in ``whip+https://…?whep=https://…&name=…[&token=…][&whep_token=…]``; the rest is WHIP's own.

        Raises:
            InputError: not such an address.
        """
        try:
            parts = urlsplit(text)
            query = dict(parse_qsl(parts.query, keep_blank_values=True))
            whep = query.pop("whep", "")
            is_good = _is_server(text.removeprefix("whip+")) and _is_server(whep)
        except ValueError as error:
            raise InputError(f"{text!r:.100} is no address: {error}", _FORM) from error
        if parts.scheme not in SCHEMES or not is_good:
            raise InputError(f"{text!r:.100} names no WHIP and WHEP server", _FORM)
        name, token = query.pop("name", "") or "participant", query.pop("token", None)
        whep_token = query.pop("whep_token", token)
        scheme = parts.scheme.removeprefix("whip+")
        whip = urlunsplit((scheme, parts.netloc, parts.path or "/", urlencode(query), ""))
        return cls(whip, whep, name, token, whep_token)


def _is_server(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0


@dataclass(frozen=True, slots=True)
class _Session:
    """What a server has opened for us."""

    url: URL
    headers: dict[str, str]


class _CounterOffer(ProtocolError):
    """The server would rather offer itself."""

    def __init__(self, session: _Session, sdp: str) -> None:
        super().__init__(f"{session.url} makes an offer of its own", code="refused")
        self.session = session
        self.sdp = sdp


class WhipSignaling:
    """A ``Signaling`` of one participant."""

    def __init__(
        self,
        address: WhipAddress,
        *,
        clock: Clock,
        metrics: Metrics,
        ice: IceConfig = DIRECT,
    ) -> None:
        self._address = address
        self._clock = clock
        self._metrics = metrics
        self._ice = ice
        self._http: aiohttp.ClientSession | None = None
        self._sessions: dict[Carrier, _Session] = {}

    async def join(self, events: RoomEvents) -> None:
        """See that both servers answer, and report the participant; see ``Signaling.join``."""
        self._http = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=ANSWER_TIMEOUT_S))
        try:
            for url in (self._address.whip, self._address.whep):
                await self._request("OPTIONS", URL(url), {})
        except BaseException:
            await self._http.close()
            raise
        events.on_joined(Participant(self._address.whep, self._address.name))

    async def subscribe(self, participant_id: str, ear: Ear) -> Carrier:
        """Play the participant; see ``Signaling.subscribe``."""
        link = self._link()
        link.listen(ear, ("audio", "video"))
        try:
            return await self._open(link, self._address.whep, self._address.whep_token)
        except _CounterOffer as other:
            link = self._link()
            link.listen(ear)
            return await self._answer(link, other)

    async def publish(self, name: str, source: SpeechSource) -> Carrier:
        """Send the voice; see ``Signaling.publish``."""
        link = self._link()
        link.speak(source)
        return await self._open(link, self._address.whip, self._address.token)

    async def retract(self, carrier: Carrier) -> None:
        """End the link's session and close it; a server that is gone needs no word."""
        session = self._sessions.pop(carrier, None)
        if session is not None:
            try:
                async with asyncio.timeout(FAREWELL_S):
                    await self._request("DELETE", session.url, session.headers)
            except (ProtocolError, TimeoutError) as error:
                logger.info("a session was gone before it was ended: %s", error)
        await carrier.close()

    def chat(self, text: str) -> None:
        """There is no chat."""
        logger.info("%s", text)

    async def leave(self) -> None:
        """End both sessions."""
        await asyncio.gather(*(self.retract(carrier) for carrier in list(self._sessions)))
        if self._http is not None:
            await self._http.close()

    def _link(self) -> Link:
        return Link(clock=self._clock, metrics=self._metrics, ice=self._ice, silence_s=SILENCE_S)

    async def _open(self, link: Link, url: str, token: str | None) -> Link:
        """Offer ``link`` to the server at ``url``; it is closed if that fails."""
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        try:
            offer = await link.offer()
            status, reply, answer = await self._request("POST", URL(url), headers, offer)
            session = _Session(reply.url.join(URL(reply.headers.get("Location", ""))), headers)
            if status == 406 and reply.content_type == SDP_TYPE and "Location" in reply.headers:
                raise _CounterOffer(session, answer)
            if status != 201 or "Location" not in reply.headers:
                hint = "add &token=… or &whep_token=… to the address" if status in (401, 403) else ""
                raise ProtocolError(f"{url} answers {status}: {answer[:100]!r}", hint, "refused")
            self._sessions[link] = session
            await link.accept(answer)
        except BaseException:
            await self.retract(link)
            raise
        return link

    async def _answer(self, link: Link, offer: _CounterOffer) -> Link:
        """Answer the server's own offer on ``link`` (WHEP's draft, "SDP negotiation"); it is closed if that fails."""
        session = self._sessions[link] = offer.session
        try:
            status, _, text = await self._request("PATCH", session.url, session.headers, await link.answer(offer.sdp))
            if status not in (200, 204):
                raise ProtocolError(f"{session.url} answers {status}: {text[:100]!r}", "see what it says", "refused")
            await link.connected()
        except BaseException:
            await self.retract(link)
            raise
        return link

    async def _request(
        self, method: str, url: URL, headers: dict[str, str], sdp: str | None = None
    ) -> tuple[int, aiohttp.ClientResponse, str]:
        """Send a request; the status, the reply's head, and its text."""
        assert self._http is not None, "join first"
        kind = {} if sdp is None else {"Content-Type": SDP_TYPE}
        try:
            async with self._http.request(method, url, data=sdp, headers={**headers, **kind}) as reply:
                body = b""
                async for part in reply.content.iter_any():
                    body += part
                    if len(body) > MAX_ANSWER_BYTES:
                        raise ProtocolError(
                            f"{url} answers with more than {MAX_ANSWER_BYTES} bytes", "see whether it is a WHIP server"
                        )
                return reply.status, reply, body.decode(errors="replace")
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise ProtocolError(f"{url} does not answer: {error}"[:200], "is the server running?", "gone") from error
