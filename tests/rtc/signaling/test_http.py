import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import aiohttp
import pytest

from rtc_voice.errors import CapacityError, ProtocolError
from rtc_voice.metrics import Metrics
from rtc_voice.rtc.remote import Caller
from rtc_voice.rtc.signaling.http import MAX_BODY_BYTES, create_app, post_offer, serve
from rtc_voice.timing import MonotonicClock
from tests.rtc.conftest import Line

OFFER = {"sdp": "v=0", "type": "offer"}


class Exchange:
    """Answers any offer with a counted id, and keeps what it was asked."""

    def __init__(self) -> None:
        self.live: set[str] = set()
        self.opened = 0
        self.candidates: list[tuple[str, str, str | None, int | None]] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def open_call(self, sdp: str, type: str) -> tuple[str, dict[str, str]]:
        await self.gate.wait()
        if sdp == "bad":
            raise ProtocolError("the offer cannot be used", "mend it", "bad-offer")
        if sdp == "worse":
            raise ZeroDivisionError
        self.opened += 1
        call_id = f"call-{self.opened}"
        self.live.add(call_id)
        return call_id, {"sdp": "v=0 answer", "type": "answer"}

    async def close_call(self, call_id: str) -> None:
        self.live.remove(call_id)

    async def add_candidate(self, call_id: str, candidate: str, mid: str | None, line: int | None) -> None:
        self.candidates.append((call_id, candidate, mid, line))

    def serve(self, web_dir: Path | None = None) -> AbstractAsyncContextManager[int]:
        app = create_app(
            self.open_call,
            self.close_call,
            live_calls=lambda: self.live,
            add_candidate=self.add_candidate,
            health=lambda: {"calls": len(self.live)},
            max_calls=2,
            web_dir=web_dir,
        )
        return serve(app)


@pytest.fixture
def pages(tmp_path: Path) -> Path:
    folder = tmp_path / "web"
    (folder / "js").mkdir(parents=True)
    (folder / "index.html").write_text("<h1>hello</h1>")
    (folder / "js" / "call.js").write_text("export const a = 1")
    (folder / "key.pem").write_text("secret")
    (tmp_path / "secret.txt").write_text("secret")
    (folder / "link.txt").symlink_to(tmp_path / "secret.txt")
    return folder


@pytest.fixture
async def exchange() -> Exchange:
    return Exchange()


@pytest.fixture
async def client(exchange: Exchange, pages: Path) -> AsyncIterator[aiohttp.ClientSession]:
    async with exchange.serve(pages) as port, aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
        yield session


async def error_code(reply: aiohttp.ClientResponse) -> str:
    body = await reply.json()
    assert set(body) == {"error"} and set(body["error"]) == {"code", "message", "hint"}
    assert body["error"]["message"]
    return str(body["error"]["code"])


@pytest.mark.parametrize("path", ["/offer", "/api/offer"])
async def test_an_offer_is_answered_and_the_call_hung_up(
    client: aiohttp.ClientSession, exchange: Exchange, path: str
) -> None:
    async with client.post(path, json=OFFER) as reply:
        body = await reply.json()
    assert body == {"sdp": "v=0 answer", "type": "answer", "call_id": "call-1", "pc_id": "call-1"}
    async with client.delete(f"{path}/call-1") as reply:
        assert reply.status == 204
    assert not exchange.live
    async with client.delete(f"{path}/call-1") as reply:
        assert (reply.status, await error_code(reply)) == (404, "not-found")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "not-json"),
        (b"{", "not-json"),
        (b"\xff", "not-json"),
        (b"[" * 10_000, "not-json"),
        (b"[]", "not-json"),
        (b"{}", "bad-field"),
        (b'{"sdp": "v=0"}', "bad-field"),
        (b'{"sdp": 1, "type": "offer"}', "bad-field"),
        (b'{"sdp": "bad", "type": "offer"}', "bad-offer"),
    ],
)
async def test_a_bad_offer_is_told_what_is_wrong(client: aiohttp.ClientSession, body: bytes, code: str) -> None:
    async with client.post("/offer", data=body, headers={"Content-Type": "application/json"}) as reply:
        assert (reply.status, await error_code(reply)) == (400, code)


