"""Speech as rows of features, one per hop, from the past only."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from rtc_voice.config import AUDIO, AudioConfig
from rtc_voice.speech.aperiodicity import load_correction
from rtc_voice.speech.envelope import Aperiodicity, SpectralEnvelope
from rtc_voice.speech.pitch import PitchTracker
from rtc_voice.speech.streaming import State, slide

FRAME = 960  # samples (40 ms): 2.4 periods of the lowest F0
ENVELOPE_FRAME = 600  # samples (25 ms), centred in the frame


@dataclass(frozen=True, slots=True)
class Features:
    """What is said and how, one row per hop."""

    envelope: Tensor  # natural-log amplitude, ``[B, F, BANDS]``
    f0: Tensor  # Hz, 0 where unvoiced, ``[B, F]``
    aperiodicity: Tensor  # share of noise in [0, 1], ``[B, F, 6]``

    def tensors(self) -> tuple[Tensor, Tensor, Tensor]:
        """Envelope, F0 and aperiodicity."""
        return self.envelope, self.f0, self.aperiodicity

    def each(self, change: Callable[[Tensor], Tensor]) -> "Features":
        """The features with ``change`` made to each tensor."""
        return Features(*map(change, self.tensors()))


@dataclass(frozen=True, slots=True)
class Spectra:
    """Frames of sound, one per hop, and what their transforms say."""

    frames: Tensor  # ``[B, F, FRAME]``
    power: Tensor  # as the pitch tracker and as the envelope look at them, ``[B, F, 2, 1025]``

    def tensors(self) -> tuple[Tensor, Tensor]:
        """Frames and spectra."""
        return self.frames, self.power

    @property
    def pitch(self) -> Tensor:
        """Power as the pitch tracker looks at it, ``[B, F, 1025]``."""
        return self.power[..., 0, :]


class SpeechAnalysis(nn.Module):
    """Envelope, F0 and aperiodicity of speech.

    The row made when hop ``i`` has arrived describes the sound ``lookahead`` samples before the end of that hop: the
    middle of its frame, which is as early as a window over the past can be judged.
    """

    windows: Tensor

    def __init__(self, config: AudioConfig = AUDIO) -> None:
        super().__init__()
        self.hop = config.hop
        self.receptive_field = FRAME
        self.lookahead = FRAME // 2
        self.pitch = PitchTracker(config.sample_rate, FRAME)
        self.envelope = SpectralEnvelope(config.sample_rate, ENVELOPE_FRAME)
        self.aperiodicity = Aperiodicity(config.sample_rate, FRAME)
        self.correction = load_correction()
        # One transform for both: a shorter one is every second bin of it.
        margin, longer = (FRAME - ENVELOPE_FRAME) // 2, self.pitch.n_fft
        windows = torch.stack([self.pitch.window, nn.functional.pad(self.envelope.window, (margin, margin))])
        self.n_fft, self.stride = longer, longer // self.envelope.n_fft
        self.register_buffer("windows", windows, persistent=False)

    def init_state(self, batch: int) -> State:
        """Silence before the first sample."""
        history = self.pitch.window.new_zeros(batch, FRAME - self.hop)
        rows = {"pitch": self.pitch.init_state(batch), "noise": self.correction.init_state(batch)}
        return {"history": history, "rows": rows}

    def step(self, chunk: Tensor, state: State) -> Features:
        """The features of the next ``[B, T]`` samples, ``T`` a multiple of the hop; ``state`` moves in place."""
        return self.judge(self.spectra(chunk, state["history"]), state["rows"])

    def spectra(self, chunk: Tensor, history: Tensor) -> Spectra:
        """What ``judge`` goes by of the next ``[B, T]`` samples; ``history`` moves in place.

        Apart from it, as ONNX Runtime takes five times as long for a transform as torch.
        """
        return self.look(slide(history, chunk).unfold(1, FRAME, self.hop))

    def look(self, frames: Tensor) -> Spectra:
        """What ``judge`` goes by of ``frames`` ``[B, F, FRAME]``."""
        windowed = frames.unsqueeze(-2) * self.windows
        windowed[..., 0, :].addcmul_(frames.mean(dim=-1, keepdim=True), self.windows[0], value=-1)
        spectrum = torch.fft.rfft(windowed, self.n_fft)
        return Spectra(frames, spectrum.real**2 + spectrum.imag**2)

    def judge(self, spectra: Spectra, state: State) -> Features:
        """The features of the next rows; ``state``, the part named ``rows``, moves in place."""
        f0 = self.pitch.step(spectra.pitch, state["pitch"])
        envelope = self.envelope(spectra.power[..., 1, :: self.stride], f0)
        noise = self.correction.step(self.aperiodicity(spectra.frames, f0), f0, state["noise"])
        return Features(envelope, f0, noise)

    def measure(self, samples: Tensor) -> tuple[Tensor, Tensor]:
        """F0 and the uncorrected shares of noise of a whole signal ``[B, T]``, what the correction is trained on."""
        state = self.init_state(samples.shape[0])
        spectra = self.spectra(samples, state["history"])
        f0 = self.pitch.step(spectra.pitch, state["rows"]["pitch"])
        return f0, self.aperiodicity(spectra.frames, f0)

    def forward(self, samples: Tensor) -> Features:
        """The features of a whole signal ``[B, T]``."""
        return self.step(samples, self.init_state(samples.shape[0]))
