"""The page behind a participant's own link: consent, typing and knobs for somebody in a room that has none of these.

``GET /p/TOKEN`` is the page; on the WebSocket ``/p/TOKEN/messages`` go the messages of the data channel. Whoever holds
the token speaks for its participant, so each link is for one person.
"""

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

import aiohttp
from aiohttp import web

from rtc_voice.rtc.protocol import MAX_MESSAGE_BYTES
from rtc_voice.rtc.signaling.access import Access
from rtc_voice.rtc.signaling.http import MAX_BODY_BYTES, Pages, guards

MAX_UNSENT = 64  # messages for a page that does not read
HEARTBEAT_S = 10.0
MAX_PAGES = 8  # that show one participant's state at once

Listener = Callable[[str | None], None]
"""Takes the bot's messages, and None when there will be no more."""


class Linked(Protocol):
    """A participant as their page knows them."""

    listeners: set[Listener]

    @property
    def name(self) -> str:
        """What they call themselves."""

    def take(self, text: str) -> None:
        """A message from their page, unchecked."""

    def greet(self) -> None:
        """Send how things stand."""


def routes(participant_of: Callable[[str], Linked | None], pages: Pages) -> list[web.RouteDef]:
    """What a server answers at the links: ``participant_of`` finds whose link holds a token."""

    def find(request: web.Request) -> Linked:
        participant = participant_of(request.match_info["token"])
        if participant is None:
            raise web.HTTPNotFound(text="this link is not, or no longer, anybody's: they may have left the room")
        return participant

    async def page(request: web.Request) -> web.StreamResponse:
        find(request)
        return pages.file("link.html")

    async def messages(request: web.Request) -> web.StreamResponse:
        participant = find(request)
        if len(participant.listeners) >= MAX_PAGES:
            raise web.HTTPTooManyRequests(text=f"{MAX_PAGES} pages are open already")
        socket = web.WebSocketResponse(heartbeat=HEARTBEAT_S, max_msg_size=4 * MAX_MESSAGE_BYTES)
        await socket.prepare(request)
        await _converse(socket, participant)
        return socket

    return [web.get("/p/{token}", page), web.get("/p/{token}/messages", messages)]


def create_app(
    participant_of: Callable[[str], Linked | None], web_dir: Path, health: Callable[[], Mapping[str, object]]
) -> web.Application:
    """An application with the links and ``GET /health`` alone."""
    pages = Pages(web_dir)
    app = web.Application(client_max_size=MAX_BODY_BYTES, middlewares=guards(Access()))

    async def say_health(request: web.Request) -> web.Response:
        return web.json_response(dict(health()))

    app.router.add_get("/health", say_health)
    app.router.add_routes(routes(participant_of, pages))
    app.router.add_get("/{path:.+}", pages.page)
    return app


async def _converse(socket: web.WebSocketResponse, participant: Linked) -> None:
    unsent: asyncio.Queue[str | None] = asyncio.Queue(MAX_UNSENT)

    def keep(text: str | None) -> None:
        if unsent.full():  # the newest state is what counts
            unsent.get_nowait()
        unsent.put_nowait(text)

    async def send() -> None:
        while (text := await unsent.get()) is not None:
            await socket.send_str(text)
        await socket.close()

    sending = asyncio.get_running_loop().create_task(send())
    participant.listeners.add(keep)
    participant.greet()
    try:
        async for message in socket:
            if message.type == aiohttp.WSMsgType.TEXT:
                participant.take(message.data)
    finally:
        participant.listeners.discard(keep)
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
