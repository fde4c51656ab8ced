"""The whole bot in a room of a real Janus: consent first, then a voice that everybody hears."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack

import pytest
import pytest_asyncio

from rtc_voice.bot import Bot, BotConfig
from rtc_voice.metrics import Metrics
from rtc_voice.room import Member, RoomBot, RoomConfig
from rtc_voice.rtc.signaling.janus import JanusAddress, JanusRoom
from tests.rooms.people import PATIENCE_S, Person
from tests.rooms.servers import OTHER_CODEC, ROOM, JanusServer
from tests.rtc.signaling.test_janus import Guest
from tests.waiting import until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.usefixtures("loopback_only"),
]

VOICE = "Ann · voice"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def bot() -> AsyncIterator[Bot]:
    async with Bot(BotConfig(max_calls=1)) as bot:
        yield bot


@pytest_asyncio.fixture(loop_scope="module")
async def listener(janus: JanusServer) -> AsyncIterator[Guest]:
    guest = Guest(janus, "listener")
    await guest.room.join(guest)
    yield guest
    await guest.room.leave()


@pytest_asyncio.fixture(loop_scope="module")
async def room(bot: Bot, janus: JanusServer) -> AsyncIterator[Callable[[RoomConfig], asyncio.Future[RoomBot]]]:
    entered: list[RoomBot] = []

    async def enter(config: RoomConfig) -> RoomBot:
        address = JanusAddress.parse(f"janus+{janus.url}?room={ROOM}&name=Voice")
        one = RoomBot(bot, JanusRoom(address, clock=bot.clock, metrics=Metrics()), config)
        entered.append(one)
        await one.join()
        return one

    yield lambda config: asyncio.ensure_future(enter(config))
    for one in entered:
        await one.leave()


def member(room: RoomBot, name: str) -> Member | None:
    return next((one for one in room.members.values() if one.name == name), None)


async def is_heard(listener: Guest, name: str) -> None:
    """The listener subscribes to the voice and hears it."""
    await until(lambda: name in listener.there, PATIENCE_S)
    listener.loudest = 0.0
    link = await listener.room.subscribe(listener.there[name], listener)
    await until(lambda: listener.loudest > 0.05, PATIENCE_S)
    await listener.room.retract(link)


async def test_who_agrees_in_the_chat_gets_a_voice_and_keeps_it_when_the_room_crashes(
    room: Callable[[RoomConfig], asyncio.Future[RoomBot]], janus: JanusServer, listener: Guest
) -> None:
    ours = await room(RoomConfig())
    async with Person(janus, "Ann") as ann, Person(janus, "Ben") as ben:
        await until(lambda: any("voice yes" in text for _, text in listener.texts), PATIENCE_S)
        ben.write("Nobody is to hear this.")
        ann.write("voice yes")
        ann.write("One. Two. Three. Four. Five. Six.")
        await is_heard(listener, VOICE)
        one = member(ours, "Ann")
        assert one is not None
        await until(lambda: (one.call.state().voice or {}).get("frozen"), PATIENCE_S)
        before = one.call.state().voice
        assert "Ben · voice" not in listener.there
        janus.kill()
        await until(lambda: not ours.members, PATIENCE_S)
    janus.start()
    async with Person(janus, "Ann") as ann:
        await until(lambda: member(ours, "Ann"), PATIENCE_S)
        await until(lambda: VOICE in listener.there, PATIENCE_S)  # without agreeing again
        ann.write("One. Two. Three. Four. Five. Six.")
        await is_heard(listener, VOICE)
        assert member(ours, "Ann") is one
        assert one.call.state().voice == before


async def test_who_finds_all_voices_taken_is_told_once_and_has_one_when_another_leaves(
    room: Callable[[RoomConfig], asyncio.Future[RoomBot]], janus: JanusServer, listener: Guest
) -> None:
    ours = await room(RoomConfig(consented=frozenset({"Ann", "Ben"})))
    async with AsyncExitStack() as first:
        await first.enter_async_context(Person(janus, "Ann"))
        await until(lambda: (ann := member(ours, "Ann")) and ann.call.state().voice, PATIENCE_S)
        async with Person(janus, "Ben") as ben:
            await until(lambda: told(listener), PATIENCE_S)
            for _ in range(5):  # at each picture it is tried again
                before = faces(ours, "Ben")
                await until(lambda: faces(ours, "Ben") != before, PATIENCE_S)  # noqa: B023 - called at once
            assert told(listener) == ["Ben: all 1 voices are in use (try again when someone has left)"]
            await first.aclose()
            ben.write("One. Two. Three. Four. Five. Six.")
            await is_heard(listener, "Ben · voice")


async def test_who_cannot_be_given_a_voice_is_told_once(bot: Bot, janus: JanusServer) -> None:
    address = JanusAddress.parse(f"janus+{janus.url}?room={OTHER_CODEC}&name=Voice")
    ours = RoomBot(bot, JanusRoom(address, clock=bot.clock, metrics=Metrics()), RoomConfig(frozenset({"Ann"})))
    listener = Guest(janus, "listener", OTHER_CODEC)
    await ours.join()
    await listener.room.join(listener)
    async with Person(janus, "Ann", OTHER_CODEC, kinds=("video",)):  # what aiortc sends is Opus
        await until(lambda: said(listener, "no Opus"), PATIENCE_S)
        await asyncio.sleep(6)  # two more tries
        assert len(said(listener, "no Opus")) == 1
    await ours.leave()
    await listener.room.leave()


def said(listener: Guest, part: str) -> list[str]:
    return [text for _, text in listener.texts if part in text]


def told(listener: Guest) -> list[str]:
    return [text for _, text in listener.texts if "in use" in text]


def faces(room: RoomBot, name: str) -> str:
    """Where their faces are now: different at each look, since they move."""
    one = member(room, name)
    return str(one and [face["box"] for face in one.call.state().faces])
