"""How fast the chain runs on this machine, measured as the engine runs it, and how many voices that is enough for."""

import time

import numpy as np
import torch

from rtc_voice.metrics import Metrics
from rtc_voice.synthesis.chain import VoiceChain
from rtc_voice.synthesis.graphs import batch_sizes, rows_of

# Of a chunk's time that making it for all voices may take: what comes while a tick runs waits for it and for its own.
FULL_SHARE = 0.5
_LOOKS = 9  # chunks that are timed for each number of voices


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


def voices_that_fit(chain: VoiceChain, most: int) -> int:
    """How many voices can speak at once on this machine, from 1 to ``most``.

    The processor's time counts, not the clock: what other programs take now, they need not take during a call, and
    what they do take then is watched all the time (``load``).
    """
    limit_ms = FULL_SHARE * chain.config.chunk_ms
    voices, took_ms = 0, 0.0
    for trial in batch_sizes(most):
        trial_ms = _processor_ms(chain, trial)
        if trial_ms > limit_ms:
            # A line between the last two that were measured.
            more = (limit_ms - took_ms) / (trial_ms - took_ms) * (trial - voices) if voices else 0.0
            return max(voices + int(more), 1)
        voices, took_ms = trial, trial_ms
    return voices


@torch.inference_mode()
def _processor_ms(chain: VoiceChain, voices: int) -> float:
    """This thread's processor time for a chunk of ``voices`` voices; on a GPU, the time it takes.

    The lower quartile: what shares the processor's caches or its host makes a chunk slower, never faster, and one bad
    moment at the start would keep voices out for as long as the program runs.
    """
    rows = rows_of(chain, voices)
    rows.warm_up()
    now_s = time.perf_counter if rows.device.type == "cuda" else time.thread_time
    chunks = 0.1 * np.random.default_rng(0).standard_normal((voices, chain.config.chunk_samples)).astype(np.float32)
    times_ms = []
    for _ in range(_LOOKS):
        began_s = now_s()
        rows.step(range(voices), chunks)
        times_ms.append(1000 * (now_s() - began_s))
    return sorted(times_ms)[_LOOKS // 4]
