"""Who may use the server, over real HTTP."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from rtc_voice.errors import InputError
from rtc_voice.metrics import Metrics
from rtc_voice.rtc.ice import DIRECT, IceConfig, IceServer
from rtc_voice.rtc.signaling import links, whip_endpoint
from rtc_voice.rtc.signaling.access import Access, Rate, is_loopback, tls_context
from rtc_voice.rtc.signaling.hosted import HostedRoom
from rtc_voice.rtc.signaling.http import MAX_BODY_BYTES, Pages, create_app, serve
from rtc_voice.timing import MonotonicClock
from tests.certificate import write_certificate
from tests.rtc.conftest import JumpClock
from tests.rtc.signaling.test_http import OFFER, Exchange, error_code

TOKEN = "a-token-long-enough"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
FRIEND = "https://friend.example"


def application(access: Access, tmp_path: Path) -> web.Application:
    """All that ``rtc-voice serve`` answers."""
    exchange = Exchange()
    (tmp_path / "index.html").write_text("<h1>hello</h1>")
    hosted = HostedRoom(lambda: None, clock=MonotonicClock(), metrics=Metrics())
    return create_app(
        exchange.open_call,
        exchange.close_call,
        live_calls=lambda: exchange.live,
        add_candidate=exchange.add_candidate,
        health=lambda: {"status": "ok", "calls": len(exchange.live)},
        max_calls=100,
        web_dir=tmp_path,
        access=access,
        ice=IceConfig((IceServer("turn:relay.example", "u", "p"),), relay_only=True),
        more=[*whip_endpoint.routes(hosted, DIRECT), *links.routes(lambda token: None, Pages(tmp_path))],
    )


@pytest.fixture
async def locked(tmp_path: Path) -> AsyncIterator[aiohttp.ClientSession]:
    access = Access(TOKEN, frozenset({FRIEND}), max_requests=20)
    async with (
        serve(application(access, tmp_path)) as port,
        aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session,
    ):
        yield session


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {TOKEN}"}])
async def test_without_the_token_nothing_is_reachable_but_health(tmp_path: Path, headers: dict[str, str]) -> None:
    app = application(Access(TOKEN, max_requests=1000), tmp_path)
    seen = set()
    async with serve(app) as port, aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
        for route in app.router.routes():
            assert route.resource is not None
            path = re.sub("{.*?}", "x", route.resource.canonical)
            if route.method == "OPTIONS" or path == "/health":
                continue
            seen.add(path)
            for asked in (path, f"{path}?token=no"):
                async with session.request(route.method, asked, json=OFFER, headers=headers) as reply:
                    assert reply.status == 401, f"{route.method} {asked}"
                    assert reply.headers["WWW-Authenticate"].startswith("Bearer")
                    if route.method != "HEAD":
                        assert await error_code(reply) == "unauthorized"
    assert {"/offer", "/config", "/whip/x", "/whep/x/x", "/p/x/messages", "/x"} <= seen


@pytest.mark.parametrize(
    ("method", "path", "kind", "body", "status"),
    [
        ("POST", "/offer", "application/json", b"{", 400),
        ("POST", "/offer", "application/json", b'{"sdp": 1}', 400),
        ("POST", "/offer", "text/plain", b"{}", 415),
        ("POST", "/offer", "application/json", b" " * MAX_BODY_BYTES + b"{}", 413),
        ("PATCH", "/offer", "application/json", b'{"pc_id": "nobody", "candidates": []}', 404),
        ("DELETE", "/offer/nobody", "application/json", b"", 404),
        ("PUT", "/offer", "application/json", b"{}", 405),
        ("POST", "/whip/Ann", "application/sdp", b"v=0", 400),
        ("POST", "/whip/Ann", "application/json", b"{}", 415),
        ("POST", "/whip/Ann", "application/sdp", b"v" * MAX_BODY_BYTES + b"=0", 413),
        ("POST", "/whip/" + 101 * "a", "application/sdp", b"v=0", 400),
        ("POST", "/whep/nobody", "application/sdp", b"\xff", 400),
        ("PATCH", "/whip/Ann/none", "application/trickle-ice-sdpfrag", b"", 404),
        ("GET", "/p/nobody/messages", "text/plain", b"", 404),
        ("GET", "/nothing", "text/plain", b"", 404),
        ("GET", "/" + 9_000 * "a", "text/plain", b"", 400),
    ],
)
async def test_what_is_wrong_with_a_request_is_said(
    locked: aiohttp.ClientSession, method: str, path: str, kind: str, body: bytes, status: int
) -> None:
    async with locked.request(method, path, data=body, headers={**BEARER, "Content-Type": kind}) as reply:
        assert reply.status == status
        assert await reply.text()


async def test_health_is_open_but_tells_strangers_no_figures(locked: aiohttp.ClientSession) -> None:
    async with locked.get("/health") as reply:
        assert (reply.status, await reply.json()) == (200, {"status": "ok"})
    async with locked.get("/health", headers=BEARER) as reply:
        assert (await reply.json())["calls"] == 0


async def test_the_token_opens_everything(locked: aiohttp.ClientSession) -> None:
    async with locked.post("/offer", json=OFFER, headers=BEARER) as reply:
        assert reply.status == 200
    async with locked.get("/config", headers=BEARER) as reply:
        servers = [{"urls": "turn:relay.example", "username": "u", "credential": "p"}]
        assert await reply.json() == {"iceServers": servers, "iceTransportPolicy": "relay"}


async def test_a_token_in_the_address_becomes_a_cookie(locked: aiohttp.ClientSession) -> None:
    async with locked.get(f"/?token={TOKEN}&raw=1", allow_redirects=False) as reply:
        assert (reply.status, reply.headers["Location"]) == (303, "/?raw=1")
        cookie = reply.headers["Set-Cookie"]
        assert "HttpOnly" in cookie and "SameSite=Strict" in cookie
    headers = {"Cookie": cookie.partition(";")[0]}
    async with locked.get("/", headers=headers) as reply:
        assert (reply.status, await reply.text()) == (200, "<h1>hello</h1>")


async def test_an_allowed_page_may_call_with_the_token_and_no_other_may(locked: aiohttp.ClientSession) -> None:
    asked = {"Origin": FRIEND, "Access-Control-Request-Method": "POST"}
    async with locked.options("/offer", headers=asked) as reply:
        assert reply.headers["Access-Control-Allow-Origin"] == FRIEND
        assert "Access-Control-Allow-Credentials" not in reply.headers
    async with locked.post("/offer", json=OFFER, headers={**BEARER, "Origin": FRIEND}) as reply:
        assert (reply.status, reply.headers["Access-Control-Allow-Origin"]) == (200, FRIEND)
    async with locked.delete("/nowhere", headers={**BEARER, "Origin": FRIEND}) as reply:  # a refusal may be read too
        assert (reply.status, reply.headers["Access-Control-Allow-Origin"]) == (405, FRIEND)
    async with locked.post("/offer", json=OFFER, headers={**BEARER, "Origin": "https://foe.example"}) as reply:
        assert (reply.status, await error_code(reply)) == (403, "forbidden")


async def test_too_many_requests_are_refused_and_told_when_to_come_back(locked: aiohttp.ClientSession) -> None:
    statuses = []
    for _ in range(22):
        async with locked.post("/offer", json=OFFER, headers={"Authorization": "Bearer guess"}) as reply:
            statuses.append(reply.status)
            code = await error_code(reply)
    assert (statuses[0], statuses[-1], code) == (401, 429, "too-many-requests")
    assert int(reply.headers["Retry-After"]) > 0
    async with locked.get("/health") as reply:
        assert reply.status == 200


def test_a_client_may_go_on_after_a_pause_and_does_not_hold_up_others() -> None:
    clock = JumpClock()
    rate = Rate(60, clock)
    assert [rate.take("one") for _ in range(61)] == [True] * 60 + [False]
    assert rate.take("other")
    clock.time += 2
    assert [rate.take("one") for _ in range(3)] == [True, True, False]


@pytest.mark.parametrize("origin", ["friend.example", "https://friend.example/", "ftp://friend.example", "*"])
def test_what_is_no_origin_is_an_error(origin: str) -> None:
    with pytest.raises(InputError):
        Access(None, frozenset({origin}))


def test_a_short_token_is_an_error_and_a_token_is_never_shown() -> None:
    with pytest.raises(InputError):
        Access("short")
    assert TOKEN not in repr(Access(TOKEN))


@pytest.mark.parametrize(
    ("host", "is_local"),
    [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("h", False)],
)
def test_loopback_is_told_from_a_network(host: str, is_local: bool) -> None:
    assert is_loopback(host) == is_local


async def test_https_is_served_with_a_certificate_and_refused_without_one(tmp_path: Path) -> None:
    certificate, key = write_certificate(tmp_path)
    app = create_app(
        Exchange().open_call,
        Exchange().close_call,
        live_calls=set,
        add_candidate=Exchange().add_candidate,
        health=lambda: {"status": "ok"},
        max_calls=1,
    )
    async with serve(app, tls=tls_context(certificate, key)) as port, aiohttp.ClientSession() as session:
        async with session.get(f"https://127.0.0.1:{port}/health", ssl=False) as reply:
            assert reply.status == 200
    for wrong in ((key, certificate), (tmp_path / "absent", key)):
        with pytest.raises(InputError):
            tls_context(*wrong)
