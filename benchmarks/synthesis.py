"""How fast the chain makes chunks beside other ways to do the same, and whether streaming changes what is heard."""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.form import run
from rtc_voice.config import AUDIO, AudioConfig
from rtc_voice.metrics import Metrics, summarize
from rtc_voice.selfcall import SPOKEN, speech
from rtc_voice.speech.text import SAMPLE_RATE, TextToSpeech
from rtc_voice.synthesis.chain import VoiceChain, load_chain, load_torch_chain
from rtc_voice.synthesis.exported import ExportedStep, tensors
from rtc_voice.synthesis.mapping import TEXT_VOICE
from rtc_voice.synthesis.sentence import hear_sentence
from rtc_voice.synthesis.speed import FULL_SHARE, measure, voices_that_fit
from rtc_voice.synthesis.wavenet import WaveNet, WaveNetConfig
from rtc_voice.training.export import export_step

SETTINGS = tuple((chunk_ms, voices) for chunk_ms in (20, 10) for voices in (1, 2, 4, 8, 16))
CHUNK, HOP = AUDIO.chunk_samples, AUDIO.hop
# What a window must hold for the same sound: 40 ms of analysis, 440 of content encoder and adapter, 63 of WaveNet,
# and 10 to fade from the last window into this one.
WINDOW = AUDIO.sample_rate * 58 // 100
FADE = HOP

Chunk = Callable[[], object]
"""Makes the next chunk."""


def rows(quick: bool) -> list[dict[str, object]]:
    """One row per setting, the text path, the difference between streamed and whole, then the other ways."""
    seconds = 2.0 if quick else 20.0
    out: list[dict[str, object]] = []
    for chunk_ms, voices in SETTINGS:
        chain = load_chain(AudioConfig(chunk_ms=chunk_ms))
        metrics = Metrics()
        measure(chain, seconds=seconds, metrics=metrics, batch=voices)
        name = f"conversion_{chunk_ms}ms" + (f"_{voices}_voices" if voices > 1 else "")
        times_ms = metrics.times["step_ms"].values
        latency = {"algorithmic_latency_ms": chain.latency_ms, "state_kb_per_voice": _state_kb(chain)}
        out.append({**_row(name, times_ms, chunk_ms, voices), **latency})
    fit = {"name": "admitted", "voices": voices_that_fit(load_chain(), 64), "share_of_a_chunk": FULL_SHARE}
    ours_ms = float(str(out[0]["p50_ms"]))
    return [*out, fit, _text(quick), _stream_vs_whole(), _batched_vs_alone(), *_others(quick, ours_ms), _roof(ours_ms)]


def _row(name: str, times_ms: list[float], chunk_ms: float = AUDIO.chunk_ms, voices: int = 1) -> dict[str, object]:
    times = summarize(times_ms)
    return {
        "name": name,
        "voices": voices,
        **{f"{key}_ms": times[key] for key in ("p50", "p95", "p99", "max")},
        "late_share": round(float(np.mean(np.asarray(times_ms) > chunk_ms)), 4),
        "rtf": round(times["p50"] / chunk_ms / voices, 4),
        "voices_per_core": round(voices * chunk_ms / times["p50"], 1),
        "n": times["n"],
    }


def _state_kb(chain: VoiceChain) -> float:
    return round(sum(part.nbytes for part in tensors(chain.init_state(1))) / 1e3, 1)


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
            for heard in hear_sentence(torch.from_numpy(samples), TEXT_VOICE, chain):
                chain.say(heard, state)
        ratios.append((time.perf_counter() - started) / (len(samples) / SAMPLE_RATE))
    return {"name": "text_20ms", "voices": 1, "rtf": round(float(np.median(ratios)), 4),
            "text_to_speech_ms": round(float(np.median(first_ms)), 1),
            "algorithmic_latency_ms": chain.text_latency_ms, "n": len(ratios)}  # fmt: skip


