"""Embeds the synthetic voices of the Kokoro set: the shelf that predicted voices are compared with.

``python -m rtc_voice.training.shelve_voices DATA voices.safetensors``; DATA holds ``train/speech_kokoro/manifest.csv``.
"""

import csv
import json
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from rtc_voice.training.speech_sets import load_audio
from rtc_voice.training.voice_labels import voiced_f0
from rtc_voice.voices.speaker_encoder import SAMPLE_RATE, SpeakerEncoder


def shelve(data_dir: Path, out: Path) -> None:
    """Write the mean embedding and F0 of every voice of the set."""
    encoder = SpeakerEncoder()
    embeddings, pitches, names = defaultdict(list), defaultdict(list), {}
    with (data_dir / "train" / "speech_kokoro" / "manifest.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            samples = load_audio(data_dir / row["file"], SAMPLE_RATE)
            embeddings[row["speaker"]].append(encoder.embed(samples, SAMPLE_RATE))
            pitches[row["speaker"]].append(np.log(voiced_f0(samples, SAMPLE_RATE)[0]).mean())
            names[row["speaker"]] = _name(row["styles"])
    means = np.array([np.mean(embeddings[speaker], axis=0) for speaker in names])
    arrays = {
        "embeddings": (means / np.linalg.norm(means, axis=1, keepdims=True)).astype(np.float16),
        "f0_hz": np.exp([np.mean(pitches[speaker]) for speaker in names]).astype(np.float32),
    }
    save_file(arrays, out, metadata={"names": json.dumps(list(names.values()))})


def _name(styles: str) -> str:
    """``af_bella:0.600+am_adam:0.400`` as ``Bella 60 % + Adam 40 %``."""
    parts = [part.rpartition(":") for part in styles.replace("+", ";").replace("|", ";").split(";")]
    named = [(style.partition("_")[2].capitalize(), float(weight)) for style, _, weight in parts]
    return named[0][0] if len(named) == 1 else " + ".join(f"{name} {weight:.0%}" for name, weight in named)


if __name__ == "__main__":
    shelve(Path(sys.argv[1]), Path(sys.argv[2]))
