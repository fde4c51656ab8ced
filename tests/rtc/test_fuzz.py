"""Whatever strangers and broken clients send, the call and the one beside it go on, and nothing is left behind.

Offers, messages and the order of packets are tried in test_peer, test_protocol and test_jitter.
"""

import asyncio
import gc
import os
import socket
import struct
import threading

import numpy as np
import pytest

from rtc_voice.metrics import Metrics
from rtc_voice.rtc.jitter import AudioPacket
from rtc_voice.rtc.protocol import Hello
from rtc_voice.rtc.receive import AudioReceiver
from rtc_voice.rtc.remote import Caller
from rtc_voice.timing import MonotonicClock
from tests.rtc.conftest import JumpClock, Line
from tests.waiting import until

pytestmark = pytest.mark.slow

STUN_COOKIE = 0x2112A442


def datagram(rng: np.random.Generator) -> bytes:
    """Noise, or something that begins like DTLS, RTP, RTCP or STUN."""
    noise = rng.bytes(int(rng.choice([0, 1, 2, 3, 8, 12, 20, 40, 200, 1_400])))
    kind = rng.integers(6)
    if kind == 0:
        return noise
    if kind == 1:  # a DTLS record of some type
        return bytes([rng.integers(20, 26), 254, 253]) + rng.bytes(8) + struct.pack("!H", len(noise)) + noise
    if kind == 2:
        return bytes([rng.integers(128, 192), rng.integers(256)]) + noise
    if kind == 3:
        return bytes([128 + rng.integers(32), rng.integers(192, 209)]) + noise
    length = len(noise) if kind == 4 else int(rng.integers(65_536))
    header = struct.pack("!HHI", int(rng.choice([1, 0x101, 0x111, 0x11, 3])), length, STUN_COOKIE)
    return header + rng.bytes(12) + noise


def media(rng: np.random.Generator) -> bytes:
    """RTP of a known sender with header extensions and sound that make no sense."""
    count = int(rng.integers(0, 4))
    head = struct.pack("!BBHII", 0x90, 96 + 128 * int(rng.integers(2)), *map(int, rng.integers(0, 65_536, 3)))
    profile = int(rng.choice([0xBEDE, 0x1000, 0]))
    return head + struct.pack("!HH", profile, count) + rng.bytes(4 * count) + rng.bytes(int(rng.integers(0, 60)))


async def test_no_datagram_harms_a_call_or_the_one_beside_it(rng: np.random.Generator) -> None:
    problems: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: problems.append(context))
    tasks, threads, files = asyncio.all_tasks(), threading.active_count(), len(os.listdir("/proc/self/fd"))
    attacked, beside = Line(), Line()
    async with (
        Caller(attacked.peer.answer, clock=MonotonicClock(), metrics=Metrics()) as caller,
        Caller(beside.peer.answer, clock=MonotonicClock(), metrics=Metrics()) as other,
    ):
        pair = attacked.peer._pc.getTransceivers()[0].receiver.transport.transport._connection._nominated[1]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            for number in range(3_000):
                stranger.sendto(datagram(rng), pair.local_addr)
                if number % 5 == 0:  # a flood would fill the socket, and nothing could be read of the peer
                    await asyncio.sleep(0.001)
        transport = caller._pc.getSenders()[0].transport
        for _ in range(500):
            await transport._send_rtp(media(rng))
        # A report on as many senders is longer than a packet may be.
        await until(lambda: attacked.metrics.counters["unsent_reports"])
        for one, line in ((caller, attacked), (other, beside)):
            one.send(Hello("still here"))
            heard = len(one.heard)
            await until(lambda one=one, line=line, heard=heard: line.listener.messages and len(one.heard) > heard + 5)  # type: ignore[misc]
            assert line.listener.gone == 0
    for line in (attacked, beside):
        await line.peer.close()
    await until(lambda: not asyncio.all_tasks() - tasks)
    gc.collect()
    assert problems == []
    executor_threads = sum(thread.name.startswith("asyncio") for thread in threading.enumerate())
    assert threading.active_count() - executor_threads <= threads
    assert len(os.listdir("/proc/self/fd")) <= files


async def test_no_sound_is_made_of_what_is_no_sound(rng: np.random.Generator) -> None:
    clock, metrics = JumpClock(), Metrics()
    heard: list[float] = []
    receiver = AudioReceiver(lambda samples, _: heard.append(float(np.abs(samples).max(initial=0))), metrics, clock)
    for number in range(2_000):
        clock.time += 0.02
        receiver.take(AudioPacket(number % 65_536, 960 * number, 7, 960, rng.bytes(int(rng.integers(1, 200)))))
    receiver.close()
    assert np.isfinite(heard).all()
    assert max(heard) <= 1
