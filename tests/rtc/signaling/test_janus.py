"""Rooms of a real Janus: two of us in one room, one speaks and the other hears."""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from rtc_voice.errors import InputError, ProtocolError
from rtc_voice.metrics import Metrics
from rtc_voice.rtc.playout import ChunkQueue
from rtc_voice.rtc.signaling import janus_session
from rtc_voice.rtc.signaling.janus import FIRST_PAUSE_S, LAST_PAUSE_S, JanusAddress, JanusRoom, pause_s
from rtc_voice.timing import MonotonicClock
from tests.rooms.servers import LOCKED, OTHER_CODEC, PIN, ROOM, SMALL, JanusServer
from tests.rtc.signaling.attendee import TONE, Attendee, until


class Guest(Attendee):
    """Somebody in a room of Janus."""

    def __init__(self, janus: JanusServer, name: str, room: int | str = ROOM, more: str = "") -> None:
        super().__init__()
        address = JanusAddress.parse(f"janus+{janus.url}?room={room}&name={name}{more}")
        self.metrics = Metrics()
        self.room = JanusRoom(address, clock=MonotonicClock(), metrics=self.metrics)


@asynccontextmanager
async def inside(*guests: Guest) -> AsyncIterator[None]:
    try:
        for guest in guests:
            await guest.room.join(guest)
        yield
    finally:
        for guest in guests:
            await guest.room.leave()


async def hears(speaker: Guest, listener: Guest, name: str) -> None:
    """The listener subscribes to what the speaker has published as ``name``, and hears the tone."""
    await until(lambda: name in listener.there)
    listener.loudest = 0.0
    link = await listener.room.subscribe(listener.there[name], listener)
    await until(lambda: listener.loudest > 0.3, lambda: speaker.queue.push(TONE))
    await listener.room.retract(link)


async def test_what_one_publishes_another_hears_and_own_voices_are_no_participants(janus: JanusServer) -> None:
    speaker, listener = Guest(janus, "speaker"), Guest(janus, "listener")
    async with inside(speaker, listener):
        link = await speaker.room.publish("Ann · voice", speaker.queue)
        await hears(speaker, listener, "Ann · voice")
        assert not speaker.there
        await speaker.room.retract(link)
        await until(lambda: not listener.there)


async def test_the_chat_goes_to_everybody_with_the_writer_known(janus: JanusServer) -> None:
    one, other = Guest(janus, "one"), Guest(janus, "other")
    async with inside(one, other):
        await until(lambda: one.texts, lambda: other.room.chat("hello"))
        assert one.texts[0][1] == "hello"


async def test_one_broken_link_breaks_no_other(janus: JanusServer) -> None:
    speaker, listener = Guest(janus, "speaker"), Guest(janus, "listener")
    other = ChunkQueue(24_000, 1_000)
    async with inside(speaker, listener):
        broken = await speaker.room.publish("broken", other)
        await speaker.room.publish("sound", speaker.queue)
        await broken.close()
        await hears(speaker, listener, "sound")


async def test_after_a_crash_of_the_server_both_are_back_and_heard(janus: JanusServer) -> None:
    speaker, listener = Guest(janus, "speaker"), Guest(janus, "listener")
    async with inside(speaker, listener):
        link = await speaker.room.publish("Ann · voice", speaker.queue)
        janus.kill()
        await until(lambda: speaker.told and listener.told)
        assert link.lost.is_set()
        with pytest.raises(ProtocolError):
            await speaker.room.publish("Ann · voice", speaker.queue)
        janus.start()
        await until(lambda: speaker.told == listener.told == ["away", "back"])
        await speaker.room.publish("Ann · voice", speaker.queue)
        await hears(speaker, listener, "Ann · voice")


@pytest.mark.parametrize(("room", "more"), [(999, ""), ("hall", ""), (LOCKED, ""), (LOCKED, "&pin=wrong")])
async def test_a_room_that_does_not_let_us_in_is_an_error_with_a_remedy(
    janus: JanusServer, room: int | str, more: str
) -> None:
    guest = Guest(janus, "guest", room, more)
    with pytest.raises(InputError) as refused:
        await guest.room.join(guest)
    assert refused.value.hint
    await guest.room.leave()


