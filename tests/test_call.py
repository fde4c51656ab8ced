"""A participant in a real call with the real bot: consent first, then faces, a voice, speech, knobs, forgetting."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import numpy as np
import pytest
import pytest_asyncio

from rtc_voice import call as call_module
from rtc_voice.bot import Bot, BotConfig
from rtc_voice.errors import AudioError, CapacityError, ConsentError, ProtocolError
from rtc_voice.faces.picture import read_picture
from rtc_voice.faces.types import Picture
from rtc_voice.load import FULL_LAG_S, SLOWER_S, WINDOW
from rtc_voice.metrics import Metrics
from rtc_voice.rtc.playout import Samples
from rtc_voice.rtc.protocol import Cancel, Consent, Forget, Hello, Inbound, Say, SetMode, SetVoice, dump
from rtc_voice.rtc.remote import Caller
from rtc_voice.selfcall import PORTRAIT, drift, pan, speech
from rtc_voice.speech.text import F0_HZ
from rtc_voice.timing import MonotonicClock
from tests.test_prometheus import samples
from tests.waiting import until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.usefixtures("loopback_only"),
]

NOBODY = PORTRAIT.with_name("coffee.jpg")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def bot() -> AsyncIterator[Bot]:
    async with Bot(BotConfig(max_calls=2)) as bot:
        yield bot


def calling(bot: Bot, pictures: Iterator[Picture] | None = None) -> Caller:
    async def open_call(sdp: str, type: str) -> dict[str, str]:
        _, answer = await bot.open_call(sdp, type)
        return dict(answer)

    shown = pictures or pan(read_picture(PORTRAIT))
    return Caller(open_call, clock=MonotonicClock(), metrics=Metrics(), pictures=shown)


@pytest_asyncio.fixture(autouse=True, loop_scope="module")
async def hung_up(bot: Bot) -> AsyncIterator[None]:
    """No call of an earlier test stands: the bot takes seconds to notice that its caller is gone."""
    yield
    for call_id in list(bot.calls):
        await bot.close_call(call_id)


async def get_voice(caller: Caller, *, frozen: bool = True) -> dict[str, object]:
    caller.send(Consent(True))
    async with asyncio.timeout(30):
        while True:
            state = await caller.message("state", 30)
            voice = state["voice"]
            if isinstance(voice, dict) and (voice["frozen"] or not frozen):
                return voice


async def answer_to(caller: Caller, message: Inbound) -> str:
    caller.send(message)
    error = await caller.message("error")
    assert error.get("id") == (message.id if isinstance(message, Say) else None)
    return str(error["code"])


async def events(caller: Caller, id: str, last: str) -> list[str]:
    seen: list[str] = []
    while last not in seen:
        message = await caller.message("speech", 30)
        if message["id"] == id:
            seen.append(str(message["event"]))
    return seen


def slower(samples: Samples) -> Samples:
    """1.4 times as long, and as much deeper."""
    places = np.arange(0, len(samples) - 1, 1 / 1.4)
    return np.asarray(np.interp(places, np.arange(len(samples)), samples), np.float32)


async def test_nothing_is_looked_at_or_said_before_consent(bot: Bot) -> None:
    async with calling(bot) as caller:
        assert "synthetic" in str((await caller.message("disclosure"))["text"])
        assert await answer_to(caller, Say("1", "Hello.")) == "consent-needed"
        assert await answer_to(caller, SetMode("convert")) == "consent-needed"
        await asyncio.sleep(1.0)  # a second of pictures arrives and must leave no trace
        state = next(iter(bot.calls.values())).state()
        assert (state.faces, state.voice, state.consent) == ([], None, False)


async def test_a_text_is_heard_in_the_voice_of_the_face(bot: Bot) -> None:
    async with calling(bot) as caller:
        voice = await get_voice(caller)
        caller.send(Say("1", "One. Two."))
        assert await events(caller, "1", "ended") == ["started", "ended"]
        heard = caller.recording()
        assert np.sqrt(np.mean(heard[np.abs(heard) > 0.01] ** 2)) > 0.02
        assert 70 < float(str(voice["f0_hz"])) < 320


async def test_a_text_waits_for_the_voice(bot: Bot) -> None:
    async with calling(bot) as caller:
        caller.send(Consent(True))
        caller.send(Say("early", "One."))
        assert await events(caller, "early", "ended") == ["started", "ended"]


async def test_cancel_stops_at_once_and_the_next_text_is_said(bot: Bot) -> None:
    async with calling(bot) as caller:
        await get_voice(caller, frozen=False)
        caller.send(Say("long", "This is a long sentence that nobody will ever hear to its very end, I am afraid."))
        assert (await caller.message("speech", 30))["event"] == "started"
        caller.send(Cancel("long"))
        caller.send(Say("next", "Yes."))
        assert await events(caller, "long", "cancelled") == ["cancelled"]
        assert await events(caller, "next", "ended") == ["started", "ended"]


async def test_knobs_change_the_voice_and_no_others_do_when_frozen(bot: Bot) -> None:
    async with calling(bot) as caller:
        voice = await get_voice(caller)
        await asyncio.sleep(0.5)
        call = next(iter(bot.calls.values()))
        assert call.state().voice == voice
        caller.send(SetVoice(pitch=12.0, size=1.2))
        async with asyncio.timeout(10):
            while (changed := (await caller.message("state"))["voice"]) == voice:
                pass
        assert isinstance(changed, dict)
        assert changed["f0_hz"] == pytest.approx(2 * float(str(voice["f0_hz"])), rel=0.01)
        assert changed["tract"] == pytest.approx(1.2 * float(str(voice["tract"])), rel=0.01)


async def test_a_redraw_gives_another_voice_and_zero_the_first_again(bot: Bot) -> None:
    async with calling(bot) as caller:
        await get_voice(caller)
        call = next(iter(bot.calls.values()))
        seen = []
        for draw in (1, 0):
            caller.send(SetVoice(redraw=draw))
            async with asyncio.timeout(10):
                while True:
                    voice = (await caller.message("state"))["voice"]
                    if isinstance(voice, dict) and voice["redraw"] == draw:
                        break
            person = call._people[call._own or 0]
            assert person.voice is not None
            seen.append(person.voice.embedding)
        assert float(seen[0] @ seen[1]) < 0.95


async def test_forget_takes_the_voice_and_the_consent(bot: Bot) -> None:
    async with calling(bot) as caller:
        caller.send(Hello("Somebody"))
        await get_voice(caller)
        await asyncio.sleep(0.2)
        caller.send(Forget())
        async with asyncio.timeout(10):
            while (state := await caller.message("state"))["consent"]:
                pass
        assert state["voice"] is None
        assert await answer_to(caller, Say("1", "Hello.")) == "consent-needed"
        call = next(iter(bot.calls.values()))
        await asyncio.get_running_loop().run_in_executor(call._parts.text_pool, lambda: None)
        assert call._parts.cache.get("Somebody", 0) is None


async def test_the_voice_is_remembered_for_the_next_call(bot: Bot) -> None:
    embeddings = []
    for _ in range(2):
        async with calling(bot) as caller:
            caller.send(Hello("Somebody else"))
            await get_voice(caller)
            call = next(iter(bot.calls.values()))
            await asyncio.get_running_loop().run_in_executor(call._parts.text_pool, lambda: None)
            await asyncio.sleep(0)
            person = call._people[call._own or 0]
            assert person.voice is not None
            embeddings.append(person.voice.embedding)
            await bot.close_call(call.id)
    np.testing.assert_array_equal(embeddings[0], embeddings[1])


async def test_a_recording_of_their_own_is_their_voice_until_they_want_the_faces_again(bot: Bot) -> None:
    deep = slower(speech("The weather is mild today, and we are walking along the river."))
    async with calling(bot) as caller:
        call = next(iter(bot.calls.values()))
        with pytest.raises(ConsentError) as caught:
            await call.use_recording(deep, 24_000)
        assert caught.value.hint
        of_the_face = await get_voice(caller)
        await call.use_recording(deep, 24_000)
        own = call.state().voice
        assert own is not None and own["source"] == "recording"
        assert abs(12 * np.log2(float(str(own["f0_hz"])) * 1.4 / F0_HZ)) < 2  # semitones
        caller.send(SetVoice(pitch=12))
        await until(lambda: (call.state().voice or {})["f0_hz"] == pytest.approx(2 * float(str(own["f0_hz"])), abs=1))
        caller.send(SetVoice(pitch=0))
        with pytest.raises(AudioError):
            await call.use_recording(np.zeros(6 * 24_000, np.float32), 24_000)
        assert (call.state().voice or {})["source"] == "recording"  # it stays
        call.drop_recording()
        await until(lambda: call.state().voice == {**of_the_face, "source": "face"})


async def test_a_recording_serves_who_shows_no_face(bot: Bot) -> None:
    spoken = speech("The weather is mild today, and we are walking along the river.")
    async with calling(bot, drift(read_picture(NOBODY), (0, 0, 1, 1))) as caller:
        call = next(iter(bot.calls.values()))
        caller.send(Consent(True))
        await until(lambda: call.state().consent)
        await call.use_recording(spoken, 24_000)
        caller.send(Say("1", "One."))
        assert await events(caller, "1", "ended") == ["started", "ended"]
        call.drop_recording()
        assert call.state().voice is None
        assert await answer_to(caller, SetVoice(pitch=1)) == "error"


async def test_consent_taken_back_while_a_recording_is_measured_keeps_nothing_of_it(bot: Bot) -> None:
    spoken = speech("The weather is mild today, and we are walking along the river.")
    async with calling(bot, drift(read_picture(NOBODY), (0, 0, 1, 1))):
        call = next(iter(bot.calls.values()))
        call.on_message(dump(Consent(True)))
        measuring = asyncio.create_task(call.use_recording(spoken, 24_000))
        await asyncio.sleep(0)
        call.on_message(dump(Consent(False)))
        call.on_message(dump(Consent(True)))  # a new consent is not one to the old recording
        with pytest.raises(ConsentError):
            await measuring
        assert call.state().voice is None


async def test_the_figures_for_prometheus_hold_what_calls_did(bot: Bot) -> None:
    before = samples(bot.figures({}))
    async with calling(bot) as caller:
        await get_voice(caller, frozen=False)
        caller.send(Say("1", "One."))
        await events(caller, "1", "ended")
        during = samples(bot.figures({}))
        assert during["rtc_voice_voices"] == 1
        await bot.close_call(next(iter(bot.calls)))
    after = samples(bot.figures({}))
    for name in ("time_to_first_audio", "time_to_voice"):
        count = f"rtc_voice_{name}_seconds_count"
        assert after[count] == during[count] == before[count] + 1  # a call's figures outlive it
    assert after["rtc_voice_voices"] == 0
    assert after["rtc_voice_engine_busy_seconds_total"] > before["rtc_voice_engine_busy_seconds_total"]


async def test_a_picture_without_a_face_gives_no_voice(bot: Bot) -> None:
    async with calling(bot, drift(read_picture(NOBODY), (0, 0, 1, 1))) as caller:
        caller.send(Consent(True))
        await asyncio.sleep(1.5)
        state = next(iter(bot.calls.values())).state()
        assert (state.faces, state.voice, state.consent) == ([], None, True)


async def test_who_writes_and_shows_no_face_is_told_why_nothing_is_said(
    bot: Bot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(call_module, "_PATIENCE_S", 0.5)
    async with calling(bot, drift(read_picture(NOBODY), (0, 0, 1, 1))) as caller:
        caller.send(Consent(True))
        caller.send(Say("1", "One."))
        error = await caller.message("error")
        assert error["code"] == "no-voice" and "camera" in str(error["hint"])


async def test_a_video_that_ends_before_a_face_is_said_and_the_call_goes_on(bot: Bot) -> None:
    async with calling(bot, drift(read_picture(NOBODY), (0, 0, 1, 1))) as caller:
        caller.send(Consent(True))
        await asyncio.sleep(0.5)
        for sender in caller._pc.getSenders():
            if sender.kind == "video":
                await sender.stop()
        assert (await caller.message("error"))["code"] == "video-ended"
        caller.send(Consent(False))
        async with asyncio.timeout(10):
            while (await caller.message("state"))["consent"]:
                pass


async def test_live_speech_comes_back_converted_and_off_is_silent(bot: Bot) -> None:
    tone = (0.3 * np.sign(np.sin(2 * np.pi * 150 * np.arange(24_000) / 24_000))).astype(np.float32)
    async with calling(bot) as caller:
        await get_voice(caller)
        caller.send(SetMode("convert"))
        caller.say(tone)
        await asyncio.sleep(1.5)
        assert np.abs(caller.recording()).max() > 0.05
        caller.send(SetMode("off"))
        assert await answer_to(caller, Say("1", "Hello.")) == "error"
        await asyncio.sleep(0.3)
        start = len(caller.heard)
        caller.say(tone)
        await asyncio.sleep(1.0)
        assert max(np.abs(h.samples).max() for h in list(caller.heard)[start:]) < 0.01


@pytest.mark.parametrize("face", [7, 123])
async def test_a_face_that_is_not_there_is_an_error(bot: Bot, face: int) -> None:
    async with calling(bot) as caller:
        await get_voice(caller, frozen=False)
        assert await answer_to(caller, Say("1", "Hello.", face)) == "error"


async def test_too_many_calls_are_refused_and_a_bad_offer_takes_no_place(bot: Bot) -> None:
    with pytest.raises(ProtocolError):
        await bot.open_call("nonsense", "offer")
    async with calling(bot), calling(bot):
        with pytest.raises(CapacityError):
            await bot.open_call("v=0", "offer")


async def test_a_call_beyond_the_voices_of_the_machine_is_refused_with_the_reason() -> None:
    async with Bot(BotConfig(max_calls=3, voices=1)) as bot:
        async with calling(bot) as caller, calling(bot) as early:
            await get_voice(caller, frozen=False)
            with pytest.raises(CapacityError, match="all 1 voices"):
                await bot.open_call("v=0", "offer")
            early.send(Consent(True))  # called before the voices were taken, and is told
            assert "all 1 voices" in str((await early.message("error", 30))["message"])
        await until(lambda: not bot.calls)
        bot.admit()


async def test_a_bot_with_too_much_to_do_refuses_calls_and_looks_at_fewer_pictures_but_speaks_on(bot: Bot) -> None:
    assert bot._parts is not None
    load = bot._parts.load
    async with calling(bot) as caller:
        await get_voice(caller, frozen=False)
        (call,) = bot.calls.values()
        for _ in range(WINDOW):
            load.add(bot.clock.now(), 0.5, 0.0, 0)
        with pytest.raises(CapacityError, match="behind"):
            await bot.open_call("v=0", "offer")
        seen = call._looked_s
        assert seen is not None
        await until(lambda: call._looked_s != seen)  # still, but after the longest interval
        assert call._looked_s is not None and call._looked_s - seen >= SLOWER_S
        assert call.metrics.counters["skipped_pictures"] > 0
        caller.send(Say("1", "Yes."))
        assert await events(caller, "1", "ended") == ["started", "ended"]
    await until(lambda: load.lag_s < FULL_LAG_S)


async def test_text_that_cannot_be_spoken_gets_an_error_and_the_next_is_said(bot: Bot) -> None:
    async with calling(bot) as caller:
        await get_voice(caller, frozen=False)
        assert await answer_to(caller, Say("1", "…!")) == "bad-text"
        caller.send(Say("2", "Yes."))
        assert await events(caller, "2", "ended") == ["started", "ended"]
