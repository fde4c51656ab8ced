"""The adapter in the real Pipecat, run by its own test utilities."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence

import numpy as np
import pytest
import pytest_asyncio
from pipecat.frames.frames import (
    ErrorFrame,
    Frame,
    InputAudioRawFrame,
    InputImageRawFrame,
    MetricsFrame,
    OutputAudioRawFrame,
    TTSAudioRawFrame,
    TTSSpeakFrame,
    TTSStartedFrame,
    TTSStoppedFrame,
)
from pipecat.metrics.metrics import TTFBMetricsData
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.tests.utils import run_test

from rtc_voice import Voice
from rtc_voice.adapters.pipecat import FaceTTSService, FaceVoice
from rtc_voice.faces.picture import read_picture
from rtc_voice.selfcall import PORTRAIT, speech
from tests.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="module")

MEASURED = PipelineParams(audio_in_sample_rate=16_000, audio_out_sample_rate=24_000, enable_metrics=True)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def voice() -> AsyncIterator[Voice]:
    async with Voice.from_photo(PORTRAIT) as voice:
        yield voice


def picture(name: str) -> InputImageRawFrame:
    image = read_picture(PORTRAIT.with_name(name))
    return InputImageRawFrame(image.tobytes(), (image.shape[1], image.shape[0]), "RGB")


def loud(frames: Sequence[Frame]) -> int:
    """Samples that are heard."""
    sound = [np.frombuffer(frame.audio, np.int16) for frame in frames if isinstance(frame, OutputAudioRawFrame)]
    return int(np.count_nonzero(np.abs(np.concatenate(sound)) > 650)) if sound else 0


class WaitForVoice(FrameProcessor):
    """Holds what is to be said until a face has been found."""

    def __init__(self, faces: FaceVoice) -> None:
        super().__init__()
        self._faces = faces

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, TTSSpeakFrame):
            await until(lambda: self._faces.voice, 60)
        await self.push_frame(frame, direction)


class Talker(FrameProcessor):
    """Says something into a microphone once a face has been found, and holds the end back until it is heard."""

    def __init__(self, faces: FaceVoice, ears: "Ears") -> None:
        super().__init__()
        self._faces = faces
        self._ears = ears

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, TTSSpeakFrame):
            await until(lambda: self._faces.voice, 60)
            said = (speech(frame.text)[::3] * 16_000).astype(np.int16)  # 8 kHz
            for part in np.array_split(said, len(said) // 160):
                await self.push_frame(InputAudioRawFrame(part.tobytes(), 8_000, 1))
                await asyncio.sleep(0.02)  # as a microphone does
            await until(lambda: loud(self._ears.heard) > 1000)
        await self.push_frame(frame, direction)


class Ears(FrameProcessor):
    """Keeps what passes."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[Frame] = []

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        self.heard.append(frame)
        await self.push_frame(frame, direction)


async def test_a_text_is_spoken_and_time_to_first_audio_measured(
    voice: Voice, record_property: Callable[[str, object], None]
) -> None:
    frames, _ = await run_test(
        FaceTTSService(voice), frames_to_send=[TTSSpeakFrame("Good morning.")], pipeline_params=MEASURED
    )
    kinds = [type(frame) for frame in frames]
    assert kinds.index(TTSStartedFrame) < kinds.index(TTSAudioRawFrame) < kinds.index(TTSStoppedFrame)
    assert {frame.sample_rate for frame in frames if isinstance(frame, TTSAudioRawFrame)} == {24_000}
    assert loud(frames) > 3000
    (first_audio_s,) = times_to_first_audio(frames)
    record_property("first_audio_ms", 1000 * first_audio_s)


async def test_what_cannot_be_spoken_is_an_error_frame_with_the_remedy(voice: Voice) -> None:
    _, upstream = await run_test(FaceTTSService(voice), frames_to_send=[TTSSpeakFrame("…!")])
    assert any("write English" in frame.error for frame in upstream if isinstance(frame, ErrorFrame))


async def test_the_voice_is_that_of_the_face_in_the_video() -> None:
    faces = FaceVoice(has_consent=True)
    found: list[float] = []
    pipeline = Pipeline([faces, WaitForVoice(faces), tts := FaceTTSService(faces)])

    @tts.event_handler("on_tts_request")
    async def on_request(service: FaceTTSService, context_id: str, text: str) -> None:
        assert faces.voice is not None
        found.append(faces.voice.properties.f0_hz)

    frames, _ = await run_test(
        pipeline, frames_to_send=[picture("astronaut.jpg"), TTSSpeakFrame("Good morning.")], pipeline_params=MEASURED
    )
    assert loud(frames) > 3000
    async with Voice.from_photo(PORTRAIT) as expected:
        assert found == [expected.properties.f0_hz]
    assert faces.voice is None  # let go at the end


async def test_without_consent_nothing_is_looked_at_and_with_it_nobody_has_no_voice() -> None:
    for has_consent, name in ((False, "astronaut.jpg"), (True, "coffee.jpg")):
        faces = FaceVoice(has_consent=has_consent)
        pipeline = Pipeline([faces, FaceTTSService(faces)])
        _, upstream = await run_test(pipeline, frames_to_send=[picture(name), TTSSpeakFrame("Good morning.")])
        assert any("no voice yet" in frame.error for frame in upstream if isinstance(frame, ErrorFrame))


async def test_live_speech_is_converted_and_measured(record_property: Callable[[str, object], None]) -> None:
    faces, ears = FaceVoice(has_consent=True, convert=True), Ears()
    frames, _ = await run_test(
        Pipeline([Talker(faces, ears), faces, ears]),
        frames_to_send=[picture("astronaut.jpg"), TTSSpeakFrame("We were away a year ago.")],
        pipeline_params=MEASURED,
    )
    assert {one.sample_rate for one in frames if isinstance(one, OutputAudioRawFrame)} == {24_000}
    (first_audio_s,) = times_to_first_audio(frames)
    record_property("first_audio_ms", 1000 * first_audio_s)


def times_to_first_audio(frames: Sequence[Frame]) -> list[float]:
    """What Pipecat has measured, in seconds."""
    data = [one for frame in frames if isinstance(frame, MetricsFrame) for one in frame.data]
    return [one.value for one in data if isinstance(one, TTFBMetricsData) and one.value > 0]
