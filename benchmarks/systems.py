"""The systems that ``quality`` compares: the chain, the chain without its parts, and plain voice changers."""

import math
from collections.abc import Callable, Iterator
from functools import cache

import numpy as np
import pyworld
import torch
from numpy.typing import NDArray

from rtc_voice.config import AUDIO
from rtc_voice.offline import convert, pronounce
from rtc_voice.speech.analysis import Features
from rtc_voice.speech.speaker_pitch import AVERAGE_F0_HZ
from rtc_voice.speech.streaming import put_rows
from rtc_voice.synthesis.chain import VoiceChain, load_chain, source_and_filter
from rtc_voice.synthesis.mapping import TEXT_VOICE, warp_envelope
from rtc_voice.voices.types import Voice

Samples = NDArray[np.float32]
# Men (120 Hz) have tracts 16 % longer than women (210 Hz): Fitch and Giedd 1999.
_TRACT_PER_OCTAVE = -0.2

System = Callable[[Samples, Voice, Voice], Samples]
"""Speech, the voice it is in, the voice it shall be in: the changed speech."""


def copies() -> dict[str, System]:
    """Analysis and synthesis with nothing between: what the vocoder alone costs."""
    return {
        "copy_no_wavenet": lambda samples, own, _: _synthesis(_mute(), _analysed(_mute(), samples), own),
        "copy": lambda samples, own, _: _synthesis(_whole(), _analysed(_whole(), samples), own),
    }


def voice_changers() -> dict[str, System]:
    """What knows nothing of a voice but its pitch and its size: by this project's vocoder and by WORLD."""
    return {
        "f0_shift": lambda samples, _, wanted: _moved(samples, wanted, with_formants=False),
        "f0_and_formant_shift": lambda samples, _, wanted: _moved(samples, wanted, with_formants=True),
        "world_shift": _moved_by_world,
    }


def conversions() -> dict[str, System]:
    """Into another voice, in the very chunks of a call."""
    return {
        "conversion_no_wavenet": lambda samples, _, wanted: _joined(convert(samples, wanted, _mute())),
        "conversion": lambda samples, _, wanted: _joined(convert(samples, wanted, _whole())),
    }


def texts() -> dict[str, System]:
    """The same for typed words: their source speech is in a voice that is known."""
    return {
        "text_no_wavenet": lambda samples, _, wanted: _joined(pronounce(samples, wanted, TEXT_VOICE, _mute())),
        "text": lambda samples, _, wanted: _joined(pronounce(samples, wanted, TEXT_VOICE, _whole())),
    }


@cache
def _whole() -> VoiceChain:
    return load_chain()


@cache
def _mute() -> VoiceChain:
    """The chain with a WaveNet that corrects nothing."""
    chain = load_chain()
    chain.correct = lambda signals, features, state: torch.zeros_like(signals[:, 0])
    return chain


def _joined(pieces: Iterator[Samples]) -> Samples:
    return np.concatenate(list(pieces))


@torch.inference_mode()
def _moved(samples: Samples, wanted: Voice, *, with_formants: bool) -> Samples:
    """F0 moved to the wanted voice's, and the formants by the ratio of its tract to what the speaker's F0 suggests."""
    chain = _mute()
    state = chain.map.init_state(1)
    target = chain.map.voice_state(wanted, torch.ones(1, 1))
    put_rows({name: state[name] for name in target}, torch.tensor([0]), target)
    heard = _analysed(chain, samples)
    mean, spread = chain.speaker_pitch.step(heard, chain.speaker_pitch.init_state(1))
    moved = Features(heard.envelope, chain.map.move_pitch(heard.f0, mean, spread, state), heard.aperiodicity)
    if with_formants:
        own = (1 + _TRACT_PER_OCTAVE * (mean - math.log(AVERAGE_F0_HZ)) / math.log(2)).clamp(0.8, 1.2)
        moved = Features(
            warp_envelope(heard.envelope, wanted.tract / own.to(heard.envelope.dtype)), moved.f0, moved.aperiodicity
        )
    return _synthesis(chain, moved, wanted)


def _moved_by_world(samples: Samples, own: Voice, wanted: Voice) -> Samples:
    """F0 and formants moved by what is known of both voices, with all of the recording's future known.

    WORLD (Morise 2016, https://doi.org/10.1587/transinf.2015EDP7457) has no trained part: a plain voice changer.
    """
    rate, sound = AUDIO.sample_rate, samples.astype(np.float64)
    f0, envelope, aperiodicity = pyworld.wav2world(sound, rate)
    bins = np.arange(envelope.shape[1])
    read = (bins * wanted.tract / own.tract).clip(0, bins[-1])
    moved = np.exp([np.interp(read, bins, np.log(row)) for row in envelope])
    made: NDArray[np.float64] = pyworld.synthesize(f0 * wanted.f0_hz / own.f0_hz, moved, aperiodicity, rate)
    return made[: len(samples)].clip(-1, 1).astype(np.float32)


@torch.inference_mode()
def _analysed(chain: VoiceChain, samples: Samples) -> Features:
    whole_hops = torch.from_numpy(samples[: len(samples) // AUDIO.hop * AUDIO.hop])
    features: Features = chain.analysis(whole_hops.unsqueeze(0))
    return features


@torch.inference_mode()
def _synthesis(chain: VoiceChain, features: Features, voice: Voice) -> Samples:
    state = chain.init_state(1)
    chain.set_voice(voice, state, 0)
    excitation = state["source"]["excitation"]
    signals = source_and_filter(chain.excitation, chain.filter, features, excitation, state["filter"])
    correction = chain.correct(signals, features, state["wavenet"])
    made: Samples = (signals[:, 0] + correction)[0].clamp(-1, 1).numpy()
    return made