def _words() -> Tensor:
    samples = torch.from_numpy(speech(SPOKEN))[None]
    return samples[:, : samples.shape[1] // CHUNK * CHUNK]


@torch.inference_mode()
def _streamed(chain: VoiceChain, samples: Tensor, size: int) -> Tensor:
    state = chain.init_state(len(samples))
    state["source"]["excitation"]["noise"].fill_(0)  # the rows' noise differs otherwise
    return torch.cat([chain.step(chunk, state) for chunk in torch.split(samples, size, dim=1)], dim=1)


def _stream_vs_whole() -> dict[str, object]:
    chain, samples = load_chain(), _words()
    whole = _streamed(chain, samples, samples.shape[1])
    worst = max(float((_streamed(chain, samples, size) - whole).abs().max()) for size in (240, 480, 2400))
    return {"name": "stream_vs_whole", "max_abs": worst, "n": 3}


def _batched_vs_alone() -> dict[str, object]:
    chain, samples = load_chain(), _words()
    together = _streamed(chain, torch.cat([samples, samples.flip(1), samples.roll(9_600, 1), samples * 0.3]), CHUNK)
    worst = float((together[:1] - _streamed(chain, samples, CHUNK)).abs().max())
    return {"name": "batched_vs_alone", "voices": len(together), "max_abs": worst, "n": 1}


def _others(quick: bool, ours_ms: float) -> list[dict[str, object]]:
    """The same networks run in other ways, each as fast as it goes here, for 20 ms of one voice."""
    chain, in_torch = load_chain(), load_torch_chain()
    number = 30 if quick else 300
    found = [
        _row("conversion_20ms_torch", _timed(_stepping(in_torch), number)),
        _row("sliding_window_20ms", _timed(_sliding(chain), number // 10)),
        _row("sliding_window_20ms_torch", _timed(_sliding(in_torch), number // 10)),
    ]
    config, net = in_torch.wavenet.config, in_torch.wavenet
    with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
        found += [
            _row(
                "wavenet_20ms",
                _timed(_wavenet(_exported(net, CHUNK, Path(folder) / "wavenet.onnx"), net, CHUNK), number),
            ),
            _row("wavenet_20ms_torch", _timed(_wavenet(net.step, net, CHUNK), number)),
        ]
        unfolded = WaveNetConfig(fold=1, channels=config.channels, layers=config.layers)
        for name, hop, times in (("full_rate", HOP, 1), ("sample_by_sample", 1, CHUNK)):
            network = WaveNet(unfolded, hop).eval()
            exported = _exported(network, CHUNK // times, Path(folder) / f"{name}.onnx")
            made_ms = _timed(_wavenet(exported, network, CHUNK // times), number)
            found.append(_row(f"wavenet_{name}_20ms", [one * times for one in made_ms]))
    for row in found:
        if str(row["name"]).startswith(("conversion", "sliding")):
            row["times_ours"] = round(float(str(row["p50_ms"])) / ours_ms, 1)
    return found


def _timed(chunk: Chunk, number: int) -> list[float]:
    """The time of each chunk in ms, after ten that do not count."""
    times_ms = []
    with torch.inference_mode():
        for _ in range(10 + number):
            started = time.perf_counter()
            chunk()
            times_ms.append(1000 * (time.perf_counter() - started))
    return times_ms[10:]


def _stepping(chain: VoiceChain) -> Chunk:
    state, samples = chain.init_state(1), 0.1 * torch.randn(1, CHUNK)
    return lambda: chain.step(samples, state)


def _sliding(chain: VoiceChain) -> Chunk:
    """Each chunk anew from a window that holds its past, faded into what the window before made of the same time."""
    samples, rise = 0.1 * torch.randn(1, WINDOW), torch.linspace(0, 1, FADE)
    before = torch.zeros(1, FADE)

    def chunk() -> Tensor:
        made = chain.step(samples, chain.init_state(1))[:, -(CHUNK + FADE) :]
        made[:, :FADE] = made[:, :FADE] * rise + before * (1 - rise)
        before.copy_(made[:, -FADE:])
        return made[:, :CHUNK]

    return chunk


def _wavenet(step: Callable[..., object], network: WaveNet, samples: int) -> Chunk:
    hops = samples // network.hop
    state = network.init_state(1)
    inputs = torch.randn(1, 2, samples), torch.randn(1, hops, network.config.features), torch.rand(1, hops)
    return lambda: step(*inputs, state)


def _exported(network: WaveNet, samples: int, path: Path) -> ExportedStep:
    hops = samples // network.hop
    inputs = [torch.randn(2, 2, samples), torch.randn(2, hops, network.config.features), torch.rand(2, hops)]
    batch = torch.export.Dim("batch", min=1, max=64)
    shapes = [{0: batch}] * len(inputs)
    export_step(network, lambda *given: (network.step(*given),), inputs, shapes, network.init_state(2), path)
    return ExportedStep(path)


@torch.inference_mode()
def _roof(ours_ms: float) -> dict[str, object]:
    """The least time in which this core could multiply and read what a chunk of one voice takes, against ours."""
    chain = load_torch_chain()
    state = chain.init_state(1)
    with FlopCounterMode(display=False) as counter:
        chain.step(torch.randn(1, CHUNK), state)
    kept = (one for one in (*chain.parameters(), *chain.buffers()) if one is not chain.excitation.strip)
    weights = sum(one.nbytes for one in kept)
    moved = weights + 2 * sum(part.nbytes for part in tensors(state))
    square, long = torch.randn(1024, 1024), torch.randn(1 << 26)
    out = torch.empty_like(long)
    peak = 2 * 1024**3 / (min(_timed(lambda: square @ square, 20)) / 1e3)
    stream = 2 * long.nbytes / (min(_timed(lambda: out.copy_(long), 5)) / 1e3)
    least_ms = 1e3 * max(counter.get_total_flops() / peak, moved / stream)
    return {
        "name": "roofline_20ms",
        "mflop": round(counter.get_total_flops() / 1e6, 1),
        "mb": round(moved / 1e6, 1),
        "peak_gflop_per_s": round(peak / 1e9, 1),
        "peak_gb_per_s": round(stream / 1e9, 1),
        "least_ms": round(least_ms, 2),
        "share_reached": round(least_ms / ours_ms, 3),
    }


NOTES = (
    "rtf, voices_per_core: by the median. late_share: chunks that took longer than they last.",
    "conversion_…_torch: the same weights in PyTorch. sliding_window…: every chunk anew from a window of 0.58 s, in "
    "ONNX Runtime and in PyTorch. times_ours: against conversion_20ms. wavenet_…: that network alone, as shipped "
    "(folded), at the full rate, and sample by sample as an autoregressive one must, the last two in ONNX Runtime.",
    "roofline: matrix products (transforms not counted) and weights and state moved once, against what this core "
    "reaches in a large product and a large copy.",
)

if __name__ == "__main__":
    run("Synthesis: time to make one chunk", rows, notes=NOTES)
