"""Make the voice model from recordings, part by part, going on where it stopped; behind ``rtc-voice train voice``."""

import json
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from rich.console import Console
from rich.progress import track
from safetensors.torch import save_file
from torch import nn

from rtc_voice.errors import InputError
from rtc_voice.synthesis.wavenet import WaveNet, WaveNetConfig
from rtc_voice.training.device import training_device
from rtc_voice.training.speech_sets import find_speech_sets, read_speech_sets
from rtc_voice.training.train_aperiodicity import train_aperiodicity
from rtc_voice.training.train_conversion import STAGES, ConversionTraining, new_conversion, train_conversion
from rtc_voice.training.train_recogniser import STEPS as RECOGNISER_STEPS
from rtc_voice.training.train_recogniser import hear_phones, train_recogniser
from rtc_voice.training.train_speaker_pitch import train_speaker_pitch
from rtc_voice.training.train_voicing import train_voicing
from rtc_voice.training.train_wavenet import STAGES as WAVENET_STAGES
from rtc_voice.training.train_wavenet import WaveNetTraining, softened, train_wavenet
from rtc_voice.training.voice_data import VoiceSet, build_voice_set, open_voice_set

_TINY_RECORDINGS = 24
_WARM_UP, _TIMED = 2, 4  # steps of the rehearsal that says how many fit into the minutes given
_WAVENET_SHARE = 0.4  # of the minutes

Report = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """What is trained, and for how long."""

    stages: tuple[ConversionTraining, ...] = STAGES
    wavenet: tuple[WaveNetTraining, ...] = WAVENET_STAGES
    sizes: WaveNetConfig = WaveNetConfig()
    voicing: tuple[int, int] = (1600, 15)  # segments, and epochs over them
    aperiodicity: tuple[int, int] = (480, 4000)  # segments and steps
    pitch: tuple[int, int] = (4, 12)  # passes over the recordings, and epochs over what they gave
    recogniser: tuple[int, ...] = RECOGNISER_STEPS


TINY = Plan(
    stages=tuple(
        replace(stage, steps=10 if stage.likeness else 30, batch=4, exchanged=2, log_every=10) for stage in STAGES
    ),
    wavenet=tuple(replace(stage, steps=10, batch=2, log_every=5) for stage in WAVENET_STAGES),
    sizes=WaveNetConfig(channels=16, layers=4, dilation_cycle=4),
    voicing=(16, 2),
    aperiodicity=(8, 100),
    pitch=(1, 2),
    recogniser=(20, 20),
)


def train_voice(
    data_dir: Path,
    work_dir: Path,
    *,
    is_tiny: bool = False,
    minutes: float | None = None,
    device: str = "cpu",
    report: Report,
) -> None:
    """Train all networks of the chain.

    Args:
        data_dir: folder with speech sets under ``train/``.
        work_dir: gets the features, checkpoints, logs with plots, and ``voicing``, ``aperiodicity``,
            ``speaker_pitch``, ``conversion`` and ``wavenet.safetensors``.
        is_tiny: a few recordings and steps, to see the machinery work.
        minutes: for the steps of the conversion and the WaveNet together; None takes the steps that were chosen for
            the shipped weights. How many fit is measured once and kept in ``work_dir``.
        device: ``cpu``, ``cuda`` or ``auto``, of the conversion and the WaveNet.
        report: called with a line now and then.

    Raises:
        InputError: no speech set, or too little speech in them; no such device.
    """
    where = training_device(device)
    voices = _voice_set(data_dir, work_dir / "set", is_tiny)
    plan = TINY if is_tiny else Plan()
    if where.type == "cuda":
        plan = with_larger_batches(plan)
    if minutes is not None:
        plan = fit_plan(plan, voices, minutes, work_dir / "steps.json", where, report)
    voicing = work_dir / "voicing.safetensors"
    if not voicing.is_file():
        report(f"voiced or not: {train_voicing(voices, voicing, *plan.voicing):.1%} of the rows misjudged")
    correction = work_dir / "aperiodicity.safetensors"
    if not correction.is_file():
        error = train_aperiodicity(voices, correction, *plan.aperiodicity)
        report(f"correction of the shares of noise: mean error {error:.3f}")
    pitch = work_dir / "speaker_pitch.safetensors"
    if not pitch.is_file():
        report(f"mean F0 of a speaker: {train_speaker_pitch(voices, pitch, *plan.pitch):.2f} semitones off")
    heard = work_dir / "phones.jsonl"
    _shown(hear_phones(voices, heard), "phones", len(voices.entries))
    hearing = train_recogniser(voices, heard, work_dir, where, report, plan.recogniser)
    converter = new_conversion(voices).to(where)
    for number, stage in enumerate(plan.stages, 1):
        converter = train_conversion(voices, stage, converter, work_dir / f"conversion{number}", report, hearing)
        converter.requires_grad_(True)
    export(converter, work_dir / "conversion.safetensors")
    wavenet: WaveNet | None = None
    for number, step in enumerate(plan.wavenet, 1):
        wavenet = train_wavenet(voices, plan.sizes, step, converter, work_dir / f"wavenet{number}", report, wavenet)
    if wavenet is not None:
        export(softened(wavenet), work_dir / "wavenet.safetensors")