async def test_a_room_without_a_place_for_a_voice_says_so(janus: JanusServer) -> None:
    listener, first, last = (Guest(janus, name, SMALL) for name in ("listener", "first", "last"))
    async with inside(listener, first):
        # Janus counts only those whose media it has: what the others have heard of.
        link = await first.room.publish("Ann · voice", first.queue)
        await until(lambda: "Ann · voice" in listener.there)
        await until(lambda: listener.texts, lambda: first.room.chat("hello"))
        await until(lambda: first.texts, lambda: listener.room.chat("hello"))
        with pytest.raises(ProtocolError, match="no place for another voice .*--mix"):
            await first.room.publish("Ben · voice", first.queue)
        with pytest.raises(InputError, match="publishers"):
            await last.room.join(last)
        await first.room.retract(link)


async def test_a_room_without_opus_says_so(janus: JanusServer) -> None:
    guest = Guest(janus, "guest", OTHER_CODEC)
    async with inside(guest):
        with pytest.raises(ProtocolError, match="no Opus"):
            await guest.room.publish("Ann · voice", guest.queue)


async def test_a_room_with_a_pin_lets_us_in_with_it(janus: JanusServer) -> None:
    async with inside(Guest(janus, "guest", LOCKED, f"&pin={PIN}")):
        pass


async def test_a_janus_that_nobody_vouches_for_is_not_trusted(janus: JanusServer) -> None:
    address = JanusAddress.parse(f"janus+{janus.tls_url}?room={ROOM}")
    with pytest.raises(ProtocolError, match="certificate"):
        await JanusRoom(address, clock=MonotonicClock(), metrics=Metrics()).join(Guest.__new__(Guest))


async def test_where_no_janus_is_joining_says_so() -> None:
    address = JanusAddress.parse("janus+ws://127.0.0.1:9/?room=1")
    room = JanusRoom(address, clock=MonotonicClock(), metrics=Metrics())
    with pytest.raises(ProtocolError, match="no Janus answers"):
        await room.join(Guest.__new__(Guest))


async def test_a_server_that_hangs_is_told_from_one_that_is_not_there(
    monkeypatch: pytest.MonkeyPatch, unused_tcp_port: int
) -> None:
    monkeypatch.setattr(janus_session, "ANSWER_TIMEOUT_S", 0.1)
    address = JanusAddress.parse(f"janus+ws://127.0.0.1:{unused_tcp_port}/?room=1")
    with socket.create_server(("127.0.0.1", unused_tcp_port)):  # the system takes calls, and nobody answers
        with pytest.raises(ProtocolError, match="no answer from .* within"):
            await JanusRoom(address, clock=MonotonicClock(), metrics=Metrics()).join(Guest.__new__(Guest))


def test_an_address_names_server_room_and_name() -> None:
    address = JanusAddress.parse("janus+wss://meet.example:8989/ws?room=1234&name=Voice%20bot&pin=p&token=t")
    assert address == JanusAddress("wss://meet.example:8989/ws", 1234, "Voice bot", "p", {"token": "t"})
    assert JanusAddress.parse("janus+ws://h/?room=tea") == JanusAddress("ws://h/", "tea", "Voice")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ws://h/?room=1",
        "janus+ws:///?room=1",
        "janus+ws://h/",
        "janus+ws://h:x/?room=1",
        "janus+ws://h/?room=1&a=1",
    ],
)
def test_what_is_no_address_is_an_error(text: str) -> None:
    with pytest.raises(InputError):
        JanusAddress.parse(text)


def test_pauses_double_up_to_the_longest() -> None:
    pauses = [pause_s(tries) for tries in range(40)]
    assert all(0.8 * FIRST_PAUSE_S <= pause <= LAST_PAUSE_S for pause in pauses)
    assert min(pauses[5:]) >= 0.8 * LAST_PAUSE_S
