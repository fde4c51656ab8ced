"""The voice of a recording: whose it is by the speaker encoder, and its pitch and vocal tract as measured."""

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.signal import butter, resample_poly, sosfiltfilt

from rtc_voice.config import AUDIO
from rtc_voice.errors import AudioError
from rtc_voice.speech.analysis import FRAME, SpeechAnalysis
from rtc_voice.speech.formants import tract_length
from rtc_voice.voices.speaker_encoder import SpeakerEncoder
from rtc_voice.voices.traits import RANGE_SEMITONES, TRACT, clip
from rtc_voice.voices.types import Voice

LONGEST_S = 30.0  # of a recording that is looked at: more tells hardly more
SHORTEST_VOICED_S = 0.5  # of voiced sound
_SILENT = 1e-3  # peak below which nothing was recorded
_LOUD = 0.1  # of the loud rows' amplitude: what hums in the pauses has a pitch too
_RUMBLE_HZ = 80.0  # hum and rumble lie below; a deep voice is known by its overtones
_OCTAVE_ERROR = 8.0  # semitones from the median
_STEADIEST = 0.1  # semitones; no person holds a note so well

Samples = NDArray[np.float32]
Array = NDArray[np.float64]


def voice_of_recording(samples: Samples, sample_rate: int, encoder: SpeakerEncoder | None = None) -> Voice:
    """The voice of the one person who speaks in a recording: its embedding, F0, F0 range and tract as measured.

    Takes about 0.1 s per second of speech: not for the event loop.

    Args:
        samples: mono, peak 1, ``[T]``; the first ``LONGEST_S`` seconds count.
        sample_rate: Hz.
        encoder: if one is loaded already.

    Raises:
        AudioError: silence, noise, a tone, too little speech, or no numbers.
    """
    if samples.ndim != 1 or not np.all(np.isfinite(samples)):
        raise AudioError(f"the recording has shape {samples.shape} or is not finite", "give one channel of numbers")
    speech = np.asarray(samples[: round(LONGEST_S * sample_rate)], dtype=np.float32)
    if sample_rate != AUDIO.sample_rate:
        common = int(np.gcd(sample_rate, AUDIO.sample_rate))
        speech = resample_poly(speech, AUDIO.sample_rate // common, sample_rate // common).astype(np.float32)
    if np.abs(speech).max(initial=0.0) < _SILENT:
        raise AudioError("the recording is silent", "use one in which somebody speaks")
    f0, times = voiced_rows(speech)
    if f0.size * AUDIO.hop < SHORTEST_VOICED_S * AUDIO.sample_rate:
        voiced_s = f0.size * AUDIO.hop / AUDIO.sample_rate
        raise AudioError(f"there is hardly any speech in the recording ({voiced_s:.1f} s)", "use 3 s or more of it")
    log_f0 = 12 * np.log2(f0)
    if log_f0.std() < _STEADIEST:
        raise AudioError(f"the recording is a tone of {f0.mean():.0f} Hz, not speech", "use one of a person who speaks")
    return Voice(
        embedding=(encoder or SpeakerEncoder()).embed(speech, AUDIO.sample_rate),
        f0_hz=float(2 ** (log_f0.mean() / 12)),
        f0_range_semitones=clip(float(log_f0.std()), RANGE_SEMITONES),
        tract=clip(tract_length(speech, AUDIO.sample_rate, times), TRACT),
    )


@torch.inference_mode()
def voiced_rows(speech: Samples) -> tuple[Array, Array]:
    """F0 in Hz and its times in seconds, a row per hop, where a voice sounds aloud; ``[F]`` each."""
    analysis = SpeechAnalysis()
    padded = torch.from_numpy(np.pad(_without_rumble(speech), (FRAME // 2, FRAME // 2 + AUDIO.hop)))
    frames = padded.unfold(0, FRAME, AUDIO.hop).unsqueeze(0)
    f0 = analysis.pitch.step(analysis.look(frames).pitch, analysis.pitch.init_state(1))[0].double().numpy()
    loudness = frames[0].square().mean(dim=-1).sqrt().numpy()
    is_voiced = (f0 > 0) & (loudness > _LOUD * np.quantile(loudness, 0.95))
    return without_octave_errors(f0[is_voiced], np.flatnonzero(is_voiced) * AUDIO.hop / AUDIO.sample_rate)


def without_octave_errors(f0: Array, times: Array) -> tuple[Array, Array]:
    """F0 in Hz and its times ``[F]`` where it lies near the median."""
    near = np.abs(12 * np.log2(f0 / np.median(f0))) < _OCTAVE_ERROR if f0.size else f0 > 0
    return f0[near], times[near]


def _without_rumble(speech: Samples) -> Samples:
    high_pass = butter(4, _RUMBLE_HZ, "highpass", fs=AUDIO.sample_rate, output="sos")
    filtered: Samples = sosfiltfilt(high_pass, speech, padlen=min(480, len(speech) - 1)).astype(np.float32)
    return filtered
