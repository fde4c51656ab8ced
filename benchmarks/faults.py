"""What bad networks do to the road alone, beside stock aiortc, and how soon callers who are gone are noticed.

The faults are made where the caller's audio leaves.
"""

import asyncio
import time
from collections.abc import Mapping
from typing import Any, cast

import numpy as np
from aiortc import RTCConfiguration, RTCPeerConnection

from benchmarks.form import run
from benchmarks.network import Fate, clean, lose, shake
from benchmarks.probe import Echoed, echo, opener
from benchmarks.servers import Server, start
from rtc_voice.metrics import Metrics
from rtc_voice.rtc.remote import Caller
from rtc_voice.timing import MonotonicClock

MAX_WAIT_S = 60


def faults() -> Mapping[str, Fate]:
    """By name; each starts its random numbers anew."""
    return {
        "clean": clean,
        "loss_1_percent": lose(0.01),
        "loss_5_percent": lose(0.05),
        "loss_20_percent": lose(0.2),
        "jitter_30_ms_reordering_2_percent": shake(0.03, 0.02),
    }


def rows(quick: bool) -> list[dict[str, object]]:
    """Each fault with both programs, then how long a call stands whose caller is gone or never comes."""
    chirps = 8 if quick else 40
    measured: list[dict[str, object]] = []
    with start("rtc_voice") as ours, start("aiortc") as stock:
        before = {server.name: 0.0 for server in (ours, stock)}
        for name in faults():
            for server in (ours, stock):
                row = asyncio.run(_suffer(server, faults()[name], chirps))
                if name == "clean":
                    before[server.name] = float(str(row["p50_ms"]))
                row["added_ms"] = round(float(str(row["p50_ms"])) - before[server.name], 1)
                measured.append({"name": name if server is ours else f"{name}_aiortc", **row})
    with start("rtc_voice") as ours:
        measured.append({"name": "vanished_peer", "noticed_s": asyncio.run(_vanish(ours))})
        measured.append({"name": "unanswered_ice", "noticed_s": asyncio.run(_never_connect(ours))})
    return measured


async def _suffer(server: Server, fate: Fate, chirps: int) -> dict[str, object]:
    played = server.count("played_packets")
    heard: Echoed = await echo(server.offer_url, chirps, fate)
    concealed_ms = server.health().get("concealed_ms")
    return {
        "p50_ms": round(float(np.median(heard.latency_ms)), 1) if heard.latency_ms else float("nan"),
        "played_share": round((server.count("played_packets") - played) / heard.sent, 4),
        "longest_hole_ms": heard.longest_hole_ms,
        "spacing_p99_ms": round(float(np.quantile(heard.spacing_ms, 0.99)), 1),
        "longest_stall_ms": round(max(heard.spacing_ms), 1),
        "missed_chirps": heard.missed,
        "concealed_ms_so_far": concealed_ms,
        "n": len(heard.latency_ms),
    }


async def _vanish(server: Server) -> float:
    """How long a call stands after its caller was cut off without a word."""
    async with Caller(opener(server.offer_url), clock=MonotonicClock(), metrics=Metrics()) as caller:
        await asyncio.sleep(1)
        for protocol in caller._pc.getSenders()[0].transport.transport._connection._protocols:
            cast(Any, protocol.transport).sendto = _swallow
        return await _until_free(server)


def _swallow(*datagram: object) -> None:
    """A cable that is unplugged."""


async def _never_connect(server: Server) -> float:
    """How long a call stands whose caller takes the answer and never connects."""
    pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    pc.addTransceiver("audio")
    await pc.setLocalDescription(await pc.createOffer())
    await opener(server.offer_url)(pc.localDescription.sdp, "offer")
    await pc.close()
    return await _until_free(server)


async def _until_free(server: Server) -> float:
    began_s = time.perf_counter()
    for _ in range(MAX_WAIT_S * 20):
        if not await asyncio.to_thread(server.count, "calls"):
            return round(time.perf_counter() - began_s, 1)
        await asyncio.sleep(0.05)
    return float("inf")


if __name__ == "__main__":
    run("Faults: what a bad network does to the sound, and callers who vanish", rows)
