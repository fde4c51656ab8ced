"""An echo made with FastRTC: its handler hands every frame back."""

import asyncio
import socket
from typing import Any

from fastapi import FastAPI
from fastrtc import AsyncStreamHandler, Stream
from uvicorn import Config, Server

from rtc_voice.rtc.aiortc_private import use_loopback_when_alone


class Echo(AsyncStreamHandler):
    """Gives back what it receives, in frames of 20 ms."""

    def __init__(self) -> None:
        super().__init__(
            expected_layout="mono", output_sample_rate=24_000, input_sample_rate=24_000, output_frame_size=480
        )
        self._frames: asyncio.Queue[Any] = asyncio.Queue()

    def copy(self) -> "Echo":
        """One for each call."""
        return Echo()

    async def start_up(self) -> None:
        """Nothing to prepare."""

    async def receive(self, frame: tuple[int, Any]) -> None:
        """Keep a frame."""
        self._frames.put_nowait(frame)

    async def emit(self) -> Any:
        """The next frame."""
        return await self._frames.get()


def free_port() -> int:
    """A port that nobody listens on just now."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def main() -> None:
    """Serve until terminated."""
    use_loopback_when_alone()
    app = FastAPI()
    Stream(Echo(), modality="audio", mode="send-receive", concurrency_limit=10).mount(app)
    port = free_port()
    print(f"http://127.0.0.1:{port}", flush=True)
    Server(Config(app, host="127.0.0.1", port=port, log_level="error")).run()


if __name__ == "__main__":
    main()
