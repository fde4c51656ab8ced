"""Who may use the server: bearer tokens, pages of other servers, and how many requests one client may send.

``GET /health`` is open to everybody, so that monitoring needs no secret. A browser cannot send a token with a page's
address, so ``?token=`` is exchanged for a cookie once.
"""

import hmac
import ipaddress
import ssl
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from multidict import CIMultiDict

from rtc_voice.errors import InputError
from rtc_voice.timing import Clock, MonotonicClock

COOKIE = "rtc-voice-token"
MIN_TOKEN = 16  # characters; shorter ones can be tried out
OPEN_PATHS = ("/health",)
MAX_CLIENTS = 10_000  # whose requests are counted; the one not heard of for the longest is forgotten
_SHARED_WITH = web.RequestKey("shared_with", str)  # the allowed origin of a request
_COOKIE_S = 12 * 3600


@dataclass(frozen=True, slots=True)
class Access:
    """What is asked of clients."""

    token: str | None = field(default=None, repr=False)  # None: everybody may come in
    origins: frozenset[str] = frozenset()  # of other servers' pages that may call, like https://example.org
    max_requests: int = 120  # that change something, a minute and client

    def __post_init__(self) -> None:
        if self.token is not None and len(self.token) < MIN_TOKEN:
            raise InputError(f"a token of {len(self.token)} characters", f"use at least {MIN_TOKEN}")
        for origin in self.origins:
            parts = urlsplit(origin)
            if parts.scheme not in ("http", "https") or not parts.netloc or parts.path or parts.query:
                raise InputError(
                    f"{origin!r:.80} is no origin", "write https://HOST or http://HOST:PORT, without a path"
                )

    def admits(self, token: str | None) -> bool:
        """Whether a client with ``token`` may come in."""
        return self.token is None or hmac.compare_digest((token or "").encode(), self.token.encode())


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches ``host``."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def tls_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """What a server shows for https.

    Raises:
        InputError: the files are not a certificate and its key.
    """
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        reason = getattr(error, "strerror", None) or getattr(error, "reason", None) or "unreadable"
        raise InputError(f"{certificate} and {key} are no certificate and key: {reason}", "use PEM files") from error
    return context


def presented(request: web.Request) -> str | None:
    """The token that a request carries, if any."""
    kind, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if kind.casefold() == "bearer" else request.cookies.get(COOKIE)


def known_only(access: Access) -> Middleware:
    """Let nobody in without the token, except to ``OPEN_PATHS``."""

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        is_preflight = request.method == "OPTIONS"  # a browser's question whether it may ask carries no token
        if request.path in OPEN_PATHS or is_preflight or access.admits(presented(request)):
            return await handler(request)
        if request.method == "GET" and access.admits(request.query.get("token")):
            return _with_cookie(request)
        headers = CIMultiDict({"WWW-Authenticate": 'Bearer realm="rtc-voice"'})
        raise web.HTTPUnauthorized(text="this server wants its token: Authorization: Bearer TOKEN", headers=headers)

    return check


def _with_cookie(request: web.Request) -> web.Response:
    """Back to the same page, with the token in a cookie instead of the address, which histories and logs keep."""
    kept = {key: value for key, value in request.query.items() if key != "token"}
    response = web.Response(status=303, headers={"Location": str(request.rel_url.with_query(kept))})
    secure = request.scheme == "https"
    response.set_cookie(
        COOKIE, request.query["token"], max_age=_COOKIE_S, httponly=True, samesite="Strict", secure=secure
    )
    return response


def own_pages_only(access: Access) -> Middleware:
    """Refuse what a page of another server sends, unless its origin is allowed: it would act in its visitor's name."""

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        local = request.transport.get_extra_info("sockname")[0] if request.transport else ""
        if is_loopback(local) and not is_loopback(urlsplit(f"//{request.host}").hostname or ""):
            # A foreign name that leads to this machine's loopback (DNS rebinding) would count as its own origin.
            raise web.HTTPForbidden(text=f"this server is local, and {request.host[:80]!r} is not its name")
        origin = request.headers.get("Origin")
        if origin in access.origins:
            request[_SHARED_WITH] = origin
            return await handler(request)
        if origin is not None and urlsplit(origin).netloc != request.host:
            raise web.HTTPForbidden(text=f"a page of {origin[:80]} may not call this server")
        return await handler(request)

    return check


def share(request: web.Request, response: web.StreamResponse) -> None:
    """Let the allowed page that asks read the answer, be it a refusal."""
    origin = request.get(_SHARED_WITH)
    if origin is None:
        return
    response.headers["Access-Control-Allow-Origin"] = origin
    response.headers["Access-Control-Allow-Headers"] = "Authorization, Content-Type, If-Match"
    response.headers["Access-Control-Allow-Methods"] = "DELETE, GET, PATCH, POST"
    response.headers["Access-Control-Expose-Headers"] = "ETag, Link, Location"
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    response.headers["Vary"] = "Origin"


class Rate:
    """Counts the requests of each client: ``limit`` at once, and as many again within a minute."""

    def __init__(self, limit: int, clock: Clock | None = None) -> None:
        self._limit = limit
        self._clock = clock or MonotonicClock()
        self._clients: OrderedDict[str, tuple[float, float]] = OrderedDict()  # requests left, when that was

    def take(self, client: str) -> bool:
        """Whether one more request of ``client`` is within the limit."""
        now = self._clock.now()
        left, since = self._clients.pop(client, (float(self._limit), now))
        left = min(self._limit, left + (now - since) * self._limit / 60)
        self._clients[client] = (max(left - 1, 0.0), now)
        if len(self._clients) > MAX_CLIENTS:
            self._clients.popitem(last=False)
        return left >= 1


def not_too_often(rate: Rate) -> Middleware:
    """Refuse a client's requests that change something when there are too many, and tokens tried out."""

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        is_harmless = request.method in ("GET", "HEAD", "OPTIONS") and "token" not in request.query
        if not is_harmless and not rate.take(request.remote or ""):
            raise web.HTTPTooManyRequests(text="too many requests", headers={"Retry-After": "10"})
        return await handler(request)

    return check
