"""The plain API: a photo speaks text and converts tracks, in frames that aiortc takes."""

import asyncio
from collections.abc import AsyncIterator

import av
import numpy as np
import pytest
import pytest_asyncio
from aiortc.mediastreams import MediaStreamError

import rtc_voice
from rtc_voice import Voice, VoiceTrack
from rtc_voice.errors import CapacityError, InputError, NoFaceError, TextError
from rtc_voice.metrics import Metrics
from rtc_voice.rtc.playout import ChunkQueue, Samples
from rtc_voice.rtc.tracks import SpeechTrack
from rtc_voice.selfcall import PORTRAIT, speech
from rtc_voice.timing import MonotonicClock
from tests.waiting import until

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

LOUD = 0.02


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def voice() -> AsyncIterator[Voice]:
    async with Voice.from_photo(PORTRAIT) as voice:
        yield voice


def sound(frame: av.AudioFrame) -> Samples:
    samples: Samples = frame.to_ndarray()[0] / np.float32(32_767)
    return samples


async def receive(track: VoiceTrack, heard: list[Samples]) -> None:
    """What aiortc does with a track that it sends."""
    while True:
        heard.append(sound(await track.recv()))


async def test_a_text_comes_as_frames_without_gaps(voice: Voice) -> None:
    frames = [frame async for frame in voice.say("One. Two.")]
    assert {(f.format.name, f.layout.name, f.sample_rate) for f in frames} == {("s16", "mono", 24_000)}
    assert max(f.samples for f in frames) == 480
    places = np.cumsum([0, *(f.samples for f in frames)])
    assert [f.pts for f in frames] == places[:-1].tolist()
    assert np.count_nonzero(np.abs(np.concatenate([sound(f) for f in frames])) > LOUD) > 2000


async def test_whoever_listens_no_more_frees_the_place(voice: Voice) -> None:
    for _ in range(rtc_voice.api.MAX_STREAMS + 1):
        spoken = voice.say("A sentence that nobody hears to its end.")
        await anext(spoken)
        await spoken.aclose()
    assert [frame async for frame in voice.say("One.")]


async def test_what_cannot_be_said_is_an_error_with_a_remedy(voice: Voice) -> None:
    with pytest.raises(TextError) as caught:
        [frame async for frame in voice.say("…")]
    assert caught.value.hint
    track = VoiceTrack(voice)
    with pytest.raises(TextError):
        await track.say("…")
    await track.wait_for_playout()  # nothing is
    track.stop()


async def test_a_track_plays_texts_and_tells_when_they_are_played(voice: Voice) -> None:
    track, heard = VoiceTrack(voice), list[Samples]()
    async with asyncio.TaskGroup() as group:
        receiving = group.create_task(receive(track, heard))
        await track.say("One.")
        await track.say("Two.")
        await track.wait_for_playout()
        receiving.cancel()
    loud = [np.abs(part).max() > LOUD for part in heard]
    assert sum(loud) > 20
    track.stop()
    with pytest.raises(MediaStreamError):
        await track.recv()


async def test_a_cleared_queue_is_silent_and_has_nothing_to_wait_for(voice: Voice) -> None:
    track, heard = VoiceTrack(voice), list[Samples]()
    await track.say("This is a long sentence that nobody will hear to its end.")
    async with asyncio.TaskGroup() as group:
        receiving = group.create_task(receive(track, heard))
        await until(lambda: any(np.abs(part).max() > LOUD for part in heard))
        track.clear_queue()
        await track.wait_for_playout()
        heard.clear()
        await until(lambda: len(heard) >= 25)  # half a second, in which more would come
        receiving.cancel()
    track.stop()
    assert max(float(np.abs(part).max()) for part in heard[1:]) < LOUD


async def test_a_track_is_converted_and_ends_with_its_source(voice: Voice) -> None:
    clock, queue = MonotonicClock(), ChunkQueue(24_000, 100)
    queue.push(speech("We were away."))
    source = SpeechTrack(queue, clock, Metrics())
    converted, heard = voice.convert(source), list[Samples]()
    with pytest.raises(MediaStreamError):
        while True:
            heard.append(sound(await converted.recv()))
            if len(heard) == 75:
                source.stop()
    assert sum(np.abs(part).max() > LOUD for part in heard) > 10


async def test_more_streams_than_there_are_places_is_an_error_with_a_remedy(voice: Voice) -> None:
    tracks = [VoiceTrack(voice) for _ in range(rtc_voice.api.MAX_STREAMS)]
    with pytest.raises(CapacityError) as caught:
        VoiceTrack(voice)
    assert caught.value.hint
    for track in tracks:
        track.stop()
    VoiceTrack(voice).stop()  # there is room again


async def test_a_picture_of_nobody_is_an_error_on_entering() -> None:
    with pytest.raises(NoFaceError):
        async with Voice.from_photo(PORTRAIT.with_name("coffee.jpg")):
            pass


async def test_a_text_engine_may_be_chosen_and_the_language_named(voice: Voice) -> None:
    assert voice.languages == ["en"]
    async with Voice.from_photo(PORTRAIT, text_engines=["hibari", "hibari"]) as other:  # named, as many as one likes
        assert [frame async for frame in other.say("One.", "en-GB")]
        with pytest.raises(TextError, match="'de'") as caught:
            [frame async for frame in other.say("Eins.", "de")]
        assert "spoken here: en" in caught.value.hint


async def test_a_text_engine_that_is_not_there_is_an_error_on_entering_that_leaves_nothing_behind(voice: Voice) -> None:
    users = rtc_voice.api._Shared._users
    with pytest.raises(InputError) as caught:
        await Voice.from_photo(PORTRAIT, text_engines=["festival"]).__aenter__()
    assert "known: hibari" in caught.value.hint
    assert rtc_voice.api._Shared._users == users