async def test_an_unknown_encoding_is_a_bad_request(client: aiohttp.ClientSession) -> None:
    headers = {"Content-Type": "application/json; charset=klingon"}
    async with client.post("/offer", data=b"{}", headers=headers) as reply:
        assert (reply.status, await error_code(reply)) == (400, "not-json")


async def test_other_content_is_refused(client: aiohttp.ClientSession) -> None:
    async with client.post("/offer", data=b"{}", headers={"Content-Type": "text/plain"}) as reply:
        assert (reply.status, await error_code(reply)) == (415, "unsupported-media-type")


async def test_a_body_that_is_too_large_is_refused(client: aiohttp.ClientSession) -> None:
    async with client.post("/offer", json={"sdp": "x" * MAX_BODY_BYTES, "type": "offer"}) as reply:
        assert reply.status == 413
        await error_code(reply)


async def test_a_failure_of_ours_is_a_plain_500(
    client: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture
) -> None:
    async with client.post("/offer", json={"sdp": "worse", "type": "offer"}) as reply:
        assert (reply.status, await error_code(reply)) == (500, "internal")
    assert "ZeroDivisionError" in caplog.text


async def test_no_more_calls_than_allowed_even_at_the_same_time(
    client: aiohttp.ClientSession, exchange: Exchange
) -> None:
    exchange.gate.clear()
    async with asyncio.TaskGroup() as group:
        posts = [group.create_task(client.post("/offer", json=OFFER)) for _ in range(4)]
        while sum(post.done() for post in posts) < 2:  # noqa: ASYNC110 - the two that wait give no event
            await asyncio.sleep(0.01)
        exchange.gate.set()
    replies = [post.result() for post in posts]
    assert sorted(reply.status for reply in replies) == [200, 200, 503, 503]
    refused = [reply for reply in replies if reply.status == 503]
    assert {await error_code(reply) for reply in refused} == {CapacityError.code}
    assert all(int(reply.headers["Retry-After"]) > 0 for reply in refused)
    exchange.live.clear()
    async with client.post("/offer", json=OFFER) as reply:
        assert reply.status == 200


async def test_an_offer_with_a_live_pc_id_replaces_its_call(client: aiohttp.ClientSession, exchange: Exchange) -> None:
    await client.post("/api/offer", json=OFFER)
    async with client.post("/api/offer", json={**OFFER, "pc_id": "call-1", "restart_pc": True}) as reply:
        assert (await reply.json())["pc_id"] == "call-2"
    assert exchange.live == {"call-2"}


async def test_candidates_reach_their_call(client: aiohttp.ClientSession, exchange: Exchange) -> None:
    await client.post("/api/offer", json=OFFER)
    late = [{"candidate": "candidate:1", "sdp_mid": "0", "sdp_mline_index": 0}, {"candidate": "", "sdp_mid": "0"}]
    async with client.patch("/api/offer", json={"pc_id": "call-1", "candidates": late}) as reply:
        assert await reply.json() == {"status": "success"}
    assert exchange.candidates == [("call-1", "candidate:1", "0", 0)]
    async with client.patch("/api/offer", json={"pc_id": "call-9", "candidates": late}) as reply:
        assert reply.status == 404
    for bad in ("x", ["x"], [{"candidate": 1}], [{"candidate": "c", "sdp_mid": 1}]):
        async with client.patch("/api/offer", json={"pc_id": "call-1", "candidates": bad}) as reply:
            assert (reply.status, await error_code(reply)) == (400, "bad-field")


async def test_health_is_told(client: aiohttp.ClientSession) -> None:
    await client.post("/offer", json=OFFER)
    async with client.get("/health") as reply:
        assert await reply.json() == {"calls": 1}


