"""A face's voice for FastRTC: ``VoiceHandler`` converts what callers say, ``FaceTTS`` speaks texts."""

import asyncio
import os
from collections.abc import AsyncGenerator, Generator
from contextlib import aclosing
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Gradio, which FastRTC brings along, reports its use to its maker unless this is set before it is loaded.
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

from fastrtc import AsyncStreamHandler
from fastrtc.text_to_speech.tts import TTSOptions

from rtc_voice.api import Outlet, Voice
from rtc_voice.config import AUDIO
from rtc_voice.rtc.tracks import audio_frame
from rtc_voice.synthesis.engine import VoiceStream

Sound = tuple[int, NDArray[np.int16]]
"""What FastRTC passes around: Hz, and samples ``[1, T]``."""


class VoiceHandler(AsyncStreamHandler):
    """Gives each caller of a ``Stream`` back what they say, live, in ``voice``, which must have been entered.

    More callers than ``rtc_voice.api.MAX_STREAMS`` are FastRTC's ``WebRTCError`` with our remedy in it.
    """

    def __init__(self, voice: Voice) -> None:
        super().__init__("mono", input_sample_rate=AUDIO.sample_rate, output_sample_rate=AUDIO.sample_rate)
        self.voice = voice
        self._outlet: Outlet | None = None
        self._stream: VoiceStream | None = None

    def copy(self) -> "VoiceHandler":
        """One for each call."""
        return VoiceHandler(self.voice)

    async def receive(self, frame: Sound) -> None:
        """Hear what the caller says."""
        if self._stream is not None:
            self._stream.hear(frame[1].reshape(-1).astype(np.float32) / 32768)

    async def emit(self) -> Sound | None:
        """The next of it in the voice; None when nothing more comes."""
        if self._outlet is None:
            self._outlet = Outlet()
            self._stream = self.voice.open_stream(self._outlet)
        samples = await self._outlet.next()
        if samples is None:
            return None
        return AUDIO.sample_rate, audio_frame(samples, 0, AUDIO.sample_rate).to_ndarray()

    def shutdown(self) -> None:
        """The caller is gone."""
        if self._stream is not None:
            self._stream.close()


@dataclass
class FaceTTSOptions(TTSOptions):
    """What may be said of one text."""

    language: str | None = None  # ISO 639-1; None goes by the text's letters


class FaceTTS:
    """A ``TTSModel`` of FastRTC's that speaks in ``voice``, which must have been entered.

    Each method raises ``TextError`` when nothing in the text can be spoken.
    """

    def __init__(self, voice: Voice) -> None:
        self.voice = voice

    def tts(self, text: str, options: FaceTTSOptions | None = None) -> Sound:
        """The whole of ``text``; not for the event loop."""
        return AUDIO.sample_rate, np.concatenate([part for _, part in self.stream_tts_sync(text, options)], axis=1)

    async def stream_tts(self, text: str, options: FaceTTSOptions | None = None) -> AsyncGenerator[Sound, None]:
        """``text`` in parts, as soon as they are made."""
        async with aclosing(self.voice.say(text, options.language if options else None)) as frames:
            async for frame in frames:
                yield AUDIO.sample_rate, frame.to_ndarray()

    def stream_tts_sync(self, text: str, options: FaceTTSOptions | None = None) -> Generator[Sound, None, None]:
        """The same for handlers that are no coroutines; not for the event loop."""
        parts = self.stream_tts(text, options)

        async def take() -> Sound | None:
            return await anext(parts, None)

        with asyncio.Runner() as runner:
            try:
                while (part := runner.run(take())) is not None:
                    yield part
            finally:
                runner.run(parts.aclose())
