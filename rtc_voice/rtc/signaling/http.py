"""Offers and answers over HTTP, with the demo page beside them.

``POST /offer`` takes ``{sdp, type}`` and gives ``{sdp, type, call_id, pc_id}``, as aiortc's demo page and Pipecat's
small-webrtc client (which says ``pc_id``, under ``/api/offer``) expect. ``PATCH`` brings further addresses, ``DELETE
/offer/{call_id}`` hangs up. ``GET /config`` gives what a page's RTCPeerConnection is made with. Every error is
``{"error": {"code", "message", "hint"}}``. Who may come in is for ``access`` to say.
"""

import errno
import logging
import os
import socket
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.typedefs import Handler, Middleware

from rtc_voice.errors import CapacityError, InputError, ProtocolError, RtcVoiceError
from rtc_voice.prometheus import CONTENT_TYPE
from rtc_voice.rtc.ice import DIRECT, IceConfig
from rtc_voice.rtc.signaling.access import (
    Access,
    Rate,
    known_only,
    not_too_often,
    own_pages_only,
    presented,
    share,
)

logger = logging.getLogger(__name__)
requests_logger = logging.getLogger(f"{__name__}.requests")  # aiohttp's, made brief

RETRY_S = "10"  # when to come back to a server that is full
MAX_BODY_BYTES = 64 * 1024
SHUTDOWN_S = 2.0
OFFER_PATHS = ("/offer", "/api/offer")
OFFER_METHODS = ("OPTIONS", "PATCH", "POST")

SECURITY_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'",
    "Permissions-Policy": "camera=(self), microphone=(self)",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
}

# Said here because Python's mimetypes asks the system, and some systems call JavaScript text/plain.
MIME_TYPES = {
    ".css": "text/css",
    ".html": "text/html",
    ".ico": "image/x-icon",
    ".jpg": "image/jpeg",
    ".js": "text/javascript",
    ".json": "application/json",
    ".mjs": "text/javascript",
    ".mp3": "audio/mpeg",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain",
    ".wasm": "application/wasm",
    ".wav": "audio/wav",
    ".webp": "image/webp",
    ".woff2": "font/woff2",
}

REFUSED = web.AppKey("refused", Counter[str])  # requests refused so far, by reason
_REASONS = {400: "bad-request", 401: "token", 403: "origin", 429: "rate", 503: "full"}

OpenCall = Callable[[str, str], Awaitable[tuple[str, Mapping[str, str]]]]
"""An offer's ``sdp`` and ``type`` to the call's id and the answer (``sdp``, ``type``)."""

CloseCall = Callable[[str], Awaitable[None]]

AddCandidate = Callable[[str, str, str | None, int | None], Awaitable[None]]
"""The call's id, the candidate's text, its media id and its media line."""


@dataclass(frozen=True, slots=True)
class CallDesk:
    """What the server needs to know of the calls: how to open, find and close one."""

    open_call: OpenCall
    close_call: CloseCall
    live_calls: Callable[[], Collection[str]]  # the ids of the calls that stand
    add_candidate: AddCandidate
    max_calls: int


class _Routes:
    """The requests, answered from a desk."""

    def __init__(self, desk: CallDesk) -> None:
        self._desk = desk
        self._opening = 0  # offers being answered: not live yet, but they take a place

    async def offer(self, request: web.Request) -> web.Response:
        body = await _json_body(request)
        sdp, kind = _text(body, "sdp"), _text(body, "type")
        earlier = body.get("pc_id")
        if isinstance(earlier, str) and earlier in self._desk.live_calls():
            await self._desk.close_call(earlier)  # a client that starts over on the same call
        if len(self._desk.live_calls()) + self._opening >= self._desk.max_calls:
            raise CapacityError(f"all {self._desk.max_calls} calls are taken", "try again later")
        self._opening += 1
        try:
            call_id, answer = await self._desk.open_call(sdp, kind)
        finally:
            self._opening -= 1
        return web.json_response({"sdp": answer["sdp"], "type": answer["type"], "call_id": call_id, "pc_id": call_id})

    async def trickle(self, request: web.Request) -> web.Response:
        body = await _json_body(request)
        call_id = self._live(_text(body, "pc_id" if "pc_id" in body else "call_id"))
        candidates = body.get("candidates")
        if not isinstance(candidates, list) or not all(isinstance(one, dict) for one in candidates):
            raise ProtocolError("candidates is no list of objects", "send a list of candidates", "bad-field")
        for one in candidates:
            mid, line = one.get("sdp_mid"), one.get("sdp_mline_index")
            if not isinstance(mid, str | None) or not isinstance(line, int | None):
                raise ProtocolError("sdp_mid is no text, or sdp_mline_index no number", "send both", "bad-field")
            if one.get("candidate"):  # an empty one says that there are no more
                await self._desk.add_candidate(call_id, _text(one, "candidate"), mid, line)
        return web.json_response({"status": "success"})

    async def hang_up(self, request: web.Request) -> web.Response:
        await self._desk.close_call(self._live(request.match_info["call_id"]))
        return web.Response(status=204)

    def _live(self, call_id: str) -> str:
        if call_id not in self._desk.live_calls():
            raise web.HTTPNotFound(text=f"no call {call_id[:40]!r}")
        return call_id


