"""A face's voice for LiveKit Agents: ``AgentSession(tts=TTS(voice))``."""

from contextlib import aclosing

from livekit.agents import DEFAULT_API_CONNECT_OPTIONS, APIConnectOptions, APIError, tts, utils

from rtc_voice.api import Voice
from rtc_voice.config import AUDIO
from rtc_voice.errors import CapacityError, RtcVoiceError


class TTS(tts.TTS):
    """Speaks in ``voice``, which must have been entered; 24 kHz mono.

    Time to first audio is ``ttfb`` of LiveKit's ``TTSMetrics``. A text that cannot be spoken is their ``APIError``.
    """

    def __init__(self, voice: Voice) -> None:
        super().__init__(
            capabilities=tts.TTSCapabilities(streaming=False), sample_rate=AUDIO.sample_rate, num_channels=1
        )
        self.voice = voice

    @property
    def model(self) -> str:
        """As it stands in metrics."""
        return "face"

    @property
    def provider(self) -> str:
        """As it stands in metrics."""
        return "rtc_voice"

    def synthesize(
        self, text: str, *, conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS
    ) -> tts.ChunkedStream:
        """``text`` as frames, as soon as they are made."""
        return _Speech(tts=self, input_text=text, conn_options=conn_options)


class _Speech(tts.ChunkedStream):
    async def _run(self, output_emitter: tts.AudioEmitter) -> None:
        assert isinstance(self._tts, TTS)
        output_emitter.initialize(
            request_id=utils.shortuuid(),
            sample_rate=AUDIO.sample_rate,
            num_channels=1,
            mime_type="audio/pcm",
            frame_size_ms=AUDIO.chunk_ms,
        )
        try:
            async with aclosing(self._tts.voice.say(self._input_text)) as frames:
                async for frame in frames:
                    output_emitter.push(frame.to_ndarray().tobytes())
        except RtcVoiceError as error:  # only a place in the engine can be had by trying again
            raise APIError(str(error), retryable=isinstance(error, CapacityError)) from error
        output_emitter.flush()
