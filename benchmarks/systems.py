"""The systems that ``quality`` compares: the chain, the chain without its parts, and plain voice changers."""

from collections.abc import Callable
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray

from rtc_voice.config import AUDIO
from rtc_voice.offline import convert
from rtc_voice.speech.analysis import Features
from rtc_voice.speech.streaming import State, put_rows
from rtc_voice.synthesis.chain import VoiceChain, conditioning, load_chain, loudness, source_and_filter
from rtc_voice.synthesis.mapping import TEXT_VOICE, UNKNOWN_SPEAKER, Speaker, VoiceMap
from rtc_voice.voices.types import Voice

Samples = NDArray[np.float32]
System = Callable[[Samples, Voice, Voice], Samples]
"""Speech, the voice it is in, the voice it shall be in: the changed speech."""


def copies() -> dict[str, System]:
    """Analysis and synthesis with nothing between: what the vocoder alone costs."""
    return {
        "copy_no_wavenet": lambda samples, own, _: _synthesis(_mute(), _analysed(_mute(), samples), own),
        "copy": lambda samples, own, _: _synthesis(_whole(), _analysed(_whole(), samples), own),
    }


def voice_changers() -> dict[str, System]:
    """What knows nothing of a voice but its pitch and its size."""
    return {
        "f0_shift": lambda samples, _, wanted: _moved(samples, wanted, VoiceMap.move_pitch),
        "f0_and_formant_shift": lambda samples, _, wanted: _moved(samples, wanted, VoiceMap.step),
    }


def conversions() -> dict[str, System]:
    """Into another voice, in the very chunks of a call."""
    return {
        "conversion_no_wavenet": lambda samples, _, wanted: _converted(_mute(), samples, wanted, UNKNOWN_SPEAKER),
        "conversion": lambda samples, _, wanted: _converted(_whole(), samples, wanted, UNKNOWN_SPEAKER),
    }


def texts() -> dict[str, System]:
    """The same for typed words: their source speech is in a voice that is known."""
    return {
        "text_no_wavenet": lambda samples, _, wanted: _converted(_mute(), samples, wanted, TEXT_VOICE),
        "text": lambda samples, _, wanted: _converted(_whole(), samples, wanted, TEXT_VOICE),
    }


@cache
def _whole() -> VoiceChain:
    return load_chain()


@cache
def _mute() -> VoiceChain:
    """The chain with a WaveNet that corrects nothing."""
    chain = load_chain()
    chain.wavenet.run = lambda signals, features, loudness, state: torch.zeros_like(signals[:, 0])
    return chain


def _converted(chain: VoiceChain, samples: Samples, wanted: Voice, speaker: Speaker) -> Samples:
    return np.concatenate(list(convert(samples, wanted, chain, speaker)))


@torch.inference_mode()
def _moved(samples: Samples, wanted: Voice, move: Callable[[VoiceMap, Features, State], Features]) -> Samples:
    chain = _mute()
    state = chain.map.init_state(1)
    target = chain.map.voice_state(wanted)
    put_rows({name: state[name] for name in target}, torch.tensor([0]), target)
    return _synthesis(chain, move(chain.map, _analysed(chain, samples), state), wanted)


@torch.inference_mode()
def _analysed(chain: VoiceChain, samples: Samples) -> Features:
    whole_hops = torch.from_numpy(samples[: len(samples) // AUDIO.hop * AUDIO.hop])
    features: Features = chain.analysis(whole_hops.unsqueeze(0))
    return features


@torch.inference_mode()
def _synthesis(chain: VoiceChain, features: Features, voice: Voice) -> Samples:
    state = chain.init_state(1)
    chain.set_voice(voice, state, 0)
    signals = source_and_filter(chain.excitation, chain.filter, features, state["excitation"], state["filter"])
    correction = chain.wavenet.run(signals, conditioning(features), loudness(features), state["wavenet"])
    made: Samples = (signals[:, 0] + correction)[0].clamp(-1, 1).numpy()
    return made
