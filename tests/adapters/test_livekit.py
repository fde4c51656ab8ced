"""The adapter in the real LiveKit Agents."""

from collections.abc import AsyncIterator, Callable

import numpy as np
import pytest
import pytest_asyncio
from livekit.agents import APIConnectOptions, APIError, tokenize
from livekit.agents.metrics import TTSMetrics
from livekit.agents.tts import StreamAdapter

from rtc_voice import Voice
from rtc_voice.adapters.livekit import TTS
from rtc_voice.selfcall import PORTRAIT

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def voice() -> AsyncIterator[Voice]:
    async with Voice.from_photo(PORTRAIT) as voice:
        yield voice


async def test_a_text_comes_as_their_frames_and_time_to_first_audio_as_their_metrics(
    voice: Voice, record_property: Callable[[str, object], None]
) -> None:
    tts, measured = TTS(voice), list[TTSMetrics]()
    tts.on("metrics_collected", measured.append)
    async with tts.synthesize("Good morning. How are you?") as stream:
        events = [event async for event in stream]
    assert events[-1].is_final
    assert {(e.frame.sample_rate, e.frame.num_channels) for e in events} == {(24_000, 1)}
    samples = np.concatenate([np.frombuffer(e.frame.data, np.int16) for e in events])
    assert np.count_nonzero(np.abs(samples) > 650) > 5000
    (metrics,) = measured
    assert 0 < metrics.ttfb < metrics.duration
    record_property("first_audio_ms", 1000 * metrics.ttfb)
    assert metrics.audio_duration == pytest.approx(len(samples) / 24_000)
    assert metrics.metadata is not None and metrics.metadata.model_provider == "rtc_voice"


async def test_what_an_agent_says_piece_by_piece_is_spoken_sentence_by_sentence(voice: Voice) -> None:
    adapter = StreamAdapter(tts=TTS(voice), sentence_tokenizer=tokenize.basic.SentenceTokenizer(min_sentence_len=4))
    async with adapter.stream() as stream:  # what AgentSession does with a TTS that takes whole texts
        for piece in ("Good mor", "ning. How ", "are you?"):
            stream.push_text(piece)
        stream.end_input()
        events = [event async for event in stream]
    assert sum(event.frame.duration for event in events) > 1.0


async def test_what_cannot_be_spoken_is_their_error_with_our_remedy_and_is_not_tried_again(voice: Voice) -> None:
    tts, errors = TTS(voice), list[object]()
    tts.on("error", errors.append)
    with pytest.raises(APIError, match="write English"):
        async with tts.synthesize("…", conn_options=APIConnectOptions(max_retry=3, retry_interval=60)) as stream:
            [event async for event in stream]
    assert len(errors) == 1
