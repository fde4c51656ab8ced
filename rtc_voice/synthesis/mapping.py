"""From the features of whoever spoke to those of the voice that shall be heard."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from rtc_voice.config import AUDIO
from rtc_voice.speech import text
from rtc_voice.speech.analysis import Features
from rtc_voice.speech.envelope import BANDS, hz_to_mel, mel_to_hz
from rtc_voice.speech.interpolation import between, lerp
from rtc_voice.speech.pitch import CEILING_HZ, FLOOR_HZ, semitones
from rtc_voice.speech.speaker_pitch import AVERAGE_F0_HZ, MEMORY_ROWS, TYPICAL_RANGE
from rtc_voice.speech.streaming import State
from rtc_voice.voices.types import Voice

_CLEARER = 0.2  # by how much of what a band differs from its neighbourhood it is made to differ more
_NEIGHBOURHOOD = 21  # bands
_OWN_HISS = 0.2  # share of the speaker's own envelope in unvoiced rows
_TOP_MEL = hz_to_mel(torch.tensor(AUDIO.sample_rate / 2, dtype=torch.float64)).item()


@dataclass(frozen=True, slots=True)
class Speaker:
    """What is known of the speaker whose speech goes in; corrected as it is heard."""

    f0_hz: float = AVERAGE_F0_HZ
    f0_range_semitones: float = 0.0
    rows_heard: float = 0.0  # voiced rows that this knowledge is worth


UNKNOWN_SPEAKER = Speaker()


def known_speaker(f0: tuple[float, float] | None) -> Speaker:
    """Whoever speaks with this mean in Hz and range in semitones; somebody unknown for None."""
    return UNKNOWN_SPEAKER if f0 is None else Speaker(*f0, rows_heard=MEMORY_ROWS)


TEXT_VOICE = known_speaker(text.TextToSpeech.f0)


class VoiceMap(nn.Module):
    """Moves F0 from the speaker's to the voice's, makes its envelope clear, and turns its size and brightness.

    An adapter gives the mean of all ways in which its voice might say something, which is flatter than each of them
    (Toda and Tokuda 2007, https://doi.org/10.1093/ietisy/e90-d.5.816): formants and valleys are brought out again. And
    hiss tells much of what is said and little of who says it, so some of the speaker's own stays.
    """

    mel_hz: Tensor
    clearer: Tensor

    def __init__(self, sample_rate: int) -> None:
        super().__init__()
        mel = torch.linspace(0, _TOP_MEL, BANDS, dtype=torch.float64)
        self.register_buffer("mel_hz", mel_to_hz(mel).float(), persistent=False)
        self.register_buffer("clearer", _clearer(), persistent=False)

    def init_state(self, batch: int) -> State:
        """An average voice."""
        row = self.mel_hz.new_ones(batch, 1)
        return {
            "log_f0": row * math.log(AVERAGE_F0_HZ),
            "range": row * TYPICAL_RANGE,
            "warp": warped_bands(row.squeeze(1)),
            "tilt_db": row * 0,
        }

    def voice_state(self, voice: Voice, size: Tensor) -> State:
        """One row of what ``voice``, ``size`` ``[1, 1]`` times as large as its embedding says, sets in the state."""
        row = self.mel_hz.new_ones(1, 1)
        return {
            "log_f0": row * math.log(voice.f0_hz),
            "range": row * semitones(voice.f0_range_semitones),
            "warp": warped_bands(size.squeeze(1)),
            "tilt_db": row * voice.tilt_db,
        }

    def move_pitch(self, f0: Tensor, mean: Tensor, spread: Tensor, state: State) -> Tensor:
        """The F0 of each row's voice for that of a speaker, Hz, 0 where unvoiced, ``[B, F]``.

        Args:
            f0: the speaker's, ``[B, F]``.
            mean: of the speaker's log F0 as known at each row, ``[B, F]``, float64.
            spread: its deviation, likewise.
            state: says whose voice.
        """
        # float64: the phase of the excitation adds up what is off by a last bit.
        own = torch.log(f0.double().clamp(min=FLOOR_HZ)) - mean
        moved = state["log_f0"] + own * (state["range"] / spread).clamp(0.7, 1.4)
        return torch.where(f0 > 0, moved.exp().clamp(FLOOR_HZ, CEILING_HZ).to(f0.dtype), f0)

    def shape(self, features: Features, own: Tensor, state: State) -> Features:
        """The rows clear, as large as each row's voice is beyond what its embedding says, and tilted around 500 Hz.

        Args:
            features: of the voice.
            own: the speaker's own envelope of the same rows, ``[B, F, BANDS]``.
            state: says whose voice.
        """
        clear = features.envelope @ self.clearer
        clear = torch.where(features.f0.unsqueeze(-1) > 0, clear, between(clear, own, _OWN_HISS))
        octaves = torch.log2(self.mel_hz.clamp(min=100) / 500) / math.log2(8000 / 500)
        tilt = state["tilt_db"].unsqueeze(-1) * octaves.clamp(-0.5, 1.0) * (math.log(10) / 20)
        envelope = lerp(clear, state["warp"].unsqueeze(1))
        return Features(envelope + tilt, features.f0, features.aperiodicity)


def _clearer() -> Tensor:
    """What to multiply envelopes ``[..., BANDS]`` by, ``[BANDS, BANDS]``; what is flat stays as it is."""
    window = torch.hann_window(_NEIGHBOURHOOD + 2, periodic=False)[1:-1]
    offsets = torch.arange(_NEIGHBOURHOOD) - _NEIGHBOURHOOD // 2
    near = (torch.arange(BANDS) + offsets.unsqueeze(1)).clamp(0, BANDS - 1)
    mean = torch.einsum("k,kji->ij", window / window.sum(), nn.functional.one_hot(near, BANDS).float())
    return (1 + _CLEARER) * torch.eye(BANDS) - _CLEARER * mean


def warp_envelope(envelope: Tensor, ratio: Tensor) -> Tensor:
    """Each envelope ``[B, F, BANDS]`` read at its frequencies times ``ratio`` ``[B, F]``: above 1 the formants fall."""
    return lerp(envelope, warped_bands(ratio))


def warped_bands(ratio: Tensor) -> Tensor:
    """Where among the bands the frequencies of the bands times ``ratio`` ``[...]`` lie, ``[..., BANDS]``."""
    mel = torch.linspace(0, _TOP_MEL, BANDS, dtype=ratio.dtype, device=ratio.device)
    position = hz_to_mel(mel_to_hz(mel) * ratio.unsqueeze(-1)) / _TOP_MEL * (BANDS - 1)
    return position.clamp(0, BANDS - 1)
