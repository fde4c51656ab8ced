"""How long a call takes from a face, a text or a word to the voice: a real call to a bot in another process.

The rows ``echo…`` are the road alone: a chirp's packet leaves the caller, its first sample is decoded by the caller.
"""

import asyncio
from collections.abc import Mapping
from contextlib import ExitStack

import numpy as np

from benchmarks.form import run, times_row
from benchmarks.network import lose_one
from benchmarks.probe import PERIOD_S, SETTLE_S, echo
from benchmarks.servers import installed, start
from rtc_voice.faces.picture import read_picture
from rtc_voice.metrics import Metrics
from rtc_voice.rtc.remote import Caller
from rtc_voice.rtc.signaling.http import post_offer
from rtc_voice.selfcall import PORTRAIT, SPOKEN, Participant, pan, speech
from rtc_voice.timing import MonotonicClock

TEXT = "Can you hear me?"


def rows(quick: bool) -> list[dict[str, object]]:
    """Text, conversion and time to voice over several calls, the pacing of what the bot sends, and the road alone."""
    with start("bot") as bot:
        spoken = asyncio.run(
            _measure(bot.url, calls=2 if quick else 4, texts=5 if quick else 15, spoken=1 if quick else 6)
        )
    return [*spoken, *echo_rows(quick)]


def echo_rows(quick: bool) -> list[dict[str, object]]:
    """What the road alone takes, and after one packet was lost, beside stock aiortc and what else is installed."""
    with ExitStack() as stack:
        names = ("rtc_voice", "aiortc", *installed())
        urls = {name: stack.enter_context(start(name)).offer_url for name in names}
        found = asyncio.run(_echoes(urls, rounds=1 if quick else 3, chirps=8 if quick else 20))
        lost = {name: asyncio.run(_after_one_loss(urls[name], 4 if quick else 12)) for name in ("rtc_voice", "aiortc")}
    return [
        *(times_row(_row_of_echo(name), latencies) for name, latencies in found.items()),
        {"name": "after_one_loss", **lost["rtc_voice"]},
        {"name": "after_one_loss_aiortc", **lost["aiortc"]},
    ]


async def _measure(url: str, *, calls: int, texts: int, spoken: int) -> list[dict[str, object]]:
    text_ms: list[float] = []
    conversion_ms: list[float] = []
    voice_ms: list[float] = []
    spacing: dict[str, float] = {}
    late = 0
    words = speech(SPOKEN)
    for _ in range(calls):
        clock, metrics = MonotonicClock(), Metrics()
        pictures = pan(read_picture(PORTRAIT))
        async with Caller(post_offer(f"{url}/offer"), clock=clock, metrics=metrics, pictures=pictures) as caller:
            participant = Participant(caller, clock)
            await participant.get_voice()
            text_ms += [(await participant.type(TEXT)).delay_ms for _ in range(texts)]
            conversion_ms += [(await participant.speak(words)).delay_ms for _ in range(spoken)]
            figures = await participant.figures()
        voice_ms.append(_quantile(figures, "time_to_voice_ms", "p50"))
        late += int(str(figures.get("late_chunks", 0)))
        spacing = {key: _quantile(figures, "frame_spacing_error_ms", key) for key in ("p50", "p95", "p99", "max", "n")}
    return [
        times_row("text", text_ms),
        times_row("conversion", conversion_ms),
        times_row("time_to_voice", voice_ms),
        {"name": "frame_spacing_error", **{f"{k}_ms" if k != "n" else k: v for k, v in spacing.items()}},
        {"name": "late_chunks", "n": late},
    ]


async def _echoes(urls: dict[str, str], *, rounds: int, chirps: int) -> dict[str, list[float]]:
    """Latencies of all echoes, in turns, so that what disturbs the machine disturbs all."""
    found: dict[str, list[float]] = {name: [] for name in urls}
    for _ in range(rounds):
        for name, url in urls.items():
            found[name] += (await echo(url, chirps)).latency_ms
    return found


async def _after_one_loss(url: str, chirps: int) -> dict[str, object]:
    """How much later sound comes once one packet was lost."""
    half = round((SETTLE_S + (chirps + 0.5) * PERIOD_S) / 0.02)  # packets
    heard = (await echo(url, 2 * chirps + 3, lose_one(half))).latency_ms
    before, after = heard[:chirps], heard[-chirps:]
    return {"added_ms": round(float(np.median(after) - np.median(before)), 1), "n": len(after)}


def _row_of_echo(name: str) -> str:
    return "echo" if name == "rtc_voice" else f"echo_{name}"


def _quantile(figures: Mapping[str, object], name: str, key: str) -> float:
    summary = figures.get(name)
    return float(summary[key]) if isinstance(summary, dict) else float("nan")


if __name__ == "__main__":
    run("Latency: a call on this machine, from the text or word to the voice at the other end", rows)
