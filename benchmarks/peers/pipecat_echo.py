"""An echo made with Pipecat: a pipeline that leads from the transport's input to its output."""

import asyncio

from aiohttp import web
from pipecat.frames.frames import Frame, InputAudioRawFrame, OutputAudioRawFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.runner import PipelineRunner
from pipecat.pipeline.task import PipelineParams, PipelineTask
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.transports.base_transport import TransportParams
from pipecat.transports.smallwebrtc.connection import SmallWebRTCConnection
from pipecat.transports.smallwebrtc.transport import SmallWebRTCTransport

from benchmarks.peers.address import announce
from rtc_voice.rtc.aiortc_private import use_loopback_when_alone

RATE = 24_000  # Hz


class Turn(FrameProcessor):
    """What comes in goes out."""

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Turn sound round, and pass everything else on."""
        await super().process_frame(frame, direction)
        if isinstance(frame, InputAudioRawFrame):
            frame = OutputAudioRawFrame(frame.audio, frame.sample_rate, frame.num_channels)
        await self.push_frame(frame, direction)


class Echo:
    """All calls."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[None]] = set()

    async def offer(self, request: web.Request) -> web.Response:
        """Answer an offer."""
        body = await request.json()
        connection = SmallWebRTCConnection(ice_servers=[])
        await connection.initialize(sdp=body["sdp"], type=body["type"])
        task = asyncio.create_task(self._run(connection))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return web.json_response(connection.get_answer())

    async def _run(self, connection: SmallWebRTCConnection) -> None:
        params = TransportParams(
            audio_in_enabled=True, audio_out_enabled=True, audio_in_sample_rate=RATE, audio_out_sample_rate=RATE
        )
        transport = SmallWebRTCTransport(webrtc_connection=connection, params=params)
        pipeline = Pipeline([transport.input(), Turn(), transport.output()])
        rates = PipelineParams(audio_in_sample_rate=RATE, audio_out_sample_rate=RATE)
        await PipelineRunner(handle_sigint=False).run(PipelineTask(pipeline, params=rates))


def main() -> None:
    """Serve until terminated."""
    use_loopback_when_alone()
    app = web.Application()
    app.router.add_post("/api/offer", Echo().offer)
    asyncio.run(announce(app))


if __name__ == "__main__":
    main()