def create_app(
    open_call: OpenCall,
    close_call: CloseCall,
    *,
    live_calls: Callable[[], Collection[str]],
    add_candidate: AddCandidate,
    health: Callable[[], Mapping[str, object]],
    figures: Callable[[Mapping[str, int]], bytes] | None = None,
    max_calls: int,
    web_dir: Path | None = None,
    access: Access = Access(),  # noqa: B008 - frozen
    ice: IceConfig = DIRECT,
    more: Iterable[web.RouteDef] = (),
) -> web.Application:
    """The application: offers, health, ``more``, and the page in ``web_dir`` if there is one.

    ``figures`` makes what Prometheus reads at ``/metrics`` from the requests refused so far, by reason.
    """
    routes = _Routes(CallDesk(open_call, close_call, live_calls, add_candidate, max_calls))
    app = web.Application(client_max_size=MAX_BODY_BYTES, middlewares=guards(access))
    app[REFUSED] = Counter()
    for path in OFFER_PATHS:
        app.router.add_post(path, routes.offer)
        app.router.add_patch(path, routes.trickle)
        app.router.add_delete(path + "/{call_id}", routes.hang_up)
        app.router.add_options(path, _options)
        app.router.add_get(path, _no_page)  # else it would be taken for a page that is missing

    async def say_health(request: web.Request) -> web.Response:
        # Figures tell how the bot is used: they are for those who may use it.
        return web.json_response(dict(health()) if access.admits(presented(request)) else {"status": "ok"})

    async def say_config(request: web.Request) -> web.Response:
        return web.json_response(ice.as_json())

    async def say_figures(request: web.Request) -> web.Response:
        assert figures is not None
        refused = request.app[REFUSED]
        return web.Response(body=figures(refused), headers={"Content-Type": CONTENT_TYPE})

    if figures is not None:
        app.router.add_get("/metrics", say_figures)
    app.router.add_get("/health", say_health)
    app.router.add_get("/config", say_config)
    app.router.add_routes(more)
    if web_dir is not None:
        app.router.add_get("/{path:.*}", Pages(web_dir).page)
    return app


def guards(access: Access) -> list[Middleware]:
    """What every request passes before it is answered, the outermost first."""
    return [finish, own_pages_only(access), not_too_often(Rate(access.max_requests)), known_only(access)]


@asynccontextmanager
async def serve(
    app: web.Application, host: str = "127.0.0.1", port: int = 0, tls: ssl.SSLContext | None = None
) -> AsyncIterator[int]:
    """Serve ``app`` and give the port, which the system chooses for 0."""
    requests_logger.addFilter(_say_briefly)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_S, logger=requests_logger)
    await runner.setup()
    try:
        await _listen(runner, host, port, tls)
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()


async def _listen(runner: web.AppRunner, host: str, port: int, tls: ssl.SSLContext | None) -> None:
    try:
        await web.TCPSite(runner, host, port, ssl_context=tls).start()
    except socket.gaierror as error:
        raise InputError(f"there is no host {host!r}", "name an address of this machine, like 127.0.0.1") from error
    except OSError as error:
        busy = error.errno == errno.EADDRINUSE
        remedy = "choose another port, or 0 for any that is free" if busy else "name an address of this machine"
        raise InputError(f"cannot listen on {host}:{port}: {os.strerror(error.errno or 0)}", remedy) from error


