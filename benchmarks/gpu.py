"""What a GPU does for many voices: captured graphs beside eager steps, and whether they say the same.

Everything that needs a GPU in one run of less than eight minutes; without one there is nothing to measure.
"""

import sys
import time

import numpy as np
import torch

from benchmarks.form import run
from rtc_voice.config import AUDIO
from rtc_voice.metrics import summarize
from rtc_voice.selfcall import SPOKEN, speech
from rtc_voice.synthesis.chain import load_torch_chain
from rtc_voice.synthesis.graphs import GraphRows, rows_of
from rtc_voice.synthesis.rows import Rows

VOICES = (1, 8, 64, 256, 512, 1024)
CHUNK = AUDIO.chunk_samples


@torch.inference_mode()
def rows(quick: bool) -> list[dict[str, object]]:
    """Ticks by number of voices, with graphs and without, then streamed against whole and against the CPU."""
    number = 50 if quick else 500
    measured: list[dict[str, object]] = []
    for precision in ("fp32", "tf32"):
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = precision == "tf32"
        for voices in VOICES:
            graphs = GraphRows(load_torch_chain().to("cuda"), voices)
            graphs.warm_up()
            measured.append(_ticks(f"graph_{precision}_{voices}_voices", graphs, voices, number))
            if voices == 1:
                fused = GraphRows(load_torch_chain().to("cuda"), 1, fuse=True)
                fused.warm_up()
                measured.append(_ticks(f"fused_{precision}_1_voices", fused, 1, number))
                measured.append({"name": f"fused_vs_graph_{precision}", "max_abs": _apart(fused, graphs), "n": 1})
            if voices <= 8:
                eager = _Eager(voices)
                measured.append(_ticks(f"eager_{precision}_{voices}_voices", eager, voices, number))
        measured.append({"name": f"stream_vs_whole_{precision}", "max_abs": _stream_vs_whole(), "n": 1})
        measured.append({"name": f"gpu_vs_cpu_{precision}", "max_abs": _gpu_vs_cpu(), "n": 1})
    return measured


class _Eager:
    """A step without graphs, on the GPU's rows."""

    def __init__(self, voices: int) -> None:
        self._rows = Rows(load_torch_chain().to("cuda"), voices)

    def step(self, rows: list[int], chunks: np.ndarray) -> np.ndarray:
        given = torch.from_numpy(chunks).to("cuda")
        made: np.ndarray = self._rows.chain.step(given, self._rows.state).cpu().numpy()
        return made


def _ticks(name: str, made_by: GraphRows | _Eager, voices: int, number: int) -> dict[str, object]:
    chunks = 0.1 * np.random.default_rng(7).standard_normal((voices, CHUNK)).astype(np.float32)
    torch.cuda.reset_peak_memory_stats()
    times_ms = []
    captures = made_by.captures if isinstance(made_by, GraphRows) else 0
    for _ in range(20 + number):
        started = time.perf_counter()
        made_by.step(list(range(voices)), chunks)  # it waits for the result
        times_ms.append(1000 * (time.perf_counter() - started))
    figures = summarize(times_ms[20:])
    return {
        "name": name,
        "voices": voices,
        **{f"{key}_ms": figures[key] for key in ("p50", "p95", "p99", "max")},
        "late_share": round(float(np.mean(np.asarray(times_ms[20:]) > AUDIO.chunk_ms)), 4),
        "captures_after_warm_up": made_by.captures - captures if isinstance(made_by, GraphRows) else None,
        "memory_mb": round(torch.cuda.max_memory_allocated() / 1e6, 1),
        "n": figures["n"],
    }


def _stream_vs_whole() -> float:
    chain = load_torch_chain().to("cuda")
    graphs = rows_of(chain, 1)
    graphs.warm_up()
    whole = chain.step(_words().to("cuda"), Rows(chain, 1).state)[0].clamp(-1, 1).cpu().numpy()
    return float(np.abs(_streamed(graphs) - whole).max())


def _apart(one: GraphRows, other: GraphRows) -> float:
    return float(np.abs(_streamed(one) - _streamed(other)).max())


def _words() -> torch.Tensor:
    return torch.from_numpy(speech(SPOKEN))[None, : 100 * CHUNK]


def _streamed(made_by: Rows | GraphRows) -> np.ndarray:
    made_by.reset(0)
    return np.concatenate([made_by.step([0], chunk.numpy())[0] for chunk in torch.split(_words(), CHUNK, 1)])


def _gpu_vs_cpu() -> float:
    samples = _words()
    on_gpu, on_cpu = (
        chain.step(samples.to(device), Rows(chain, 1).state).cpu()
        for device, chain in (("cuda", load_torch_chain().to("cuda")), ("cpu", load_torch_chain()))
    )
    return float((on_gpu - on_cpu).abs().max())


if __name__ == "__main__":
    if not torch.cuda.is_available():
        sys.exit("there is no GPU here: nothing is measured")
    run(f"GPU: {torch.cuda.get_device_name(0)}", rows)
