"""A recording of the participant's own, whose voice they get instead of their face's.

``PUT /offer/CALL_ID/recording`` takes 5 to 20 s as WAV, 16-bit mono, and answers when the voice is there; ``DELETE``
goes back to the face's voice. Only its voice is kept, for the length of the call.
"""

from collections.abc import Callable
from typing import Protocol

from aiohttp import web

from rtc_voice.errors import AudioError
from rtc_voice.rtc.playout import Samples
from rtc_voice.rtc.signaling.http import OFFER_PATHS
from rtc_voice.speech.audio_file import parse_wav

SHORTEST_S, LONGEST_S = 5.0, 20.0
MAX_RECORDING_BYTES = 2 * 1024 * 1024  # 20 s at 48 kHz


class Recorded(Protocol):
    """A call as its participant's recording reaches it."""

    async def use_recording(self, samples: Samples, sample_rate: int) -> None:
        """Speak in the voice of these samples, mono, peak 1, ``[T]``."""

    def drop_recording(self) -> None:
        """Speak in the voice of the face again."""


def routes(call_of: Callable[[str], Recorded | None]) -> list[web.RouteDef]:
    """What a server answers: ``call_of`` finds the call with an id."""

    def find(request: web.Request) -> Recorded:
        call = call_of(request.match_info["call_id"])
        if call is None:
            raise web.HTTPNotFound(text="there is no such call")
        return call

    async def put(request: web.Request) -> web.Response:
        call = find(request)
        body = await request.clone(client_max_size=MAX_RECORDING_BYTES).read()
        samples, rate = parse_wav(body)
        if not SHORTEST_S <= len(samples) / rate <= LONGEST_S:
            remedy = f"use {SHORTEST_S:.0f} to {LONGEST_S:.0f} s in which you alone speak"
            raise AudioError(f"the recording has {len(samples) / rate:.1f} s", remedy)
        await call.use_recording(samples, rate)
        return web.Response(status=204)

    async def delete(request: web.Request) -> web.Response:
        find(request).drop_recording()
        return web.Response(status=204)

    paths = [f"{path}/{{call_id}}/recording" for path in OFFER_PATHS]
    return [route for path in paths for route in (web.put(path, put), web.delete(path, delete))]
