"""Make the voice model from recordings, part by part, going on where it stopped.

``python -m rtc_voice.training.train_voice DATA WORK`` writes the weights into ``WORK``; ``--tiny`` is the whole road in
two minutes, for a look at the machinery and not at the voice.
"""

import argparse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn

from rtc_voice.synthesis.wavenet import WaveNetConfig
from rtc_voice.training.speech_sets import read_speech_sets
from rtc_voice.training.train_aperiodicity import train_aperiodicity
from rtc_voice.training.train_conversion import STAGES, new_conversion, train_conversion
from rtc_voice.training.train_wavenet import WaveNetTraining, train_wavenet
from rtc_voice.training.voice_data import build_voice_set, open_voice_set

_TINY_RECORDINGS = 24


def train_voice(data_dir: Path, work_dir: Path, *, is_tiny: bool, report: Callable[[str], None]) -> None:
    """Train all networks of the chain.

    Args:
        data_dir: folder with the licensed speech sets under ``train/``.
        work_dir: gets the features, checkpoints, logs and ``aperiodicity``, ``conversion`` and ``wavenet.safetensors``.
        is_tiny: a few recordings and steps.
        report: called with a line now and then.
    """
    utterances = read_speech_sets(data_dir)
    if is_tiny:
        utterances = utterances[:: max(1, len(utterances) // _TINY_RECORDINGS)]
    if not (work_dir / "set" / "index.json").is_file():
        for done in build_voice_set(utterances, work_dir / "set"):
            if done % 20 == 0 or done == len(utterances):
                report(f"features of {done} of {len(utterances)} recordings")
    voices = open_voice_set(work_dir / "set")
    stages, wavenet, sizes = list(STAGES), WaveNetTraining(), WaveNetConfig()
    if is_tiny:
        stages = [replace(stage, steps=30, batch=4, log_every=10) for stage in STAGES]
        wavenet = replace(wavenet, steps=20, batch=2, log_every=10)
        sizes = replace(sizes, channels=16, layers=4, dilation_cycle=4)
    correction = work_dir / "aperiodicity.safetensors"
    if not correction.is_file():
        error = train_aperiodicity(voices, correction, *((8, 100) if is_tiny else (480, 4000)))
        report(f"correction of the shares of noise: mean error {error:.3f}")
    converter = new_conversion(voices)
    for number, stage in enumerate(stages, 1):
        converter = train_conversion(voices, stage, converter, work_dir / f"conversion{number}", report)
        converter.requires_grad_(True)
    export(converter, work_dir / "conversion.safetensors")
    export(
        train_wavenet(voices, sizes, wavenet, converter, work_dir / "wavenet", report),
        work_dir / "wavenet.safetensors",
    )


def export(network: nn.Module, path: Path) -> None:
    """Write the weights in half precision, as they are shipped."""
    save_file({name: value.half().contiguous() for name, value in network.state_dict().items()}, path)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data_dir", type=Path)
    parser.add_argument("work_dir", type=Path)
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    train_voice(
        options.data_dir,
        options.work_dir,
        is_tiny=options.tiny,
        report=lambda line: print(line, flush=True),  # noqa: T201
    )


if __name__ == "__main__":
    main()
