"""Folders of recordings as corpora come: who speaks, what is said, and which recordings are of no use."""

import re
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from rtc_voice.config import AUDIO
from rtc_voice.errors import InputError
from rtc_voice.training.voice_data import FULL_BAND_HZ

SUFFIXES = (".wav", ".flac", ".opus", ".ogg", ".mp3", ".m4a")
_SHORTEST_S, _LONGEST_S = 1.0, 30.0
_SILENT = 1e-3  # peak
_MOST_CLIPPED = 1e-3  # share of the samples that lie at the peak
_LEAST_SNR_DB = 15.0  # between the loud and the quiet hops
_LEAST_SPEECH = 0.3  # share of the hops within 35 dB of the loud ones
_NEAR_TOP = 0.94  # of half the sample rate: above, resamplers fade out


def recordings(folder: Path) -> list[Path]:
    """The recordings in ``folder`` and below, one a sentence.

    Raises:
        InputError: there is none.
    """
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and not _is_second(path))
    if not files:
        raise InputError(f"no recordings in {folder}", f"formats: {', '.join(SUFFIXES)}")
    return files


def fault(samples: NDArray[np.float32]) -> str:
    """Why a recording at ``AUDIO.sample_rate`` is of no use; empty where it is."""
    seconds, peak = len(samples) / AUDIO.sample_rate, float(np.abs(samples).max(initial=0))
    if not _SHORTEST_S <= seconds <= _LONGEST_S:
        return f"{seconds:.1f} s long; allowed: {_SHORTEST_S:.0f} to {_LONGEST_S:.0f} s"
    if peak < _SILENT:
        return "silent"
    # Two in a row at the peak: a sine touches it with one sample, what is cut off stays there.
    at_peak = np.abs(samples) >= 0.999 * peak
    clipped = float(np.mean(at_peak[1:] & at_peak[:-1]))
    if clipped > _MOST_CLIPPED:
        return f"clipped: {100 * clipped:.1f} % of the samples"
    hops = samples[: len(samples) // AUDIO.hop * AUDIO.hop].reshape(-1, AUDIO.hop)
    level_db = 10 * np.log10(np.mean(np.square(hops), axis=1) + 1e-10)
    quiet_db, loud_db = np.quantile(level_db, [0.05, 0.95])
    if loud_db - quiet_db < _LEAST_SNR_DB:
        return f"noisy: the pauses are only {loud_db - quiet_db:.0f} dB softer than the speech"
    speech = float(np.mean(level_db > loud_db - 35))
    return f"mostly silence: {100 * (1 - speech):.0f} %" if speech < _LEAST_SPEECH else ""


def band(path: Path) -> int:
    """Up to where, in Hz, a recording is to be trusted, by its sample rate."""
    with av.open(str(path)) as container:
        rate = container.streams.audio[0].rate
    return FULL_BAND_HZ if rate >= 2 * FULL_BAND_HZ else int(_NEAR_TOP * rate / 2)


def speaker_of(path: Path) -> str:
    """The speaker's folder: the chapter's parent in LibriTTS, whose files begin with its name, else the file's own."""
    speaker, chapter = path.parent.parent.name, path.parent.name
    return speaker if re.match(rf"{re.escape(speaker)}[-_]{re.escape(chapter)}[-_]", path.stem) else chapter


def text_of(path: Path) -> str:
    """The transcript that lies beside a recording or in VCTK's ``txt`` folder; empty where there is none."""
    stem = re.sub(r"_mic\d$", "", path.stem)
    vctk = path.parent.parent.parent / "txt" / path.parent.name / f"{stem}.txt"
    for text in (path.with_suffix(".normalized.txt"), path.with_suffix(".txt"), vctk):
        if text.is_file():
            return " ".join(text.read_text(encoding="utf-8", errors="replace").split())
    return ""


def read_sexes(folder: Path) -> dict[str, float]:
    """1 for men and 0 for women by speaker, from the list that LibriTTS, LibriSpeech and VCTK bring along."""
    lists = ("SPEAKERS.txt", "speakers.tsv", "speaker-info.txt")
    males: dict[str, float] = {}
    for path in (place / name for place in (folder, folder.parent) for name in lists):
        if path.is_file():
            for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
                if found := re.match(r"\s*(\w+)\b.*?[\s|]([FM])\b", line):
                    males[found[1]] = float(found[2] == "M")
    return males


def _is_second(path: Path) -> bool:
    """Whether it is what VCTK's second microphone heard of the same words."""
    return path.stem.endswith("_mic2")
