"""Naturalness by networks that learnt listeners' scores: DNSMOS and PLCMOS, whose files the package speechmos carries.

Run here instead of by that package: on one thread, with listeners that stay the same, and a short clip in one window
(the package repeats it to more than that, which took 5 s for a clip of 3 s).
"""

from pathlib import Path

import numpy as np
import onnxruntime
import speechmos
from numpy.typing import NDArray
from speechmos.plcmos import PLCMOS

from rtc_voice.voices.speaker_encoder import SAMPLE_RATE

_MODELS = Path(speechmos.__file__).parent
_DNSMOS_SAMPLES = int(9.01 * SAMPLE_RATE)  # what the network judges at a time
_DNSMOS_OVRL = np.polynomial.Polynomial([0.04602535, 1.11546468, -0.06766283])  # raw to 1..5, as the package has it
_LISTENERS = 5  # that PLCMOS imagines


class Dnsmos:
    """Overall quality, 1 to 5, of 16 kHz speech ``[T]`` in [-1, 1].

    Source:
        Reddy, Gopal and Cutler 2022, DNSMOS P.835, https://arxiv.org/abs/2110.01763.
    """

    def __init__(self) -> None:
        self._session = _session(_MODELS / "dnsmos_models" / "sig_bak_ovr.onnx")

    def __call__(self, samples: NDArray[np.float32]) -> float:
        """The score: the mean over windows a second apart; what is shorter than a window is repeated to fill one."""
        hops = max(1, int(len(samples) // SAMPLE_RATE - 9.01) + 1)
        samples = np.resize(samples, max(len(samples), _DNSMOS_SAMPLES))
        pieces = [samples[start : start + _DNSMOS_SAMPLES] for start in SAMPLE_RATE * np.arange(hops)]
        raw = [self._session.run(None, {"input_1": piece[None]})[0][0][2] for piece in pieces]
        return float(np.mean(_DNSMOS_OVRL(np.array(raw))))


class Plcmos:
    """Freedom from holes and from what fills them badly, 1 to 5, of 16 kHz speech ``[T]`` in [-1, 1].

    Source:
        Diener et al. 2023, PLCMOS, https://arxiv.org/abs/2305.15127.
    """

    def __init__(self) -> None:
        self._network = PLCMOS()
        self._network.session = _session(_MODELS / "plcmos_models" / "plcmos_v2.onnx")
        self._listeners = np.random.default_rng(0).normal(size=(_LISTENERS, 1, 64)).astype(np.float32)

    def __call__(self, samples: NDArray[np.float32]) -> float:
        """The mean score of the listeners."""
        rows = np.asarray(self._network.stft_transform(samples), np.float32)[None, None]
        ask = self._network.session.run
        scores = [ask(None, {"degraded_audio": rows, "rater_embed": one})[0] for one in self._listeners]
        return float(np.mean(scores))


def _session(path: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
