"""The adapter in the real FastRTC, called over WebRTC."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping

import httpx
import numpy as np
import pytest
import pytest_asyncio
from fastapi import FastAPI
from fastrtc import Stream, StreamHandler

from rtc_voice import Voice
from rtc_voice.adapters.fastrtc import FaceTTS, FaceTTSOptions, Sound, VoiceHandler
from rtc_voice.errors import TextError
from rtc_voice.metrics import Metrics
from rtc_voice.rtc.remote import Caller
from rtc_voice.selfcall import PORTRAIT, speech
from rtc_voice.timing import MonotonicClock
from tests.waiting import until

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("loopback_only")]

LOUD = 0.02
DIRECT = {"iceServers": []}  # else it asks a server of somebody's on the internet


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def voice() -> AsyncIterator[Voice]:
    async with Voice.from_photo(PORTRAIT) as voice:
        yield voice


def calling(stream: Stream, call_id: str) -> Caller:
    """A participant who calls ``stream`` where FastRTC takes offers."""
    app = FastAPI()
    stream.mount(app)

    async def open_call(sdp: str, type: str) -> Mapping[str, str]:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://here") as client:
            reply = await client.post("/webrtc/offer", json={"sdp": sdp, "type": type, "webrtc_id": call_id})
            answer: dict[str, str] = reply.json()
            return answer

    return Caller(open_call, clock=MonotonicClock(), metrics=Metrics())


class Greeter(StreamHandler):
    """Says good morning to each caller; FastRTC asks it for every part on whichever thread is free."""

    def __init__(self, tts: FaceTTS) -> None:
        super().__init__()
        self._tts = tts
        self._parts = tts.stream_tts_sync("Good morning.")

    def copy(self) -> "Greeter":
        return Greeter(self._tts)

    def receive(self, frame: Sound) -> None:
        pass

    def emit(self) -> Sound | None:
        part = next(self._parts, None)
        if part is None:
            time.sleep(0.02)  # FastRTC asks again at once, and would leave no time for anything else
        return part


def is_heard(caller: Caller) -> bool:
    return any(np.abs(heard.samples).max() > LOUD for heard in caller.heard)


async def test_what_a_caller_says_comes_back_in_the_voice_and_their_place_is_free_again(
    voice: Voice, record_property: Callable[[str, object], None]
) -> None:
    engine, said = voice._parts.engine, speech("We were away a year ago.")
    stream = Stream(VoiceHandler(voice), modality="audio", mode="send-receive", server_rtc_configuration=DIRECT)
    async with calling(stream, "one") as caller:
        await asyncio.sleep(0.5)
        assert not is_heard(caller)
        begin = asyncio.get_running_loop().time()
        caller.say(said)
        await until(lambda: is_heard(caller), 30)
        record_property("first_audio_ms", 1000 * (asyncio.get_running_loop().time() - begin))
        await until(lambda: np.count_nonzero(np.abs(caller.recording()) > LOUD) > 5_000, 30)
        assert engine.voices == 1
    stream.clean_up("one")  # FastRTC itself notices after seconds that a caller is gone
    assert engine.voices == 0


async def test_a_text_is_spoken_to_a_caller(voice: Voice) -> None:
    stream = Stream(Greeter(FaceTTS(voice)), modality="audio", server_rtc_configuration=DIRECT)
    async with calling(stream, "two") as caller:
        await until(lambda: np.count_nonzero(np.abs(caller.recording()) > LOUD) > 5_000, 30)
    stream.clean_up("two")


async def test_a_text_comes_whole_or_in_parts(voice: Voice) -> None:
    tts = FaceTTS(voice)
    parts = [part async for part in tts.stream_tts("One. Two.")]
    rate, whole = await asyncio.to_thread(tts.tts, "One. Two.", FaceTTSOptions("en"))
    assert rate == 24_000 and {rate for rate, _ in parts} == {24_000}
    assert len(parts) > 20 and whole.shape == (1, sum(part.shape[1] for _, part in parts))
    assert whole.dtype == np.int16 and np.count_nonzero(np.abs(whole) > 650) > 2000
    with pytest.raises(TextError, match="'de'"):
        await asyncio.to_thread(tts.tts, "Eins.", FaceTTSOptions("de"))