def post_offer(url: str, token: str | None = None) -> Callable[[str, str], Awaitable[Mapping[str, str]]]:
    """The caller's side: sends an offer to ``url`` and gives the answer; ProtocolError when it is refused."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}

    async def open_call(sdp: str, type: str) -> Mapping[str, str]:
        async with (
            aiohttp.ClientSession(headers=headers) as session,
            session.post(url, json={"sdp": sdp, "type": type}) as reply,
        ):
            body: dict[str, str] = await reply.json()
            if reply.status != 200:
                raise ProtocolError(
                    f"the offer was refused with {reply.status}: {body}"[:200], "see what it says", "refused"
                )
            return body

    return open_call


class Pages:
    """The files that lie in one folder when the server starts; no path is ever looked up on the disk."""

    def __init__(self, folder: Path) -> None:
        root = folder.resolve()
        files = [path for path in root.rglob("*") if path.is_file() and path.suffix in MIME_TYPES]
        inside = [path for path in files if path.resolve().is_relative_to(root)]  # a link may lead out
        self._files = {path.relative_to(root).as_posix(): path for path in inside}

    async def page(self, request: web.Request) -> web.FileResponse:
        """The file that the request's path names."""
        return self.file(request.match_info["path"] or "index.html")

    def file(self, name: str) -> web.FileResponse:
        """The file ``name``; HTTPNotFound if there is none."""
        path = self._files.get(name)
        if path is None:
            raise web.HTTPNotFound(text="no such page")
        return web.FileResponse(path, headers={"Content-Type": MIME_TYPES[path.suffix]})


@web.middleware
async def finish(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn errors into JSON and put the security headers on everything."""
    try:
        response = await handler(request)
    except RtcVoiceError as error:
        status = 503 if isinstance(error, CapacityError) else 400
        response = _error(status, error.code, error.message, error.hint)
        if status == 503:
            response.headers["Retry-After"] = RETRY_S
    except web.HTTPException as error:
        hint = f"here go {error.headers['Allow'].replace(',', ', ')}" if "Allow" in error.headers else ""
        response = _error(error.status, error.reason.lower().replace(" ", "-"), error.text or error.reason, hint)
        for name in ("Allow", "Retry-After", "WWW-Authenticate"):
            if name in error.headers:
                response.headers[name] = error.headers[name]
    except Exception:
        logger.exception("%s %s failed", request.method, request.path)
        response = _error(500, "internal", "the server failed", "its log says why")
    if response.status in _REASONS and REFUSED in request.app:
        request.app[REFUSED][_REASONS[response.status]] += 1
    share(request, response)
    for name, value in SECURITY_HEADERS.items():
        response.headers.setdefault(name, value)
    return response


def _say_briefly(record: logging.LogRecord) -> bool:
    """Whether a record is to be logged as it is: what is no HTTP is the client's fault, and needs no traceback."""
    fault = record.exc_info[1] if record.exc_info else None
    if not isinstance(fault, HttpProcessingError):
        return True
    logger.info("a request that is no HTTP: %.100s", fault.message)
    return False


async def _options(request: web.Request) -> web.Response:
    return web.Response(status=204, headers={"Allow": ", ".join(OFFER_METHODS)})


async def _no_page(request: web.Request) -> web.Response:
    raise web.HTTPMethodNotAllowed(request.method, OFFER_METHODS)


async def _json_body(request: web.Request) -> dict[str, object]:
    if request.content_type != "application/json":
        raise web.HTTPUnsupportedMediaType(text="send application/json")
    try:
        body = await request.json()
    except (ValueError, RecursionError, LookupError) as error:
        raise ProtocolError("the body is not JSON", "send one JSON object", "not-json") from error
    if not isinstance(body, dict):
        raise ProtocolError("the body is not a JSON object", "send one JSON object", "not-json")
    return body


def _text(body: dict[str, object], name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str) or not value:
        raise ProtocolError(f"{name} is {value!r:.40}", "send a text", "bad-field")
    return value


def _error(status: int, code: str, message: str, hint: str = "") -> web.StreamResponse:
    return web.json_response({"error": {"code": code, "message": message, "hint": hint}}, status=status)
