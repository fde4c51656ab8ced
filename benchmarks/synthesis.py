"""How fast the chain makes chunks, and whether streaming changes what is heard."""

import time

import numpy as np
import torch

from benchmarks.form import run
from rtc_voice.config import AudioConfig
from rtc_voice.metrics import Metrics
from rtc_voice.selfcall import SPOKEN, speech
from rtc_voice.speech.text import SAMPLE_RATE, TextToSpeech
from rtc_voice.synthesis.chain import VoiceChain, load_chain
from rtc_voice.synthesis.speed import measure

SETTINGS = ((20, 1), (10, 1), (20, 2), (20, 4), (20, 8))  # chunk in ms, voices at once


def rows(quick: bool) -> list[dict[str, object]]:
    """One row per setting, then the text path and the difference between streamed and whole."""
    seconds = 2.0 if quick else 20.0
    out: list[dict[str, object]] = []
    for chunk_ms, voices in SETTINGS:
        chain = load_chain(AudioConfig(chunk_ms=chunk_ms))
        metrics = Metrics()
        measure(chain, seconds=seconds, metrics=metrics, batch=voices)
        out.append(
            _row(f"conversion_{chunk_ms}ms" + (f"_{voices}_voices" if voices > 1 else ""), chain, metrics, voices)
        )
    return [*out, _text(quick), _stream_vs_whole()]


def _row(name: str, chain: VoiceChain, metrics: Metrics, voices: int) -> dict[str, object]:
    times = metrics.times["step_ms"].summary()
    chunk_ms = chain.config.chunk_ms
    return {
        "name": name,
        "voices": voices,
        **{f"{key}_ms": times[key] for key in ("p50", "p95", "p99", "max")},
        "rtf": round(times["p50"] / chunk_ms / voices, 4),
        "algorithmic_latency_ms": chain.latency_ms,
        "n": times["n"],
    }


def _text(quick: bool) -> dict[str, object]:
    """Text to speech and the chain, per second of speech."""
    text, chain = TextToSpeech(), load_chain()
    ratios, first_ms = [], []
    for _ in range(3 if quick else 15):
        started = time.perf_counter()
        samples = np.concatenate(list(text.sentences(SPOKEN)))
        first_ms.append(1000 * (time.perf_counter() - started))
        with torch.inference_mode():
            state = chain.init_state(1)
            for chunk in torch.split(torch.from_numpy(samples)[None, : len(samples) // 480 * 480], 480, dim=1):
                chain.step(chunk, state)
        ratios.append((time.perf_counter() - started) / (len(samples) / SAMPLE_RATE))
    return {"name": "text_20ms", "voices": 1, "rtf": round(float(np.median(ratios)), 4),
            "text_to_speech_ms": round(float(np.median(first_ms)), 1),
            "algorithmic_latency_ms": chain.text_latency_ms, "n": len(ratios)}  # fmt: skip


@torch.inference_mode()
def _stream_vs_whole() -> dict[str, object]:
    chain = load_chain()
    samples = torch.from_numpy(speech(SPOKEN))[None]
    samples = samples[:, : samples.shape[1] // 480 * 480]
    whole = chain(samples)
    worst = 0.0
    for size in (240, 480, 2400):
        state = chain.init_state(1)
        streamed = torch.cat([chain.step(c, state) for c in torch.split(samples, size, dim=1)], dim=1)
        worst = max(worst, float((streamed - whole).abs().max()))
    return {"name": "stream_vs_whole", "max_abs": worst, "n": 3}


if __name__ == "__main__":
    run("Synthesis: time to make one chunk", rows)
