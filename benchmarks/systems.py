"""The systems that ``quality`` compares: the chain, the chain without its parts, and a plain voice changer."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from rtc_voice.config import AUDIO
from rtc_voice.offline import convert
from rtc_voice.speech.analysis import Features
from rtc_voice.speech.streaming import put_rows
from rtc_voice.synthesis.chain import VoiceChain, conditioning, load_chain, loudness, source_and_filter
from rtc_voice.voices.types import Voice

Samples = NDArray[np.float32]
System = Callable[[Samples, Voice, Voice], Samples]
"""Speech, the voice it is in, the voice it shall be in: the changed speech."""


def systems() -> dict[str, System]:
    """By name; the first two keep the source's voice."""
    chain, mute = load_chain(learned=True), _without_wavenet(load_chain(learned=True))
    return {
        "copy_no_wavenet": lambda samples, own, _: _copy(mute, samples, own),
        "copy": lambda samples, own, _: _copy(chain, samples, own),
        "voice_changer": lambda samples, _, wanted: _plain(mute, samples, wanted),
        "conversion_no_wavenet": lambda samples, _, wanted: np.concatenate(list(convert(samples, wanted, mute))),
        "conversion": lambda samples, _, wanted: np.concatenate(list(convert(samples, wanted, chain))),
    }


def _without_wavenet(chain: VoiceChain) -> VoiceChain:
    """``chain`` with a WaveNet that corrects nothing."""
    chain.wavenet.run = lambda signals, features, loudness, state: torch.zeros_like(signals[:, 0])
    return chain


@torch.inference_mode()
def _copy(chain: VoiceChain, samples: Samples, own: Voice) -> Samples:
    """Analysis and synthesis with nothing between: what the vocoder alone costs."""
    return _synthesis(chain, chain.analysis(_hops(samples)), own)


@torch.inference_mode()
def _plain(chain: VoiceChain, samples: Samples, wanted: Voice) -> Samples:
    """F0 and formants moved by size alone."""
    state = chain.map.init_state(1)
    target = chain.map.voice_state(wanted)
    put_rows({name: state[name] for name in target}, torch.tensor([0]), target)
    return _synthesis(chain, chain.map.step(chain.analysis(_hops(samples)), state), wanted)


def _synthesis(chain: VoiceChain, features: Features, voice: Voice) -> Samples:
    state = chain.init_state(1)
    chain.set_voice(voice, state, 0)
    signals = source_and_filter(chain.excitation, chain.filter, features, state["excitation"], state["filter"])
    correction = chain.wavenet.run(signals, conditioning(features), loudness(features), state["wavenet"])
    made: Samples = (signals[:, 0] + correction)[0].clamp(-1, 1).numpy()
    return made


def _hops(samples: Samples) -> torch.Tensor:
    return torch.from_numpy(samples[: len(samples) // AUDIO.hop * AUDIO.hop]).unsqueeze(0)
