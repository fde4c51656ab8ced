"""An echo made with aiortc as it comes: what a participant sends goes back to them."""

import asyncio
from typing import Any

import av
from aiohttp import web
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamTrack
from av.frame import Frame

from benchmarks.peers.address import announce
from rtc_voice.rtc.aiortc_private import use_loopback_when_alone


class Counted(MediaStreamTrack):
    """A track as it is, with the number of frames that passed."""

    kind = "audio"

    def __init__(self, track: MediaStreamTrack, counts: dict[str, int]) -> None:
        super().__init__()
        self._track = track
        self._counts = counts

    async def recv(self) -> "Frame | av.Packet[Any]":
        """The next frame."""
        frame = await self._track.recv()
        self._counts["played_packets"] += 1
        return frame


class Echo:
    """All calls, with what they received and played."""

    def __init__(self) -> None:
        self._calls: set[RTCPeerConnection] = set()
        self._counts = {"played_packets": 0}

    async def offer(self, request: web.Request) -> web.Response:
        """Answer an offer."""
        body = await request.json()
        pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._calls.add(pc)

        @pc.on("track")
        def on_track(track: MediaStreamTrack) -> None:
            if track.kind == "audio":
                pc.addTrack(Counted(track, self._counts))

        @pc.on("connectionstatechange")
        async def on_state() -> None:
            if pc.connectionState in ("failed", "closed"):
                self._calls.discard(pc)
                await pc.close()

        await pc.setRemoteDescription(RTCSessionDescription(body["sdp"], body["type"]))
        await pc.setLocalDescription(await pc.createAnswer())
        return web.json_response({"sdp": pc.localDescription.sdp, "type": pc.localDescription.type})

    async def health(self, request: web.Request) -> web.Response:
        """How many frames went back in all calls, and how many calls stand."""
        return web.json_response({**self._counts, "calls": len(self._calls)})


def main() -> None:
    """Serve until terminated."""
    use_loopback_when_alone()
    echo = Echo()
    app = web.Application()
    app.router.add_post("/offer", echo.offer)
    app.router.add_get("/health", echo.health)
    asyncio.run(announce(app))


if __name__ == "__main__":
    main()
