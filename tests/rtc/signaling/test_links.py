"""A participant's own page, over real HTTP."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import aiohttp
import pytest

from rtc_voice.rtc.signaling.http import serve
from rtc_voice.rtc.signaling.links import MAX_PAGES, create_app
from tests.waiting import until

WEB = Path(__file__).parents[3] / "demo" / "web"


class Somebody:
    """A participant who answers every message with itself."""

    name = "Ann"

    def __init__(self) -> None:
        self.listeners: set[Callable[[str | None], None]] = set()

    def take(self, text: str | None) -> None:
        for listener in self.listeners:
            listener(text)

    def greet(self) -> None:
        self.take("hello")


@pytest.fixture
async def ann() -> Somebody:
    return Somebody()


@pytest.fixture
async def client(ann: Somebody) -> AsyncIterator[aiohttp.ClientSession]:
    app = create_app(lambda token: ann if token == "hers" else None, WEB, lambda: {"status": "ok"})
    async with serve(app) as port, aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
        yield session


async def test_the_link_opens_the_page_and_what_belongs_to_it(client: aiohttp.ClientSession) -> None:
    async with client.get("/p/hers") as reply:
        assert (reply.status, "link.js" in await reply.text()) == (200, True)
    for path in ("/link.js", "/style.css", "/icon.svg"):
        async with client.get(path) as reply:
            assert reply.status == 200


@pytest.mark.parametrize("path", ["/p/other", "/p/other/messages", "/p/%C3%A9", "/p/", "/"])
async def test_nobody_elses_link_opens_anything(client: aiohttp.ClientSession, path: str) -> None:
    async with client.get(path) as reply:
        assert (reply.status, (await reply.json())["error"]["code"]) == (404, "not-found")


async def test_messages_go_both_ways_and_the_page_is_greeted(client: aiohttp.ClientSession, ann: Somebody) -> None:
    async with client.ws_connect("/p/hers/messages") as socket:
        assert await socket.receive_str() == "hello"
        await socket.send_str("say this")
        assert await socket.receive_str() == "say this"
    await until(lambda: not ann.listeners)


async def test_her_page_is_told_when_there_is_no_more_to_come(client: aiohttp.ClientSession, ann: Somebody) -> None:
    async with client.ws_connect("/p/hers/messages") as socket:
        assert await socket.receive_str() == "hello"
        ann.take(None)
        assert (await socket.receive()).type is aiohttp.WSMsgType.CLOSE


async def test_health_tells_that_the_bot_is_there(client: aiohttp.ClientSession) -> None:
    async with client.get("/health") as reply:
        assert await reply.json() == {"status": "ok"}


async def test_only_so_many_pages_listen_at_once(client: aiohttp.ClientSession, ann: Somebody) -> None:
    sockets = [await client.ws_connect("/p/hers/messages") for _ in range(MAX_PAGES)]
    async with client.get("/p/hers/messages") as reply:
        assert reply.status == 429
    for socket in sockets:
        await socket.close()


async def test_a_page_of_another_server_cannot_speak_for_her(client: aiohttp.ClientSession) -> None:
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await client.ws_connect("/p/hers/messages", origin="https://foe.example")
    assert refused.value.status == 403
