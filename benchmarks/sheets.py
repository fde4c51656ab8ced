"""Spectrograms before and after as one picture: ``python -m benchmarks.sheets docs/voice-sheets.png``.

Each column is one sentence: as recorded, copied by analysis and synthesis, converted, and typed. Sources and voices are
synthetic (Kokoro) and unheard in training, so that the picture may be shown anywhere.
"""

import argparse
import io
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from PIL import Image
from scipy.signal import stft

from benchmarks.recordings import SHARED, Recording, both_sexes, read_manifest
from benchmarks.systems import Samples, conversions, copies, texts
from rtc_voice.config import AUDIO
from rtc_voice.errors import RtcVoiceError
from rtc_voice.speech.text import TextToSpeech
from rtc_voice.voices.recording import voice_of_recording

_LONGEST_S = 6.0  # of a sentence on the sheet
_DEPTH_DB = 70.0


def main() -> int:
    """Draw; 0, or 2 where the recordings are not there."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, help="PNG to write")
    options = parser.parse_args()
    torch.set_num_threads(1)
    try:
        draw(columns(SHARED / "speech_kokoro" / "manifest.csv"), options.out)
    except RtcVoiceError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def columns(manifest: Path) -> list[tuple[str, dict[str, Samples]]]:
    """A woman's sentence in a man's voice and the other way round: a heading, and the sounds by their names."""
    woman, man = both_sexes(read_manifest(manifest))[:2]
    return [("woman → man", _sounds(woman, man)), ("man → woman", _sounds(man, woman))]


def draw(sheet: list[tuple[str, dict[str, Samples]]], out: Path) -> None:
    """Write the sheet as a PNG of few colours."""
    names = list(sheet[0][1])
    figure, axes = plt.subplots(len(names), len(sheet), figsize=(13, 2.3 * len(names)), sharex="col", sharey=True)
    for (heading, sounds), column in zip(sheet, axes.T, strict=True):
        longest_s = max(len(samples) for samples in sounds.values()) / AUDIO.sample_rate
        for name, axis in zip(names, column, strict=True):
            _spectrogram(axis, sounds[name])
            axis.set_xlim(0, longest_s)
            axis.set_title(f"{name} ({heading})" if name == names[2] else name, fontsize=9, loc="left")
    for axis in axes[:, 0]:
        axis.set_ylabel("kHz", fontsize=8)
    for axis in axes[-1]:
        axis.set_xlabel("s", fontsize=8)
    figure.tight_layout()
    picture = io.BytesIO()
    figure.savefig(picture, dpi=90)
    plt.close(figure)
    Image.open(picture).convert("RGB").quantize(64).save(out, optimize=True)


def _sounds(source: list[Recording], target: list[Recording]) -> dict[str, Samples]:
    clip = max((one for one in source if one.seconds < _LONGEST_S), key=lambda one: one.seconds)
    samples = clip.load(AUDIO.sample_rate)
    own = voice_of_recording(samples, AUDIO.sample_rate)
    speech = np.concatenate([one.load(AUDIO.sample_rate) for one in target])
    wanted = voice_of_recording(speech, AUDIO.sample_rate)
    typed = np.concatenate(list(TextToSpeech().sentences(clip.text)))
    return {
        "natural": samples,
        "copy": copies()["copy"](samples, own, own),
        "conversion": conversions()["conversion"](samples, own, wanted),
        "the same words typed": texts()["text"](typed, own, wanted),
    }


def _spectrogram(axis: Axes, samples: Samples) -> None:
    hz, seconds, spectrum = stft(samples, AUDIO.sample_rate, nperseg=720, noverlap=600, nfft=1024)
    level_db = 20 * np.log10(np.abs(spectrum) + 1e-7)
    top = np.quantile(level_db, 0.999)
    extent = (0, seconds[-1], 0, hz[-1] / 1000)
    axis.imshow(level_db, origin="lower", aspect="auto", extent=extent, vmin=top - _DEPTH_DB, vmax=top, cmap="magma")
    axis.set_facecolor("black")
    axis.tick_params(labelsize=7)


if __name__ == "__main__":
    sys.exit(main())
