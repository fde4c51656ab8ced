import asyncio
import gc
import os
import socket
import threading

import numpy as np
import pytest
from aiortc import RTCPeerConnection

from rtc_voice.errors import ProtocolError
from rtc_voice.metrics import Metrics
from rtc_voice.rtc import peer as peer_module
from rtc_voice.rtc.playout import Samples
from rtc_voice.rtc.protocol import Disclosure, Hello, Say, dump, parse
from rtc_voice.rtc.remote import Caller
from rtc_voice.timing import MonotonicClock
from tests.rtc.conftest import Line, Listener
from tests.waiting import until


def caller(line: Line, **options: object) -> Caller:
    return Caller(line.peer.answer, clock=MonotonicClock(), metrics=Metrics(), **options)  # type: ignore[arg-type]


def tone(frequency: float, seconds: float) -> Samples:
    return (0.5 * np.sin(2 * np.pi * frequency * np.arange(int(24_000 * seconds)) / 24_000)).astype(np.float32)


def speech(samples: Samples) -> Samples:
    """What follows the silence at the start."""
    return samples[np.argmax(np.abs(samples) > 0.1) :] if np.abs(samples).max() > 0.1 else samples[:0]


def pitch_hz(samples: Samples) -> float:
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(samples.size)))
    return float(np.argmax(spectrum) * 24_000 / samples.size)


async def settled(before: set[asyncio.Task[object]]) -> set[asyncio.Task[object]]:
    """Tasks that were not there before and do not end by themselves at once."""
    for _ in range(50):
        await asyncio.sleep(0.01)
        if not (left := asyncio.all_tasks() - before):
            return left
    return left


async def test_both_hear_each_other_at_the_right_pitch() -> None:
    line = Line()
    async with caller(line) as other:
        await until(lambda: line.listener.samples and other.heard)
        line.queue.push(tone(440, 1.5))
        other.say(tone(660, 1.5))
        await until(lambda: speech(other.recording()).size > 30_000)
        await until(lambda: speech(np.concatenate(line.listener.samples)).size > 30_000)
        heard, came = speech(other.recording()), speech(np.concatenate(line.listener.samples))
    await line.peer.close()
    assert line.listener.connected == 1
    assert pitch_hz(heard[12_000:24_000]) == pytest.approx(440, abs=2)
    assert pitch_hz(came[12_000:24_000]) == pytest.approx(660, abs=2)
    assert heard[12_000:24_000].std() == pytest.approx(0.5 / np.sqrt(2), rel=0.05)


async def test_messages_go_both_ways_and_early_ones_wait() -> None:
    line = Line()
    line.peer.send(dump(Disclosure("early")))
    async with caller(line) as other:
        assert (await other.message("disclosure"))["text"] == "early"
        other.send(Hello("Zoë"))
        other.send(Say("1", "good morning"))
        await until(lambda: len(line.listener.messages) == 2)
        assert [parse(text) for text in line.listener.messages] == [Hello("Zoë"), Say("1", "good morning")]
        assert line.peer.send(dump(Disclosure("late")))
        assert (await other.message("disclosure"))["text"] == "late"
    await line.peer.close()
    assert not line.peer.send("too late")


async def test_pictures_come_in() -> None:
    line = Line()
    red = np.zeros((96, 128, 3), np.uint8)
    red[..., 0] = 200
    async with caller(line, pictures=iter([red])) as other:
        await until(lambda: len(line.listener.pictures) >= 3)
        assert other.heard
    await line.peer.close()
    frame, time_ms = line.listener.pictures[-1]
    mean = frame.to_ndarray(format="rgb24").mean(axis=(0, 1))
    assert (frame.width, frame.height) == (128, 96)
    assert mean[0] > 150 and mean[1] < 60 and mean[2] < 60
    assert time_ms == pytest.approx(1000 * line.clock.now(), abs=10_000)


async def test_a_channel_of_another_name_is_told_so() -> None:
    line = Line()
    told: list[str] = []
    pc = RTCPeerConnection()
    pc.addTransceiver("audio")
    channel = pc.createDataChannel("chat")
    channel.on("message", told.append)
    await pc.setLocalDescription(await pc.createOffer())
    answer = await line.peer.answer(pc.localDescription.sdp, "offer")
    await pc.setRemoteDescription(type(pc.localDescription)(answer["sdp"], answer["type"]))
    await until(lambda: told)
    assert '"unknown-channel"' in told[0]
    await pc.close()
    await line.peer.close()


