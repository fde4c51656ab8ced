"""STUN and TURN, with a real coturn on loopback."""

from collections.abc import Iterator

import numpy as np
import pytest

from rtc_voice.errors import InputError
from rtc_voice.metrics import Metrics
from rtc_voice.rtc.ice import IceConfig, IceServer
from rtc_voice.rtc.ice_check import IceFinding, check_ice
from rtc_voice.rtc.peer import Peer
from rtc_voice.rtc.remote import Caller
from rtc_voice.timing import MonotonicClock
from tests.rooms.servers import coturn, free_port
from tests.rtc.conftest import Line
from tests.waiting import until

USER, PASSWORD = "user", "a,b"


@pytest.fixture(scope="module")
def turn_port() -> Iterator[int]:
    with coturn(USER, PASSWORD) as port:
        yield port


def relay(port: int, transport: str, password: str = PASSWORD) -> IceConfig:
    return IceConfig((IceServer(f"turn:127.0.0.1:{port}?transport={transport}", USER, password),), relay_only=True)


async def findings(config: IceConfig) -> dict[str, IceFinding]:
    return {finding.way: finding async for finding in check_ice(config)}


def test_a_server_is_read_with_its_account() -> None:
    assert IceServer.parse("stun:h:3478") == IceServer("stun:h:3478")
    assert IceServer.parse("turn:h?transport=tcp,u,a,b") == IceServer("turn:h?transport=tcp", "u", "a,b")
    assert IceServer.parse("turns:h,u,p").is_relay


@pytest.mark.parametrize("text", ["", "h:3478", "http://h", "turn:h", "turn:h,u", "stun:", "stun:h:x"])
def test_what_is_no_server_is_an_error(text: str) -> None:
    with pytest.raises(InputError):
        IceServer.parse(text)


def test_relay_only_needs_a_relay() -> None:
    with pytest.raises(InputError):
        IceConfig((IceServer("stun:h"),), relay_only=True)


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_a_call_goes_through_the_relay_alone(turn_port: int, transport: str) -> None:
    line = Line()
    line.peer = Peer(line.listener, line.queue, clock=line.clock, metrics=line.metrics, ice=relay(turn_port, transport))
    answers: list[str] = []

    async def answer(sdp: str, type: str) -> dict[str, str]:
        given = await line.peer.answer(sdp, type)
        answers.append(given["sdp"])
        return given

    tone = (0.5 * np.sin(2 * np.pi * 440 * np.arange(24_000) / 24_000)).astype(np.float32)
    async with Caller(answer, clock=MonotonicClock(), metrics=Metrics()) as caller:
        line.queue.push(tone)
        await until(lambda: np.abs(caller.recording()).max(initial=0) > 0.3, 30)
        caller.say(tone)
        await until(lambda: any(np.abs(samples).max() > 0.3 for samples in line.listener.samples), 30)
    offered = [text for text in answers[0].splitlines() if text.startswith("a=candidate")]
    assert offered and all(" typ relay " in text for text in offered)
    await line.peer.close()


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_the_check_finds_that_the_relay_works(turn_port: int, transport: str) -> None:
    found = await findings(relay(turn_port, transport))
    assert [finding.works for finding in found.values()] == [True, True, True]


async def test_the_check_finds_our_address_as_others_see_it(turn_port: int) -> None:
    url = f"stun:127.0.0.1:{turn_port}"
    found = await findings(IceConfig((IceServer(url), IceServer("stun:127.0.0.1:9"))))
    assert found[url].works and "127.0.0.1" in found[url].found
    assert "not used" in found["stun:127.0.0.1:9"].found


async def test_the_check_says_why_a_relay_does_not_work(turn_port: int) -> None:
    wrong = await findings(relay(turn_port, "udp", "wrong"))
    assert ["401" in finding.found for finding in wrong.values()] == [False, True]
    closed = await findings(relay(free_port(), "tcp"))
    assert "unreachable" in list(closed.values())[1].found
    nowhere = await findings(IceConfig((IceServer("turn:nowhere.invalid", "u", "p"),)))
    assert "no host" in nowhere["turn:nowhere.invalid"].found
    for found in (wrong, closed, nowhere):
        assert not list(found.values())[1].works and list(found.values())[1].remedy
