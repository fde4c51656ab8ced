import io
import wave
from collections.abc import AsyncIterator

import aiohttp
import numpy as np
import pytest

from rtc_voice.rtc.playout import Samples
from rtc_voice.rtc.signaling.http import create_app, serve
from rtc_voice.rtc.signaling.recordings import MAX_RECORDING_BYTES, routes
from tests.rtc.signaling.test_http import Exchange


class Participant:
    """Keeps the recording that reached it."""

    def __init__(self) -> None:
        self.used: tuple[Samples, int] | None = None

    async def use_recording(self, samples: Samples, sample_rate: int) -> None:
        self.used = samples, sample_rate

    def drop_recording(self) -> None:
        self.used = None


@pytest.fixture
def participant() -> Participant:
    return Participant()


@pytest.fixture
async def client(participant: Participant) -> AsyncIterator[aiohttp.ClientSession]:
    desk = Exchange()
    app = create_app(
        desk.open_call,
        desk.close_call,
        live_calls=lambda: desk.live,
        add_candidate=desk.add_candidate,
        health=dict,
        max_calls=1,
        more=routes({"call-1": participant}.get),
    )
    async with serve(app) as port, aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
        yield session


def wav(seconds: float, rate: int = 24_000, channels: int = 1, width: int = 2) -> bytes:
    data = io.BytesIO()
    with wave.open(data, "wb") as file:
        file.setparams((channels, width, rate, 0, "NONE", ""))
        file.writeframes(bytes(range(256)) * int(seconds * rate * channels * width / 256 + 1))
    return data.getvalue()


@pytest.mark.parametrize("rate", [8_000, 24_000, 48_000])
async def test_a_recording_reaches_its_call_as_samples(
    client: aiohttp.ClientSession, participant: Participant, rate: int
) -> None:
    async with client.put("/offer/call-1/recording", data=io.BytesIO(wav(19.9, rate))) as reply:
        assert reply.status == 204
    assert participant.used is not None
    samples, heard_rate = participant.used
    assert heard_rate == rate
    expected = np.frombuffer(wav(19.9, rate)[44:], "<i2") / np.float32(32768)
    np.testing.assert_array_equal(samples, expected)
    async with client.delete("/api/offer/call-1/recording") as reply:
        assert reply.status == 204
    assert participant.used is None


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "no WAV"),
        (b"RIFF\xff\xff\xff\xffWAVEfmt ", "no WAV"),
        (b"\x1aE\xdf\xa3 some WebM", "no WAV"),
        (wav(6, channels=2), "2 x 16 bit"),
        (wav(6, width=1), "1 x 8 bit"),
        (wav(6, rate=23_999), "23999 Hz"),
        (wav(4.5), "4.5 s"),
        (wav(20.5, rate=8_000), "20.5 s"),
    ],
    ids=["empty", "cut", "other", "stereo", "8 bit", "odd rate", "short", "long"],
)
async def test_what_cannot_be_used_is_told_with_the_remedy(
    client: aiohttp.ClientSession, participant: Participant, body: bytes, words: str
) -> None:
    async with client.put("/offer/call-1/recording", data=body) as reply:
        error = (await reply.json())["error"]
        assert (reply.status, error["code"]) == (400, "bad-audio")
    assert words in error["message"] and error["hint"]
    assert participant.used is None


async def test_more_than_a_recording_can_have_is_not_read(client: aiohttp.ClientSession) -> None:
    async with client.put("/offer/call-1/recording", data=io.BytesIO(bytes(MAX_RECORDING_BYTES + 1))) as reply:
        assert reply.status == 413


async def test_a_call_that_is_not_is_not_found(client: aiohttp.ClientSession) -> None:
    for method in ("PUT", "DELETE"):
        async with client.request(method, "/offer/call-2/recording", data=wav(6)) as reply:
            assert reply.status == 404
