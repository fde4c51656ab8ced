"""How long a call takes from a face, a text or a word to the voice: a real call to a bot in another process."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.form import run
from rtc_voice.faces.picture import read_picture
from rtc_voice.metrics import Metrics, summarize
from rtc_voice.rtc.remote import Caller
from rtc_voice.rtc.signaling.http import post_offer
from rtc_voice.selfcall import PORTRAIT, SPOKEN, Participant, pan, speech
from rtc_voice.timing import MonotonicClock

TEXT = "Can you hear me?"


def rows(quick: bool) -> list[dict[str, object]]:
    """Text, conversion and time to voice, over several calls, with the pacing of what the bot sends."""
    with serving() as url:
        return asyncio.run(_measure(url, calls=2 if quick else 5, texts=5 if quick else 12, spoken=1 if quick else 3))


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
            figures = await caller.message("metrics")
        voice_ms.append(_quantile(figures, "time_to_voice_ms", "p50"))
        late += int(str(figures.get("late_chunks", 0)))
        spacing = {key: _quantile(figures, "frame_spacing_error_ms", key) for key in ("p50", "p95", "p99", "max", "n")}
    return [
        _row("text", text_ms),
        _row("conversion", conversion_ms),
        _row("time_to_voice", voice_ms),
        {"name": "frame_spacing_error", **{f"{k}_ms" if k != "n" else k: v for k, v in spacing.items()}},
        {"name": "late_chunks", "n": late},
    ]


@contextmanager
def serving() -> Iterator[str]:
    """The bot in a process of its own; gives its address."""
    command = [sys.executable, "-m", "rtc_voice", "serve", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        if not url:
            raise SystemExit("the bot did not start: run `rtc-voice serve` to see why")
        try:
            yield url
        finally:
            process.terminate()
            process.wait(timeout=20)


def _row(name: str, values: list[float]) -> dict[str, object]:
    figures = summarize(values, digits=1)
    return {"name": name, **{f"{key}_ms": figures[key] for key in ("p50", "p95", "p99", "max")}, "n": len(values)}


def _quantile(figures: dict[str, object], name: str, key: str) -> float:
    summary = figures.get(name)
    return float(summary[key]) if isinstance(summary, dict) else float("nan")


if __name__ == "__main__":
    run("Latency: a call on this machine, from the text or word to the voice at the other end", rows)
