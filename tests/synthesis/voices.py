"""Voices and small chains for tests."""

import numpy as np
import torch
from torch import nn

from rtc_voice.synthesis.chain import VoiceChain
from rtc_voice.synthesis.wavenet import WaveNetConfig
from rtc_voice.voices.types import Voice


def voice(f0_hz: float = 120.0, tract: float = 1.0, tilt_db: float = 0.0, seed: int = 0) -> Voice:
    embedding = np.random.default_rng(seed).standard_normal(256).astype(np.float32)
    return Voice(embedding / np.linalg.norm(embedding), f0_hz, 2.5, tract, tilt_db)


def small_chain() -> VoiceChain:
    """A chain whose small WaveNet has something to say, as if trained."""
    torch.manual_seed(0)
    small = WaveNetConfig(channels=8, layers=3, dilation_cycle=3)
    chain = VoiceChain(wavenet=small).eval()
    nn.init.normal_(chain.wavenet.out.weight, std=0.02)
    return chain
