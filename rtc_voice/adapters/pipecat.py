"""A face's voice for Pipecat: ``FaceVoice`` finds it in the user's video, ``FaceTTSService`` speaks in it."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any

import av
import numpy as np
from pipecat.frames.frames import (
    ErrorFrame,
    Frame,
    InputAudioRawFrame,
    InputImageRawFrame,
    InterruptionFrame,
    OutputAudioRawFrame,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.services.settings import TTSSettings
from pipecat.services.tts_service import TTSService

from rtc_voice.api import Outlet, Voice
from rtc_voice.config import AUDIO
from rtc_voice.errors import NoFaceError, RtcVoiceError
from rtc_voice.faces.types import Picture
from rtc_voice.rtc.playout import Samples
from rtc_voice.synthesis.engine import VoiceStream
from rtc_voice.voices.predictor import PredictorName


class FaceVoice(FrameProcessor):
    """Looks for a face in the user's pictures until it has its voice; everything passes through.

    Put it behind the transport's input. Nothing is looked at or listened to without consent.

    Args:
        has_consent: whether the user has agreed already; else see ``consent``.
        convert: also speak what the user says in the voice, live, as ``OutputAudioRawFrame``.
        predictor: from face to voice.
    """

    def __init__(
        self, *, has_consent: bool = False, convert: bool = False, predictor: PredictorName = "learned", **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.voice: Voice | None = None
        self._has_consent = has_consent
        self._convert = convert
        self._predictor = predictor
        self._looking: asyncio.Task[None] | None = None
        self._speaking: asyncio.Task[None] | None = None
        self._stream: VoiceStream | None = None
        self._resampler = av.AudioResampler(format="flt", layout="mono", rate=AUDIO.sample_rate)

    def can_generate_metrics(self) -> bool:
        """Time to first audio of live conversion."""
        return True

    async def consent(self, granted: bool) -> None:
        """The user allows their face and voice to be used, or takes that back: then the voice is forgotten."""
        self._has_consent = granted
        if not granted:
            await self._forget()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Look, listen, and pass the frame on."""
        await super().process_frame(frame, direction)
        if isinstance(frame, InputImageRawFrame) and self._has_consent:
            self._look(frame)
        elif isinstance(frame, InputAudioRawFrame) and self._convert and self.voice is not None:
            await self._hear(frame, self.voice)
        elif isinstance(frame, InterruptionFrame) and self._stream is not None:
            self._stream.stop_hearing()
        await self.push_frame(frame, direction)

    async def cleanup(self) -> None:
        """Let go of everything; not at the ``EndFrame``, behind which others may still speak in the voice."""
        await self._forget()
        await super().cleanup()

    def _look(self, frame: InputImageRawFrame) -> None:
        if self.voice is None and self._looking is None:  # one picture at a time: the others are let pass
            self._looking = self.create_task(self._find(_picture(frame)))

    async def _find(self, picture: Picture) -> None:
        try:
            voice = await Voice.from_photo(picture, self._predictor).__aenter__()
        except NoFaceError:
            pass  # the next picture may show one
        else:
            self.voice = voice
        finally:
            self._looking = None

    async def _hear(self, frame: InputAudioRawFrame, voice: Voice) -> None:
        if self._stream is None:
            outlet = Outlet()
            self._stream = voice.open_stream(outlet)
            self._speaking = self.create_task(self._speak(outlet))
            await self.start_ttfb_metrics()
        for samples in self._samples(frame):
            self._stream.hear(samples)

    async def _speak(self, outlet: Outlet) -> None:
        while (samples := await outlet.next()) is not None:
            await self.stop_ttfb_metrics()
            pcm = (np.clip(samples, -1, 1) * 32767).astype(np.int16).tobytes()
            await self.push_frame(OutputAudioRawFrame(pcm, AUDIO.sample_rate, 1))

    def _samples(self, frame: InputAudioRawFrame) -> list[Samples]:
        pcm = np.frombuffer(frame.audio, np.int16).reshape(1, -1)
        layout = "mono" if frame.num_channels == 1 else "stereo"
        heard = av.AudioFrame.from_ndarray(pcm, format="s16", layout=layout)
        heard.sample_rate = frame.sample_rate
        return [part.to_ndarray()[0].astype(np.float32) for part in self._resampler.resample(heard)]

    async def _forget(self) -> None:
        for task in (self._looking, self._speaking):
            if task is not None:
                await self.cancel_task(task)
        self._looking = self._speaking = None
        if self._stream is not None:
            self._stream.close()
            self._stream = None
        voice, self.voice = self.voice, None
        if voice is not None:
            await voice.__aexit__(None, None, None)


class FaceTTSService(TTSService):
    """Speaks in a voice that has been entered, or in the one that a ``FaceVoice`` has found.

    Time to first audio is Pipecat's ``TTFBMetricsData``. A text that cannot be spoken is an ``ErrorFrame``.
    """

    def __init__(self, voice: Voice | FaceVoice, **kwargs: Any) -> None:
        settings = TTSSettings(model="rtc_voice", voice=None, language=None)
        super().__init__(push_start_frame=True, push_stop_frames=True, settings=settings, **kwargs)
        self._source = voice

    def can_generate_metrics(self) -> bool:
        """Time to first byte, and characters."""
        return True

    async def run_tts(self, text: str, context_id: str) -> AsyncGenerator[Frame | None, None]:
        """``text`` as frames, as soon as they are made."""
        try:
            voice = self._source.voice if isinstance(self._source, FaceVoice) else self._source
            if voice is None:
                raise NoFaceError("there is no voice yet", "ask for consent, and have the user look into the camera")
            await self.start_tts_usage_metrics(text)
            speech = self._stream_audio_frames_from_iterator(
                _pcm(voice, text), in_sample_rate=AUDIO.sample_rate, context_id=context_id
            )
            async for frame in speech:
                await self.stop_ttfb_metrics()
                yield frame
        except RtcVoiceError as error:
            yield ErrorFrame(error=str(error))
        finally:
            await self.stop_ttfb_metrics()


async def _pcm(voice: Voice, text: str) -> AsyncIterator[bytes]:
    async with aclosing(voice.say(text)) as frames:
        async for frame in frames:
            yield frame.to_ndarray().tobytes()


def _picture(frame: InputImageRawFrame) -> Picture:
    width, height = frame.size
    image = np.frombuffer(frame.image, np.uint8).reshape(height, width, -1)
    if image.shape[2] not in (3, 4) or frame.format not in ("RGB", "RGBA", None):
        raise ValueError(f"pictures come as RGB, not as {frame.format}")
    return image[..., :3]