class Clumsy(Listener):
    def on_message(self, text: str | bytes) -> None:
        super().on_message(text)
        raise KeyError("clumsy")


async def test_a_failing_handler_does_not_end_the_call(caplog: pytest.LogCaptureFixture) -> None:
    line = Line(Clumsy())
    async with caller(line) as other:
        other.send(Hello("one"))
        other.send(Hello("two"))
        await until(lambda: len(line.listener.messages) == 2)
    await line.peer.close()
    assert line.metrics.counters["handler_errors"] == 2
    assert "clumsy" in caplog.text


async def test_empty_datagrams_do_not_end_the_call() -> None:
    line = Line()
    async with caller(line) as other:
        pair = line.peer._pc.getTransceivers()[0].receiver.transport.transport._connection._nominated[1]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            for _ in range(5):
                stranger.sendto(b"", pair.local_addr)
        await asyncio.sleep(0.05)
        other.send(Hello("still here"))
        await until(lambda: line.listener.messages)
        assert line.listener.gone == 0
    await line.peer.close()


async def test_a_caller_who_hangs_up_is_noticed_once() -> None:
    line = Line()
    async with caller(line):
        pass
    await until(lambda: line.listener.gone, timeout_s=4)  # long before the silence would be noticed
    await line.peer.close()
    assert line.listener.gone == 1


async def test_closing_ourselves_is_no_departure_and_leaves_nothing() -> None:
    before, threads, files = asyncio.all_tasks(), threading.active_count(), len(os.listdir("/proc/self/fd"))
    line = Line()
    red = np.zeros((96, 128, 3), np.uint8)
    async with caller(line, pictures=iter([red])) as other:
        await until(lambda: line.listener.pictures and other.heard)
        await asyncio.gather(line.peer.close(), line.peer.close())
    await line.peer.close()
    assert await settled(before) == set()
    assert line.listener.gone == 0
    executor_threads = sum(thread.name.startswith("asyncio") for thread in threading.enumerate())
    assert threading.active_count() - executor_threads <= threads
    assert len(os.listdir("/proc/self/fd")) <= files


async def test_closing_survives_a_closer_who_gives_up() -> None:
    line = Line()
    async with caller(line):
        closing = asyncio.create_task(line.peer.close())
        await asyncio.sleep(0)
        closing.cancel()
        async with asyncio.timeout(5):
            await line.peer.close()


@pytest.mark.slow
async def test_a_caller_who_falls_silent_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LOOK_S", "SILENCE_S", "ANSWER_S"):
        monkeypatch.setattr(peer_module, name, 0.3)
    line = Line()
    async with caller(line) as other:
        await asyncio.sleep(2)
        assert line.listener.gone == 0  # alive, though it says nothing
        connection = other._pc.getTransceivers()[0].receiver.transport.transport._connection
        monkeypatch.setattr(connection._protocols[0].transport, "sendto", lambda *args: None)
        await until(lambda: line.listener.gone)
        assert line.metrics.counters["silent_peers"] == 1
    await line.peer.close()


async def offer_text() -> str:
    pc = RTCPeerConnection()
    pc.addTransceiver("audio")
    pc.addTransceiver("video")
    pc.createDataChannel("rtc-voice")
    await pc.setLocalDescription(await pc.createOffer())
    text = pc.localDescription.sdp
    await pc.close()
    return text


