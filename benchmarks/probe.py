"""A caller that sends chirps and finds them in what comes back, on its own clock."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

import aiohttp
import numpy as np
from numpy.typing import NDArray
from scipy.signal import chirp

from benchmarks.network import Fate, Impaired, clean
from rtc_voice.config import AUDIO
from rtc_voice.metrics import Metrics
from rtc_voice.rtc.aiortc_private import take_packets
from rtc_voice.rtc.opus import OpusDecoder
from rtc_voice.rtc.remote import Caller, Heard
from rtc_voice.timing import MonotonicClock

Samples = NDArray[np.float32]

RATE = AUDIO.sample_rate
CHIRP_S, PERIOD_S = 0.1, 0.6
SETTLE_S = 3.0  # of chirps before the first that counts: the ways of all programs adapt
QUIET_DB = -30.0  # under the hum that is always sent: a hole
_MARGIN_S = 0.02
_WINDOW_S = 1.9 * PERIOD_S  # chirps that follow each other differ, so this much latency can be told


@dataclass(frozen=True, slots=True)
class Echoed:
    """What came back of one call."""

    latency_ms: list[float]  # of each chirp: the packet with its first sample leaves, its first sample is decoded
    missed: int  # chirps that were not found
    longest_hole_ms: float  # without any sound
    spacing_ms: list[float]  # between packets' decoding
    sent: int  # packets that the network let through


async def echo(url: str, chirps: int, fate: Fate = clean) -> Echoed:
    """Call ``url``, send chirps over a hum, and measure what comes back."""
    clock = MonotonicClock()
    sent_s: dict[int, float] = {}
    async with Caller(opener(url), clock=clock, metrics=Metrics()) as caller:
        network = Impaired(caller._pc.getSenders()[0].transport.transport, fate)
        heard = _hear_at_once(caller, clock)
        caller.microphone.on_mark = lambda mark, time_s: sent_s.__setitem__(int(mark), time_s)
        settle = round(SETTLE_S / PERIOD_S)
        for number in range(settle + chirps):
            caller.microphone.push(_period(number), str(number))
        await asyncio.sleep((settle + chirps) * PERIOD_S + 1.0)
    numbers = [number for number in sorted(sent_s) if number >= settle]
    times = [sent_s[number] for number in numbers]
    found = [find(heard, sent_s[number], _CHIRPS[number % 2]) for number in numbers]
    during = [h for h in heard if times[0] + PERIOD_S < h.time_s < times[-1]]
    return Echoed(
        latency_ms=[1000 * (at - sent) for at, sent in zip(found, times, strict=True) if at is not None],
        missed=sum(at is None for at in found),
        longest_hole_ms=_longest_hole_ms(during),
        spacing_ms=[1000 * (b.time_s - a.time_s) for a, b in zip(during, during[1:], strict=False)],
        sent=network.sent,
    )


def _hear_at_once(caller: Caller, clock: MonotonicClock) -> list[Heard]:
    """What comes, decoded when it comes: a delay of the caller's own would count as the program's."""
    heard: list[Heard] = []
    decoder = OpusDecoder()
    for transceiver in caller._pc.getTransceivers():
        take_packets(
            transceiver.receiver,
            lambda packet: heard.append(Heard(clock.now(), decoder.decode(packet.data))),
            Metrics(),
        )
    return heard


def opener(url: str) -> Callable[[str, str], Awaitable[Mapping[str, str]]]:
    """Sends an offer to ``url`` in a form that every framework takes."""

    async def open_call(sdp: str, type: str) -> Mapping[str, str]:
        body = {"sdp": sdp, "type": type, "webrtc_id": secrets.token_hex(8)}  # FastRTC wants an id
        async with aiohttp.ClientSession() as session, session.post(url, json=body) as reply:
            reply.raise_for_status()
            answer: Mapping[str, str] = await reply.json()
            return answer

    return open_call


def find(heard: Sequence[Heard], sent_s: float, sweep: Samples) -> float | None:
    """When the chirp ``sweep`` that left at ``sent_s`` began in ``heard``; None if it is not there."""
    near = [h for h in heard if sent_s - _MARGIN_S < h.time_s < sent_s + _WINDOW_S]
    if not near:
        return None
    sound = np.concatenate([h.samples for h in near]).astype(np.float64)
    wanted = sweep.astype(np.float64)
    if sound.size < wanted.size:
        return None
    match = np.correlate(sound, wanted, "valid")
    power = np.sqrt(np.convolve(sound**2, np.ones(wanted.size), "valid") * np.sum(wanted**2)) + 1e-9
    best = int(np.argmax(match))
    if match[best] / power[best] < 0.5:
        return None
    starts = np.cumsum([0, *(h.samples.size for h in near)])
    part = int(np.searchsorted(starts, best, side="right")) - 1
    return near[part].time_s + float(best - starts[part]) / RATE


def _longest_hole_ms(heard: Sequence[Heard]) -> float:
    """The longest time without the hum, and without the packets that should bring it."""
    window = RATE // 200
    sound = np.concatenate([h.samples for h in heard])
    level = np.sqrt(np.mean(sound[: sound.size // window * window].reshape(-1, window) ** 2, axis=1))
    longest = run = 0
    for is_quiet in level < np.median(level) * 10 ** (QUIET_DB / 20):
        run = run + 1 if is_quiet else 0
        longest = max(longest, run)
    return 1000 * longest * window / RATE


def _period(number: int) -> Samples:
    return _HUM + np.pad(_CHIRPS[number % 2], (0, _HUM.size - int(CHIRP_S * RATE)))


_TIME = np.arange(int(PERIOD_S * RATE)) / RATE
_HUM: Samples = (0.05 * np.sin(2 * np.pi * 250 * _TIME)).astype(np.float32)  # a whole number of waves: no seam
_SWEEP = 0.4 * np.hanning(int(CHIRP_S * RATE)) * chirp(_TIME[: int(CHIRP_S * RATE)], 600, CHIRP_S, 4_000)
_CHIRPS: tuple[Samples, Samples] = (_SWEEP.astype(np.float32), _SWEEP[::-1].astype(np.float32))
