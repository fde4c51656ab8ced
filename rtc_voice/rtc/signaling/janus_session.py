"""A session with a Janus server over WebSocket: requests and their answers, events, keep-alive.

Source: https://janus.conf.meetecho.com/docs/rest.html
"""

import asyncio
import itertools
import json
import logging
from collections.abc import Callable, Coroutine, Mapping
from types import TracebackType
from typing import Any, Self

import aiohttp

from rtc_voice.errors import ProtocolError

logger = logging.getLogger(__name__)

ANSWER_TIMEOUT_S = 10.0
KEEP_ALIVE_S = 25.0  # Janus forgets a session after 60 s without a word
FAREWELL_S = 0.5  # for Janus to hear that we go: who is asked to go has 5 s for everything
HEARTBEAT_S = 4.0  # a network that is gone is noticed after one and a half of these
MAX_MESSAGE_BYTES = 1 << 20
_IS_IT = "is it running, and is that the port of its WebSocket?"

Json = dict[str, Any]
OnEvent = Callable[[Json], None]


class JanusError(ProtocolError):
    """Janus refused a request; ``number`` is its own error code."""

    def __init__(self, number: int, reason: str) -> None:
        super().__init__(f"Janus says {number}: {reason}", code="refused")
        self.number = number
        self.reason = reason


class JanusHandle:
    """A place in one plugin, with its own connection at most."""

    def __init__(self, session: "JanusSession", id: int, on_event: OnEvent) -> None:
        self.id = id
        self._session = session
        self._on_event = on_event

    async def request(self, body: Mapping[str, object], sdp: tuple[str, str] | None = None) -> tuple[Json, str | None]:
        """Send ``body`` to the plugin, with a description ``(type, sdp)`` if given; its answer and the SDP in it.

        Raises:
            JanusError: Janus or the plugin refused.
            ProtocolError: no answer came.
        """
        jsep = {} if sdp is None else {"jsep": {"type": sdp[0], "sdp": sdp[1], "trickle": False}}
        reply = await self._session.request({"janus": "message", "handle_id": self.id, "body": dict(body), **jsep})
        data: Json = reply.get("plugindata", {}).get("data", {})
        if "error_code" in data:
            raise JanusError(int(data["error_code"]), str(data.get("error", "")))
        return data, reply.get("jsep", {}).get("sdp")

    def hear(self, event: Json) -> None:
        """Hand on what came for this handle without being an answer."""
        self._on_event(event)

    async def detach(self) -> None:
        """Give the place back; a server that is gone needs no word."""
        self._session.handles.pop(self.id, None)
        try:
            async with asyncio.timeout(FAREWELL_S):
                await self._session.request({"janus": "detach", "handle_id": self.id})
        except (ProtocolError, TimeoutError):
            logger.info("handle %d was gone before it was given back", self.id)


class JanusSession:
    """One session; use as an async context manager. ``closed`` is set when the server or the network is gone."""

    def __init__(self, url: str, *, secrets: Mapping[str, str] | None = None) -> None:
        """Args: url: ws:// or wss://; secrets: ``token`` or ``apisecret``, if the server wants one."""
        self.closed = asyncio.Event()
        self.handles: dict[int, JanusHandle] = {}
        self._url = url
        self._secrets = dict(secrets or {})
        self._numbers = itertools.count(1)
        self._answers: dict[str, asyncio.Future[Json]] = {}
        self._http: aiohttp.ClientSession | None = None
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._id: int | None = None

    async def __aenter__(self) -> Self:
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                await self._open()
        except TimeoutError as error:  # an OSError too, but one that has nothing to say
            await self._shut()
            raise ProtocolError(f"no answer from {self._url} within {ANSWER_TIMEOUT_S:.0f} s", _IS_IT) from error
        except (aiohttp.ClientError, OSError) as error:
            await self._shut()
            raise ProtocolError(f"no Janus answers at {self._url}: {error}"[:200], _IS_IT) from error
        except BaseException:
            await self._shut()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self.closed.is_set():
            try:
                async with asyncio.timeout(FAREWELL_S):
                    await self.request({"janus": "destroy"})
            except (ProtocolError, TimeoutError):
                logger.info("the session was gone before it was ended")
        await self._shut()

    async def _open(self) -> None:
        self._http = aiohttp.ClientSession()
        self._socket = await self._http.ws_connect(
            self._url, protocols=("janus-protocol",), heartbeat=HEARTBEAT_S, max_msg_size=MAX_MESSAGE_BYTES
        )
        self._start(self._read(self._socket))
        created = await self.request({"janus": "create"})
        self._id = int(created["data"]["id"])
        self._start(self._keep_alive(self._socket))

    def _start(self, work: Coroutine[object, object, None]) -> None:
        self._tasks.append(asyncio.get_running_loop().create_task(work))

    async def _shut(self) -> None:
        self._end()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._socket is not None:
            await self._socket.close()
        if self._http is not None:
            await self._http.close()

    def _end(self) -> None:
        self.closed.set()
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(ProtocolError("the connection to Janus is gone", "see whether Janus runs", "gone"))
        self._answers.clear()

    async def attach(self, plugin: str, on_event: OnEvent) -> JanusHandle:
        """A handle of ``plugin``; ``on_event`` hears what comes for it unasked."""
        reply = await self.request({"janus": "attach", "plugin": plugin})
        handle = JanusHandle(self, int(reply["data"]["id"]), on_event)
        self.handles[handle.id] = handle
        return handle

    async def request(self, body: Json) -> Json:
        """Send one request and wait for its answer, not for a mere ``ack``.

        Raises:
            JanusError: it was refused.
            ProtocolError: no answer came, or the connection is gone.
        """
        if self.closed.is_set() or self._socket is None:
            raise ProtocolError("the connection to Janus is gone", "see whether Janus runs", "gone")
        number = str(next(self._numbers))
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                await self._send(self._socket, body, number)
                reply: Json = await answer
        except (TimeoutError, ConnectionError) as error:
            raise ProtocolError(f"Janus did not answer {body['janus']!r}", "see whether Janus runs", "gone") from error
        finally:
            self._answers.pop(number, None)
        if reply["janus"] == "error":
            raise JanusError(int(reply["error"]["code"]), str(reply["error"]["reason"]))
        return reply

    async def _send(self, socket: aiohttp.ClientWebSocketResponse, body: Json, number: str) -> None:
        named = {} if self._id is None else {"session_id": self._id}
        await socket.send_str(json.dumps({**body, **named, **self._secrets, "transaction": number}))

    async def _keep_alive(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        while True:
            await asyncio.sleep(KEEP_ALIVE_S)
            await self._send(socket, {"janus": "keepalive"}, "keepalive")  # answered by a mere ack

    async def _read(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        try:
            async for message in socket:
                if message.type == aiohttp.WSMsgType.TEXT:
                    self._take(message.data)
        finally:
            self._end()

    def _take(self, text: str) -> None:
        try:
            message = json.loads(text)
            kind, number = message["janus"], message.get("transaction")
            answer = self._answers.get(number) if number is not None else None
            if answer is not None:
                if kind != "ack" and not answer.done():  # an ack says that the answer comes later
                    answer.set_result(message)
            elif kind == "timeout":
                self._end()
            elif (handle := self.handles.get(message.get("sender"))) is not None:
                handle.hear(message)
        except Exception:
            logger.exception("a message of Janus could not be used: %.200s", text)