def spoiled(text: str, how: str) -> str:
    lines = text.splitlines()
    without = {
        "no fingerprint": "a=fingerprint",
        "no ice password": "a=ice-pwd",
        "no ice name": "a=ice-ufrag",
        "no rtcp mux": "a=rtcp-mux",
        "no codecs": "a=rtpmap",
    }
    if how in without:
        return "\r\n".join(line for line in lines if not line.startswith(without[how])) + "\r\n"
    return {
        "empty": "",
        "no sdp": "hello",
        "binary": "\0\1\2\ud800",
        "no media": "\r\n".join(lines[:6]) + "\r\n",
        "cut": text[: len(text) // 2],
        "video only": text[: text.index("m=audio")] + text[text.index("m=video") :],
        "we may not speak": text.replace("a=sendrecv", "a=sendonly"),
        "other media": text.replace("m=video", "m=smell"),
        "bad port": text.replace("m=audio ", "m=audio x"),
        "bad candidate": text.replace("a=candidate:", "a=candidate:x "),
        "no opus": text.replace("opus/48000", "pumps/48000"),
        "bad mid": text.replace("a=mid:1", "a=mid:0"),
    }[how]


BAD_OFFERS = [
    "empty",
    "no sdp",
    "binary",
    "no media",
    "cut",
    "video only",
    "we may not speak",
    "other media",
    "bad port",
    "bad candidate",
    "no opus",
    "bad mid",
    "no fingerprint",
    "no ice password",
    "no ice name",
    "no rtcp mux",
    "no codecs",
]


@pytest.mark.parametrize("how", BAD_OFFERS)
async def test_a_bad_offer_is_refused_and_leaves_nothing(how: str) -> None:
    text = await offer_text()
    before, files = asyncio.all_tasks(), len(os.listdir("/proc/self/fd"))
    line = Line()
    with pytest.raises(ProtocolError) as caught:
        await line.peer.answer(spoiled(text, how), "offer")
    assert caught.value.code == "bad-offer"
    assert await settled(before) == set()
    assert len(os.listdir("/proc/self/fd")) <= files
    assert line.peer._pc.connectionState == "closed"
    assert line.listener.gone == 0


@pytest.mark.slow
async def test_offers_with_random_damage_are_answered_or_refused(
    rng: np.random.Generator, caplog: pytest.LogCaptureFixture
) -> None:
    lines = (await offer_text()).splitlines()
    before = asyncio.all_tasks()
    for _ in range(400):
        damaged = list(lines)
        for place in rng.integers(0, len(damaged) - 3, rng.integers(1, 4)):
            line = damaged[place]
            cut = int(rng.integers(0, len(line) + 1))
            damaged[place] = ("", line[:cut], line[:cut] + "ÿ: ;=" + line[cut:], damaged[place - 1])[rng.integers(4)]
        peer = Line().peer
        try:
            await peer.answer("\r\n".join(damaged) + "\r\n", "offer")
        except ProtocolError as error:
            assert error.code == "bad-offer"
        await peer.close()
    assert await settled(before) == set()
    gc.collect()  # a task that failed unseen says so when it is deleted
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


@pytest.mark.parametrize("kind", ["answer", "", "rollback"])
async def test_a_description_that_is_no_offer_is_refused(kind: str) -> None:
    with pytest.raises(ProtocolError, match="type"):
        await Line().peer.answer(await offer_text(), kind)


async def test_a_good_offer_is_answered_without_any_outside_server() -> None:
    line = Line()
    answer = await line.peer.answer(await offer_text(), "offer")
    assert answer["type"] == "answer"
    assert "typ host" in answer["sdp"] and "typ srflx" not in answer["sdp"]
    assert "opus" in answer["sdp"] and "PCMU" not in answer["sdp"]
    await line.peer.close()


async def test_an_answer_that_nobody_follows_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peer_module, "CONNECT_TIMEOUT_S", 0.1)
    before = asyncio.all_tasks()
    line = Line()
    await line.peer.answer(await offer_text(), "offer")
    await until(lambda: line.listener.gone, timeout_s=4)
    assert await settled(before) == set()
    assert line.listener.connected == 0


async def test_candidates_may_come_later_and_bad_ones_are_refused() -> None:
    line = Line()
    await line.peer.answer(await offer_text(), "offer")
    await line.peer.add_candidate("candidate:1 1 udp 2130706431 127.0.0.1 9999 typ host", "0")
    for bad in ("", "candidate:1", "candidate:1 1 udp x 127.0.0.1 9999 typ host"):
        with pytest.raises(ProtocolError, match="candidate"):
            await line.peer.add_candidate(bad, "0")
    await line.peer.close()


async def test_a_call_that_is_refused_closes_the_caller() -> None:
    before = asyncio.all_tasks()

    async def refuse(sdp: str, type: str) -> dict[str, str]:
        raise ProtocolError("no")

    with pytest.raises(ProtocolError):
        async with Caller(refuse, clock=MonotonicClock(), metrics=Metrics()):
            pass
    assert await settled(before) == set()
