"""How many pass-through calls one core carries, beside stock aiortc: the program on one core, callers on another."""

import asyncio
import os
import sys
import time
from contextlib import AsyncExitStack
from fractions import Fraction
from types import TracebackType
from typing import Any, Self

import av
import numpy as np
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamTrack

from benchmarks.form import run
from benchmarks.probe import opener
from benchmarks.servers import Server, start
from rtc_voice.metrics import Metrics
from rtc_voice.rtc.aiortc_private import take_packets, use_loopback_when_alone
from rtc_voice.rtc.jitter import AudioPacket
from rtc_voice.rtc.peer import opus_only
from rtc_voice.rtc.playout import ChunkQueue
from rtc_voice.rtc.tracks import OpusTrack, SpeechTrack
from rtc_voice.timing import MonotonicClock

SPACING_MS = 30.0  # p99 of an echo that is still good
SETTLE_S = 3.0
STEPS = (4, 8, 12, 16, 20, 24, 28, 32, 40, 48)


class Recorded(MediaStreamTrack):
    """Packets that were encoded before: sending them costs little, so one core can play many callers."""

    kind = "audio"

    def __init__(self, packets: list[bytes]) -> None:
        super().__init__()
        self._packets = packets
        self._number = 0
        self._start = 0.0

    async def recv(self) -> "av.Packet[Any]":
        """The next packet, every 20 ms."""
        now = time.perf_counter()
        self._start = self._start or now
        await asyncio.sleep(max(self._start + self._number * 0.02 - now, 0))
        packet = av.Packet(self._packets[self._number % len(self._packets)])
        packet.pts, packet.time_base = 960 * self._number, Fraction(1, 48_000)
        self._number += 1
        return packet


class LightCaller:
    """A call that sends recorded packets and only notes when packets come."""

    def __init__(self, url: str, packets: list[bytes]) -> None:
        self.times_s: list[float] = []
        self._url = url
        self._pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        transceiver = self._pc.addTransceiver(Recorded(packets))
        transceiver.setCodecPreferences(opus_only())
        take_packets(transceiver.receiver, self._note, Metrics())

    def _note(self, packet: AudioPacket) -> None:
        self.times_s.append(time.perf_counter())

    async def __aenter__(self) -> Self:
        await self._pc.setLocalDescription(await self._pc.createOffer())
        answer = await opener(self._url)(self._pc.localDescription.sdp, "offer")
        await self._pc.setRemoteDescription(RTCSessionDescription(answer["sdp"], answer["type"]))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._pc.close()


def rows(quick: bool) -> list[dict[str, object]]:
    """For each program and number of calls: how evenly the echo comes and what it costs; then what one core carries."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) > 1:
        os.sched_setaffinity(0, cores[1:])
    use_loopback_when_alone()
    packets = asyncio.run(_packets())
    measured: list[dict[str, object]] = []
    for name in ("rtc_voice", "aiortc"):
        most = 0
        by_cost: list[float] = []
        for calls in STEPS[: 3 if quick else None]:
            with start(name, core=cores[0]) as server:
                row = asyncio.run(_load(server, calls, packets, 5 if quick else 15))
            measured.append({"name": f"{name}_{calls}_calls", **row})
            by_cost.append(float(str(row["calls_per_core_by_processor_time"])))
            if float(str(row["spacing_p99_ms"])) > SPACING_MS:
                break
            most = calls
        measured.append({"name": f"{name}_most_calls", "n": most, "calls_per_core_by_processor_time": by_cost[-1]})
    return measured


async def _load(server: Server, calls: int, packets: list[bytes], seconds: int) -> dict[str, object]:
    async with AsyncExitStack() as stack:
        callers = [await stack.enter_async_context(LightCaller(server.offer_url, packets)) for _ in range(calls)]
        await asyncio.sleep(SETTLE_S)
        used_s, began_s = server.processor_s(), time.perf_counter()
        own_s = time.process_time()
        await asyncio.sleep(seconds)
        took_s = time.perf_counter() - began_s
        used_s, own_s = server.processor_s() - used_s, time.process_time() - own_s
        spacing = np.concatenate([np.diff([t for t in c.times_s if t > began_s]) for c in callers])
    return {
        "spacing_p99_ms": round(1000 * float(np.quantile(spacing, 0.99)), 1),
        "spacing_p50_ms": round(1000 * float(np.median(spacing)), 1),
        "came_share": round(sum(s.size for s in [spacing]) * 0.02 / took_s / calls, 3),
        "core_share": round(used_s / took_s, 3),
        "callers_core_share": round(own_s / took_s, 3),
        "calls_per_core_by_processor_time": round(calls * took_s / used_s, 1),
        "n": int(spacing.size),
    }


async def _packets() -> list[bytes]:
    """Two seconds of noise, encoded."""
    metrics, clock = Metrics(), _NoWait()
    queue = ChunkQueue(24_000, 200, metrics, clock)
    queue.push((0.1 * np.random.default_rng(7).standard_normal(48_000)).astype(np.float32))
    track = OpusTrack(SpeechTrack(queue, clock, metrics))
    return [bytes(await track.recv()) for _ in range(100)]


class _NoWait(MonotonicClock):
    """For encoding faster than it would be heard."""

    def __init__(self) -> None:
        self._now = 0.0

    def now(self) -> float:
        """The time last waited for."""
        return self._now

    async def sleep_until(self, deadline: float) -> None:
        """Be there at once."""
        self._now = max(self._now, deadline)


if __name__ == "__main__":
    if not sys.platform.startswith("linux"):
        sys.exit("this benchmark reads /proc and pins processes: Linux only")
    run("Capacity: pass-through calls that one core carries", rows)