@pytest.mark.parametrize(
    ("path", "mime", "text"),
    [("/", "text/html", "<h1>hello</h1>"), ("/js/call.js", "text/javascript", "export const a = 1")],
)
async def test_pages_have_their_type_and_are_not_kept(
    client: aiohttp.ClientSession, path: str, mime: str, text: str
) -> None:
    async with client.get(path) as reply:
        assert await reply.text() == text
        assert reply.content_type == mime
        assert reply.headers["Cache-Control"] == "no-cache"
        assert "default-src 'self'" in reply.headers["Content-Security-Policy"]
        assert reply.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    "path", ["/nothing.js", "/js", "/key.pem", "/link.txt", "/%2e%2e/secret.txt", "/js/..%2f..%2fsecret.txt", "/%00.js"]
)
async def test_nothing_else_is_served(client: aiohttp.ClientSession, path: str) -> None:
    async with client.get(path) as reply:
        assert (reply.status, await error_code(reply)) == (404, "not-found")
        assert "Content-Security-Policy" in reply.headers


async def test_a_wrong_method_is_refused(client: aiohttp.ClientSession) -> None:
    for method in ("PUT", "GET"):
        async with client.request(method, "/offer", json=OFFER) as reply:
            assert (reply.status, await error_code(reply)) == (405, "method-not-allowed")
            assert "POST" in reply.headers["Allow"]
            assert "POST" in (await reply.json())["error"]["hint"]


@pytest.mark.parametrize("sent", [b"GET /" + 9_000 * b"a" + b" HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1\r\na\0b: c\r\n\r\n"])
async def test_what_is_no_http_is_refused_without_a_traceback(
    client: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture, sent: bytes
) -> None:
    async with client.get("/health") as reply:
        port = reply.url.port
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent)
    assert b"400" in await reader.readline()
    writer.close()
    assert not [record for record in caplog.records if record.exc_info or record.levelname == "ERROR"]


async def test_pages_of_other_servers_may_not_call(client: aiohttp.ClientSession, exchange: Exchange) -> None:
    async with client.post("/offer", json=OFFER, headers={"Origin": "https://evil.example"}) as reply:
        assert (reply.status, await error_code(reply)) == (403, "forbidden")
        assert "Access-Control-Allow-Origin" not in reply.headers
    async with client.options("/offer", headers={"Origin": "https://evil.example"}) as reply:
        assert reply.status == 403
    assert exchange.opened == 0
    host = str(client._base_url).rstrip("/")
    async with client.options("/offer", headers={"Origin": host}) as reply:
        assert reply.status == 204
    async with client.post("/offer", json=OFFER, headers={"Origin": host}) as reply:
        assert reply.status == 200


async def test_a_foreign_name_for_this_machine_is_refused(client: aiohttp.ClientSession, exchange: Exchange) -> None:
    foreign = {"Host": "evil.example:8080", "Origin": "http://evil.example:8080"}
    async with client.post("/offer", json=OFFER, headers=foreign) as reply:
        assert (reply.status, await error_code(reply)) == (403, "forbidden")
    assert exchange.opened == 0
    async with client.get("/health", headers={"Host": "localhost:1"}) as reply:
        assert reply.status == 200


async def test_a_caller_calls_over_http() -> None:
    line = Line()

    async def open_call(sdp: str, type: str) -> tuple[str, dict[str, str]]:
        return "one", await line.peer.answer(sdp, type)

    exchange = Exchange()
    exchange.open_call = open_call  # type: ignore[method-assign]
    async with exchange.serve() as port:
        url = f"http://127.0.0.1:{port}/offer"
        async with Caller(post_offer(url), clock=MonotonicClock(), metrics=Metrics()):
            assert line.listener.connected == 1
    await line.peer.close()


async def test_a_refused_offer_says_why(client: aiohttp.ClientSession) -> None:
    with pytest.raises(ProtocolError, match="mend it"):
        await post_offer(f"{client._base_url}/offer")("bad", "offer")
