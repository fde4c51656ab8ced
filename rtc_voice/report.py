"""The self-call's report: a table, a recording, figures as JSON and a picture."""

import json
import platform
import subprocess
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

import rtc_voice
from rtc_voice.config import AUDIO
from rtc_voice.selfcall import SelfCall, pan
from rtc_voice.speech.audio_file import write_wav

_INK, _TYPED, _LIVE, _GRID = "#1b1f2a", "#3767c9", "#c2542d", "#d9dde6"


def table(call: SelfCall) -> list[tuple[str, str]]:
    """What a person wants to know, as name and figure."""
    voice, delay_ms = call.voice, call.conversion_delay_ms
    return [
        ("faces found", f"{call.faces_found}"),
        ("voice", f"{voice['f0_hz']:.0f} Hz, vocal tract {voice['tract']:.2f} of average"),
        ("first picture → voice", f"{call.time_to_voice_ms:.0f} ms"),
        ("typed text → first sound heard", f"{call.text_first_audio_ms:.0f} ms"),
        ("spoken → heard in the voice", "not found: holes in it" if delay_ms is None else f"{delay_ms:.0f} ms"),
        ("computing per second of speech", f"{call.rtf:.2f} s"),
        ("late chunks", f"{call.late_chunks}"),
        ("outgoing frames off 20 ms, p99", f"{call.frame_spacing_p99_ms:.1f} ms"),
    ]


def write(call: SelfCall, folder: Path) -> None:
    """Write ``call.wav``, ``report.json`` and ``report.png`` into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    write_wav(folder / "call.wav", call.recording, AUDIO.sample_rate)
    figures = {key: value for key, value in asdict(call).items() if key not in ("recording", "portrait")}
    body = {**figures, "machine": machine(), "commit": commit(), "version": rtc_voice.__version__}
    (folder / "report.json").write_text(json.dumps(body, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
    draw(call, folder / "report.png")


def draw(call: SelfCall, path: Path) -> None:
    """The face, the figures, and what was heard as waveform and spectrogram on one time line."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 7.2), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    halves: Any = figure.subfigures(2, 1, height_ratios=[1, 1.55])
    top, bottom = halves
    face, text = top.subplots(1, 2, width_ratios=[1, 1.9])
    _draw_face(face, call)
    _draw_figures(text, call)
    wave, spectrum = bottom.subplots(2, 1, sharex=True, height_ratios=[1, 2.2])
    _draw_wave(wave, call)
    _draw_spectrum(spectrum, call)
    figure.savefig(path, dpi=110)


def machine() -> str:
    """The processor and system that the figures are from."""
    name = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [line.split(":", 1)[1].strip() for line in info.read_text().splitlines() if "model name" in line]
        name = f"{len(names)} x {names[0]}" if names else name
    return f"{name}, {platform.system()}, Python {platform.python_version()}"


def commit() -> str:
    """The commit of the source tree; ``unknown`` outside one."""
    try:
        done = subprocess.run(
            ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty", "--abbrev=10"],
            capture_output=True,
            text=True,
            check=True,
            timeout=5,
        )
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return done.stdout.strip()


def _draw_face(axes: Any, call: SelfCall) -> None:
    from matplotlib.patches import Rectangle

    from rtc_voice.faces.picture import read_picture

    picture = next(pan(read_picture(call.portrait)))
    height, width = picture.shape[:2]
    left, top, right, bottom = (v * s for v, s in zip(call.face_box, (width, height) * 2, strict=True))
    axes.imshow(picture)
    axes.add_patch(Rectangle((left, top), right - left, bottom - top, fill=False, edgecolor="#4ade80", linewidth=2))
    axes.set_axis_off()
    axes.set_title("the face in the call", loc="left", fontsize=10, color=_INK)


def _draw_figures(axes: Any, call: SelfCall) -> None:
    axes.set_axis_off()
    axes.text(0, 1.0, "A face in a call gets a voice", fontsize=16, fontweight="bold", color=_INK, va="top")
    for i, (name, value) in enumerate(table(call)):
        y = 0.80 - i * 0.1
        axes.text(0, y, name, fontsize=11, color="#555b6a", va="center")
        axes.text(0.56, y, value, fontsize=11, color=_INK, va="center", fontweight="bold")
    axes.set(xlim=(0, 1), ylim=(0, 1))


def _spans(call: SelfCall) -> list[tuple[tuple[float, float], str, str]]:
    return [(call.text_span_s, _TYPED, "typed"), (call.converted_span_s, _LIVE, "spoken, converted live")]


def _draw_wave(axes: Any, call: SelfCall) -> None:
    seconds = np.arange(len(call.recording)) / AUDIO.sample_rate
    axes.plot(seconds, call.recording, color="#9aa1b0", linewidth=0.4)
    for (start, end), colour, name in _spans(call):
        inside = (seconds >= start) & (seconds <= end)
        axes.plot(seconds[inside], call.recording[inside], color=colour, linewidth=0.4)
        axes.axvspan(start, end, color=colour, alpha=0.07)
        axes.text(start + 0.05, 0.98, name, color=colour, fontsize=10, va="top", transform=axes.get_xaxis_transform())
    peak = float(np.abs(call.recording).max()) * 1.35
    axes.set(ylim=(-peak, peak), yticks=[])
    axes.set_title("what the other end heard", loc="left", fontsize=10, color=_INK)
    axes.spines[["top", "right", "left"]].set_visible(False)


def _draw_spectrum(axes: Any, call: SelfCall) -> None:
    dithered = call.recording + 1e-6 * np.random.default_rng(0).standard_normal(len(call.recording))
    axes.specgram(dithered, NFFT=1024, Fs=AUDIO.sample_rate, noverlap=768, cmap="magma", vmin=-130, vmax=-40)
    axes.set(ylim=(0, 8000), xlim=(0, len(call.recording) / AUDIO.sample_rate), xlabel="seconds", ylabel="Hz")
    for (start, end), colour, _ in _spans(call):
        axes.plot([start, end], [7900, 7900], color=colour, linewidth=4, solid_capstyle="butt")
    axes.spines[["top", "right"]].set_visible(False)