def with_larger_batches(plan: Plan) -> Plan:
    """``plan`` for a GPU, which a CPU's batch leaves idle: as many steps, on four times as much each."""
    stages = tuple(replace(one, batch=4 * one.batch, exchanged=4 * one.exchanged) for one in plan.stages)
    return replace(plan, stages=stages, wavenet=tuple(replace(one, batch=4 * one.batch) for one in plan.wavenet))


def fit_plan(plan: Plan, voices: VoiceSet, minutes: float, kept: Path, device: torch.device, report: Report) -> Plan:
    """``plan`` with as many steps as fit into ``minutes`` on this machine; measured once, then read from ``kept``."""
    if not kept.is_file():
        report(f"measuring how many steps fit into {minutes:g} minutes")
        conversion_s = [seconds_a_step(partial(_try_conversion, voices, one, device)) for one in plan.stages]
        wavenet_s = [seconds_a_step(partial(_try_wavenet, voices, plan.sizes, one, device)) for one in plan.wavenet]
        kept.write_text(
            json.dumps(
                [
                    _fitting([one.steps for one in plan.stages], conversion_s, 60 * minutes * (1 - _WAVENET_SHARE)),
                    _fitting([one.steps for one in plan.wavenet], wavenet_s, 60 * minutes * _WAVENET_SHARE),
                ]
            )
        )
    conversion, wavenet = json.loads(kept.read_text())
    report(f"steps: {', '.join(map(str, conversion))} of the conversion, {', '.join(map(str, wavenet))} of the WaveNet")
    return replace(
        plan,
        stages=tuple(replace(one, steps=steps) for one, steps in zip(plan.stages, conversion, strict=True)),
        wavenet=tuple(replace(one, steps=steps) for one, steps in zip(plan.wavenet, wavenet, strict=True)),
    )


def _fitting(steps: list[int], seconds_a_step: list[float], seconds: float) -> list[int]:
    """``steps`` of each stage, all longer or shorter alike, until they take ``seconds``."""
    longer = seconds / sum(count * each for count, each in zip(steps, seconds_a_step, strict=True))
    return [max(1, round(count * longer)) for count in steps]


def seconds_a_step(train: Callable[[int, Path], object]) -> float:
    """What one step takes of ``train(steps, folder)``, after a few that only warm up."""
    with TemporaryDirectory() as folder:
        train(_WARM_UP, Path(folder))
        started = time.perf_counter()
        train(_WARM_UP + _TIMED, Path(folder))
        return (time.perf_counter() - started) / _TIMED


def _try_conversion(
    voices: VoiceSet, stage: ConversionTraining, device: torch.device, steps: int, folder: Path
) -> None:
    start = new_conversion(voices).to(device)
    train_conversion(voices, replace(stage, steps=steps), start, folder, lambda line: None)


def _try_wavenet(
    voices: VoiceSet, sizes: WaveNetConfig, stage: WaveNetTraining, device: torch.device, steps: int, folder: Path
) -> None:
    conversion = new_conversion(voices).to(device)
    train_wavenet(voices, sizes, replace(stage, steps=steps), conversion, folder, lambda line: None)


def _voice_set(data_dir: Path, folder: Path, is_tiny: bool) -> VoiceSet:
    if not (folder / "index.json").is_file():
        utterances = read_speech_sets(data_dir, find_speech_sets(data_dir))
        if is_tiny:
            utterances = utterances[:: max(1, len(utterances) // _TINY_RECORDINGS)]
        _shown(build_voice_set(utterances, folder), "features", len(utterances))
    voices = open_voice_set(folder)
    if not voices.choose(is_test=False):
        raise InputError(f"no speaker of {data_dir} is left to train on", "add recordings of more speakers")
    return voices


def _shown(steps: Iterable[int], name: str, count: int) -> None:
    """Take all ``steps``, with a bar on a terminal."""
    console = Console(stderr=True)
    for _ in track(steps, name, count, console=console, transient=True, disable=not console.is_terminal):
        pass


def export(network: nn.Module, path: Path) -> None:
    """Write the weights in half precision, as they are shipped."""
    save_file({name: value.half().contiguous() for name, value in network.state_dict().items()}, path)
