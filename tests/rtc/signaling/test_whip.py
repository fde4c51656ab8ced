"""WHIP and WHEP: our endpoint and our client, each against the other and against what others have written."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiortc import RTCPeerConnection, RTCSessionDescription

from rtc_voice.errors import CapacityError, InputError, ProtocolError
from rtc_voice.metrics import Metrics
from rtc_voice.rtc.ice import DIRECT, IceConfig, IceServer
from rtc_voice.rtc.peer import opus_only
from rtc_voice.rtc.playout import ChunkQueue
from rtc_voice.rtc.signaling import whip_endpoint
from rtc_voice.rtc.signaling.access import Access
from rtc_voice.rtc.signaling.hosted import MAX_LISTENERS, HostedRoom
from rtc_voice.rtc.signaling.http import MAX_BODY_BYTES, create_app, serve
from rtc_voice.rtc.signaling.room import voice_name
from rtc_voice.rtc.signaling.whip import FRAGMENT_TYPE, SDP_TYPE, WhipAddress, WhipSignaling
from rtc_voice.timing import MonotonicClock
from tests.rtc.signaling.attendee import TONE, Attendee, until
from tests.rtc.signaling.test_http import Exchange, error_code
from tests.rtc.signaling.test_links import WEB

TOKEN = "a-token-long-enough"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
SDP = {"Content-Type": SDP_TYPE}
RELAY = IceServer("turn:relay.example?transport=tcp", "u", 'p"q')


class House(Attendee):
    """A hosted room behind real HTTP."""

    def __init__(self) -> None:
        super().__init__()
        self.is_full = False
        self.room = HostedRoom(self.admit, clock=MonotonicClock(), metrics=Metrics())

    def admit(self) -> None:
        if self.is_full:
            raise CapacityError("all calls are taken", "try again later")

    @asynccontextmanager
    async def open(self) -> AsyncIterator[str]:
        exchange = Exchange()
        app = create_app(
            exchange.open_call,
            exchange.close_call,
            live_calls=lambda: exchange.live,
            add_candidate=exchange.add_candidate,
            health=lambda: {"status": "ok"},
            max_calls=1,
            web_dir=WEB,
            access=Access(TOKEN),
            more=whip_endpoint.routes(self.room, IceConfig((IceServer("stun:stun.example"), RELAY))),
        )
        await self.room.join(self)
        async with serve(app) as port:
            yield f"http://127.0.0.1:{port}"
            await self.room.leave()


@pytest.fixture
async def house() -> House:
    return House()


@pytest.fixture
async def url(house: House) -> AsyncIterator[str]:
    async with house.open() as url:
        yield url


@pytest.fixture
async def http(url: str) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(url, headers=BEARER) as session:
        yield session


@asynccontextmanager
async def client(url: str, name: str = "Ann") -> AsyncIterator[WhipSignaling]:
    """Our own client, which sends as ``name`` and plays the voice of ``name``."""
    address = WhipAddress.parse(f"whip+{url}/whip/{name}?whep={url}/whep/{name}&name={name}&token={TOKEN}")
    one = WhipSignaling(address, clock=MonotonicClock(), metrics=Metrics())
    await one.join(Attendee())
    yield one
    await one.leave()


def sender(*kinds: str) -> RTCPeerConnection:
    """A client that has been written by others."""
    pc = RTCPeerConnection(DIRECT.configuration())
    for kind in kinds:
        transceiver = pc.addTransceiver(kind, direction="sendonly")
        if kind == "audio":
            transceiver.setCodecPreferences(opus_only())
    return pc


async def offer_of(pc: RTCPeerConnection) -> str:
    await pc.setLocalDescription(await pc.createOffer())
    return str(pc.localDescription.sdp)


async def test_what_one_sends_is_heard_only_by_who_subscribes(house: House, url: str) -> None:
    source = ChunkQueue(24_000, 1_000)
    async with client(url) as ann:
        link = await ann.publish("ignored: the address says where", source)
        assert list(house.there) == ["Ann"]
        source.push(TONE)
        await until(lambda: not source.waiting_samples)
        assert house.loudest == 0.0
        carrier = await house.room.subscribe(house.there["Ann"], house)
        await until(lambda: house.loudest > 0.3, lambda: source.push(TONE))
        await house.room.retract(carrier)
        house.loudest = 0.0
        source.push(TONE)
        await until(lambda: not source.waiting_samples)
        assert house.loudest == 0.0
        await ann.retract(link)
    assert not house.there and not house.room.sessions


async def test_a_voice_is_heard_by_everybody_who_plays_it_until_it_is_taken_back(house: House, url: str) -> None:
    voice = await house.room.publish(voice_name("Ann"), house.queue)
    ears = [Attendee(), Attendee()]
    async with client(url) as one, client(url) as other:
        links = [await one.subscribe("", ears[0]), await other.subscribe("", ears[1])]
        await until(lambda: all(ear.loudest > 0.3 for ear in ears), lambda: house.queue.push(TONE))
        await house.room.retract(voice)
        await until(lambda: all(link.lost.is_set() for link in links))
        with pytest.raises(ProtocolError, match="404"):
            await one.subscribe("", ears[0])
    await until(lambda: not house.room.sessions)


async def test_a_voice_is_played_though_nobody_listens(house: House) -> None:
    await house.room.publish(voice_name("Ann"), house.queue)
    house.queue.push(TONE)
    await until(lambda: not house.queue.waiting_samples)
    await house.room.leave()


async def test_who_hangs_up_without_a_request_has_left(house: House, url: str) -> None:
    async with client(url) as ann:
        link = await ann.publish("", ChunkQueue(24_000, 10))
        assert house.there
        await link.close()
        await until(lambda: not house.there)


async def test_a_session_is_made_and_ended_as_the_rfc_says(house: House, http: aiohttp.ClientSession) -> None:
    pc = sender("audio", "video")
    async with http.post("/whip/J%C3%B6rg%20B", data=await offer_of(pc), headers=SDP) as reply:
        assert (reply.status, reply.content_type) == (201, SDP_TYPE)
        session, tag = reply.headers["Location"], reply.headers["ETag"]
        assert session.startswith("/whip/J%C3%B6rg%20B/") and tag[0] == tag[-1] == '"'
        assert reply.headers.getall("Link") == [
            '<stun:stun.example>; rel="ice-server"',
            '<turn:relay.example?transport=tcp>; rel="ice-server"; username="u"; credential="p\\"q"; '
            'credential-type="password"',
        ]
        await pc.setRemoteDescription(RTCSessionDescription(await reply.text(), "answer"))
    await until(lambda: pc.connectionState == "connected")
    assert list(house.there) == ["Jörg B"]
    async with http.delete(session) as reply:
        assert reply.status == 200
    assert not house.there
    await until(lambda: pc.connectionState == "closed")
    async with http.delete(session) as reply:
        assert (reply.status, await error_code(reply)) == (404, "not-found")
    await pc.close()


async def test_addresses_that_come_later_connect_the_session(http: aiohttp.ClientSession) -> None:
    pc = sender("audio")
    whole = await offer_of(pc)
    candidates = [line for line in whole.splitlines() if line.startswith("a=candidate:")]
    user = next(line for line in whole.splitlines() if line.startswith("a=ice-ufrag:"))
    async with http.post("/whip/Ann", data=without_candidates(whole), headers=SDP) as reply:
        session, tag = reply.headers["Location"], reply.headers["ETag"]
        answer = await reply.text()
    fragment = "\r\n".join([user, "m=audio 9 RTP/AVP 0", "a=mid:0", *candidates, "a=end-of-candidates", ""])
    kind = {"Content-Type": FRAGMENT_TYPE}
    for headers, body, status in (
        ({**kind}, fragment, 428),
        ({**kind, "If-Match": '"other"'}, fragment, 412),
        ({**kind, "If-Match": "*"}, fragment, 422),
        ({**kind, "If-Match": tag}, fragment.replace(user, "a=ice-ufrag:other"), 422),
        ({**kind, "If-Match": tag}, "a=candidate:nonsense", 400),
        ({"Content-Type": "application/json", "If-Match": tag}, fragment, 415),
        ({**kind, "If-Match": tag}, fragment, 204),
    ):
        async with http.patch(session, data=body, headers=headers) as reply:
            assert reply.status == status, body
            assert "ETag" not in reply.headers
    await pc.setRemoteDescription(RTCSessionDescription(without_candidates(answer), "answer"))
    await until(lambda: pc.connectionState == "connected")
    await pc.close()
    async with http.patch("/whip/Ann/other", data=fragment, headers={**kind, "If-Match": tag}) as reply:
        assert reply.status == 404


def without_candidates(sdp: str) -> str:
    """So that only the addresses sent the other way can bring the two together."""
    left_out = ("a=candidate:", "a=end-of-candidates")
    return "".join(line for line in sdp.splitlines(keepends=True) if not line.startswith(left_out))


@pytest.mark.parametrize(
    ("path", "body", "kind", "status"),
    [
        ("/whip/Ann", "v=0", "application/json", 415),
        ("/whip/Ann", "", SDP_TYPE, 400),
        ("/whip/Ann", "nonsense", SDP_TYPE, 400),
        ("/whip/Ann", b"\xff\xfe", SDP_TYPE, 400),
        ("/whip/" + "a" * 101, "v=0", SDP_TYPE, 400),
        ("/whip/Ann", "v=0\r\n" * MAX_BODY_BYTES, SDP_TYPE, 413),
        ("/whep/Ann", "nonsense", SDP_TYPE, 400),
        ("/whip/%20", "v=0", SDP_TYPE, 400),
    ],
)
async def test_a_bad_request_is_told_what_is_wrong(
    house: House, http: aiohttp.ClientSession, path: str, body: Any, kind: str, status: int
) -> None:
    async with http.post(path, data=body, headers={"Content-Type": kind}) as reply:
        assert reply.status == status
        await error_code(reply)
    assert not house.there and not house.room.sessions


async def test_who_cannot_be_taken_is_told_why(house: House, http: aiohttp.ClientSession) -> None:
    pcs = [sender("audio") for _ in range(2)]
    one, other = [await offer_of(pc) for pc in pcs]
    for offer, status in ((one.replace("sendonly", "recvonly"), 400), (one.replace("opus/48000/2", "x/8000"), 400)):
        async with http.post("/whip/Ann", data=offer, headers=SDP) as reply:
            assert reply.status == status
            await error_code(reply)
    async with http.post("/whip/Ann", data=one, headers=SDP) as reply:
        assert reply.status == 201
    async with http.post("/whip/Ann", data=other, headers=SDP) as reply:
        assert (reply.status, await error_code(reply)) == (409, "conflict")
    house.is_full = True
    async with http.post("/whip/Ben", data=other, headers=SDP) as reply:
        assert (reply.status, await error_code(reply)) == (503, CapacityError.code)
    two = sender("audio", "video", "video")
    async with http.post("/whip/Eve", data=await offer_of(two), headers=SDP) as reply:
        assert (reply.status, await error_code(reply)) == (406, "not-acceptable")
    async with http.post("/whep/Ben", data=one.replace("sendonly", "recvonly"), headers=SDP) as reply:
        assert (reply.status, reply.headers["Retry-After"]) == (404, "2")
    assert list(house.there) == ["Ann"]
    for pc in (*pcs, two):
        await pc.close()


async def test_only_so_many_may_listen(house: House, http: aiohttp.ClientSession) -> None:
    await house.room.publish(voice_name("Ann"), house.queue)
    pc = RTCPeerConnection(DIRECT.configuration())
    pc.addTransceiver("audio", direction="recvonly")
    offer = await offer_of(pc)
    replies = [await http.post("/whep/Ann", data=offer, headers=SDP) for _ in range(MAX_LISTENERS + 1)]
    assert [reply.status for reply in replies] == [201] * MAX_LISTENERS + [503]
    await pc.close()


@pytest.mark.parametrize("path", ["/whip/Ann", "/whep/Ann", "/whip/Ann/session", "/whep/Ann/session"])
async def test_other_methods_are_refused_and_options_told(http: aiohttp.ClientSession, path: str) -> None:
    for method in ("GET", "HEAD", "PUT"):
        async with http.request(method, path) as reply:
            assert reply.status == 405
    async with http.options(path) as reply:
        assert (reply.status, reply.headers["Accept-Post"]) == (200, SDP_TYPE)


async def test_without_the_token_nothing_is_reachable(url: str) -> None:
    async with aiohttp.ClientSession(url) as stranger:
        for path in ("/whip/Ann", "/whep/Ann"):
            async with stranger.post(path, data="v=0", headers=SDP) as reply:
                assert (reply.status, await error_code(reply)) == (401, "unauthorized")
        async with stranger.delete("/whip/Ann/1") as reply:
            assert reply.status == 401


async def test_a_server_that_is_not_there_or_refuses_is_an_error(url: str) -> None:
    nowhere = "http://127.0.0.1:9"
    address = WhipAddress.parse(f"whip+{url}/whip/Ann?whep={nowhere}/whep/Ann")
    with pytest.raises(ProtocolError, match="does not answer"):
        await WhipSignaling(address, clock=MonotonicClock(), metrics=Metrics()).join(Attendee())
    stranger = WhipSignaling(
        WhipAddress.parse(f"whip+{url}/whip/A?whep={url}/whep/A"), clock=MonotonicClock(), metrics=Metrics()
    )
    await stranger.join(Attendee())
    with pytest.raises(ProtocolError, match="401") as refused:
        await stranger.publish("", ChunkQueue(24_000, 10))
    assert "token" in refused.value.hint
    await stranger.leave()


def test_an_address_names_both_servers_and_keeps_the_secrets_to_itself() -> None:
    address = WhipAddress.parse(
        "whip+https://a.example/in?stream=1&whep=https://b.example/out?x=2&name=Ann&token=T&whep_token=U"
    )
    assert address == WhipAddress("https://a.example/in?stream=1", "https://b.example/out?x=2", "Ann", "T", "U")
    assert WhipAddress.parse("whip+http://h/a?whep=http://h/b&token=T").whep_token == "T"
    assert "'T'" not in repr(address) and str(address) == "https://b.example/out?x=2 for Ann"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "whip+http://h/a",
        "whip+http:///a?whep=http://h/b",
        "whip+http://h:x/a?whep=http://h/b",
        "whip+http://h/?whep=ws://h",
    ],
)
def test_what_is_no_address_is_an_error(text: str) -> None:
    with pytest.raises(InputError):
        WhipAddress.parse(text)
