"""Our own WHIP and WHEP: clients like OBS send to ``/whip/NAME``, and the voice of NAME is heard at ``/whep/NAME``.

Both answer an offer with 201, the session's address in ``Location`` and its entity tag in ``ETag``. ``PATCH`` brings
further addresses (trickle ICE), ``DELETE`` ends the session. There is no ICE restart: a client starts a new session.

Sources: WHIP, RFC 9725; WHEP, https://datatracker.ietf.org/doc/draft-ietf-wish-whep/.
"""

from collections.abc import Awaitable, Callable

from aiohttp import ETag, web
from multidict import CIMultiDict

from rtc_voice.errors import ProtocolError
from rtc_voice.rtc.ice import IceConfig, IceServer
from rtc_voice.rtc.protocol import MAX_NAME
from rtc_voice.rtc.signaling.hosted import HostedRoom, NameTakenError, NotThereError, Session, TooManyTracksError
from rtc_voice.rtc.signaling.whip import FRAGMENT_TYPE, SDP_TYPE

RETRY_S = "2"

Open = Callable[[str, str], Awaitable[tuple[Session, str]]]


def routes(room: HostedRoom, ice: IceConfig) -> list[web.RouteDef]:
    """What a server answers for ``room``; ``ice`` is what clients are told to use."""
    sessions = _Sessions(room)
    found = []
    for endpoint, open_session in (("/whip/{name}", room.receive), ("/whep/{name}", room.play)):
        session = endpoint + "/{session}"
        found += [
            web.post(endpoint, _opener(open_session, ice)),
            web.options(endpoint, _options),
            web.get(endpoint, _no_pages),
            web.patch(session, sessions.trickle),
            web.delete(session, sessions.end),
            web.options(session, _options),
            web.get(session, _no_pages),
        ]
    return found


def _opener(open_session: Open, ice: IceConfig) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def answer(request: web.Request) -> web.Response:
        name = request.match_info["name"].strip()
        if not 0 < len(name) <= MAX_NAME:
            raise ProtocolError(f"a name of {len(name)} characters", f"at most {MAX_NAME}", "bad-field")
        offer = await _body(request, SDP_TYPE)
        try:
            session, sdp = await open_session(name, offer)
        except NotThereError as error:
            raise web.HTTPNotFound(text=str(error), headers={"Retry-After": RETRY_S}) from error
        except NameTakenError as error:
            raise web.HTTPConflict(text=str(error)) from error
        except TooManyTracksError as error:
            raise web.HTTPNotAcceptable(text=str(error)) from error
        headers = CIMultiDict({"Location": f"{request.rel_url.raw_path}/{session.id}", "ETag": f'"{session.tag}"'})
        for server in ice.servers:
            headers.add("Link", _ice_link(server))
        return web.Response(status=201, text=sdp, content_type=SDP_TYPE, headers=headers)

    return answer


class _Sessions:
    """What may be done with a session that stands."""

    def __init__(self, room: HostedRoom) -> None:
        self._room = room

    async def trickle(self, request: web.Request) -> web.Response:
        session = self._find(request)
        fragment = (await _body(request, FRAGMENT_TYPE)).splitlines()
        _check_tag(request, session)
        if any(line.startswith("a=ice-ufrag:") and line[12:] != session.user_fragment for line in fragment):
            raise web.HTTPUnprocessableEntity(text="ICE cannot be restarted here: start a new session")
        mid = None
        for line in fragment:
            if line.startswith("a=mid:"):
                mid = line.removeprefix("a=mid:")
            elif line.startswith("a=candidate:"):
                await session.link.add_candidate(line.removeprefix("a="), mid, None if mid else 0)
        return web.Response(status=204)

    async def end(self, request: web.Request) -> web.Response:
        await self._room.end(self._find(request))
        return web.Response()

    def _find(self, request: web.Request) -> Session:
        session = self._room.sessions.get(request.match_info["session"])
        if session is None:
            raise web.HTTPNotFound(text="no such session")
        return session


def _check_tag(request: web.Request, session: Session) -> None:
    """Only for the ICE session that stands (RFC 9725, section 4.3.2)."""
    tags = request.if_match
    if tags is None:
        raise web.HTTPPreconditionRequired(text="send If-Match with the session's entity tag")
    if ETag("*") in tags:
        raise web.HTTPUnprocessableEntity(text="ICE cannot be restarted here: start a new session")
    if ETag(session.tag) not in tags:
        raise web.HTTPPreconditionFailed(text="that is not this session's entity tag")


async def _body(request: web.Request, kind: str) -> str:
    if request.content_type != kind:
        raise web.HTTPUnsupportedMediaType(text=f"send {kind}")
    try:
        return await request.text()
    except (UnicodeDecodeError, LookupError) as error:
        raise ProtocolError("the body is not text", "send UTF-8", "not-text") from error


async def _options(request: web.Request) -> web.Response:
    allowed = "OPTIONS, PATCH, DELETE" if "session" in request.match_info else "OPTIONS, POST"
    return web.Response(headers={"Allow": allowed, "Accept-Post": SDP_TYPE})


async def _no_pages(request: web.Request) -> web.Response:
    """Kept for later versions of the protocol (RFC 9725, section 4.2)."""
    allowed = ("OPTIONS", "PATCH", "DELETE") if "session" in request.match_info else ("OPTIONS", "POST")
    raise web.HTTPMethodNotAllowed(request.method, allowed)


def _ice_link(server: IceServer) -> str:
    """RFC 9725, section 4.6."""
    account = ""
    if server.user is not None:
        account = f"; username={_quoted(server.user)}; credential={_quoted(server.password or '')}"
        account += '; credential-type="password"'
    return f'<{server.url}>; rel="ice-server"{account}'


def _quoted(text: str) -> str:
    """A quoted string of HTTP (RFC 9110, section 5.6.4)."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
