"""How fast the chain runs on this machine, measured as the engine runs it."""

import time

import torch

from rtc_voice.metrics import Metrics
from rtc_voice.synthesis.chain import VoiceChain


@torch.inference_mode()
def measure(chain: VoiceChain, *, seconds: float, metrics: Metrics, batch: int = 1, warm_up: int = 10) -> float:
    """The median time of a chunk in ms; every time is recorded as ``step_ms`` in ``metrics``.

    Args:
        chain: its chunk size counts.
        seconds: of speech to run through it, after ``warm_up`` chunks that are not timed.
        metrics: gets the times.
        batch: voices at once.
        warm_up: chunks.
    """
    state = chain.init_state(batch)
    generator = torch.Generator().manual_seed(0)
    chunk_samples = chain.config.chunk_samples
    for number in range(warm_up + round(1000 * seconds / chain.config.chunk_ms)):
        chunk = 0.1 * torch.randn(batch, chunk_samples, generator=generator)
        started = time.perf_counter()
        chain.step(chunk, state)
        if number >= warm_up:
            metrics.record("step_ms", 1000 * (time.perf_counter() - started))
    return float(metrics.times["step_ms"].summary()["p50"])
