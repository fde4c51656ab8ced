"""Train the correction of the shares of noise on the synthesiser's own sound: a minute on one core."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor

from rtc_voice.config import AUDIO
from rtc_voice.speech.analysis import Features, SpeechAnalysis
from rtc_voice.speech.aperiodicity import AperiodicityCorrection
from rtc_voice.speech.envelope import APERIODICITY_EDGES_HZ
from rtc_voice.synthesis.chain import source_and_filter
from rtc_voice.synthesis.excitation import Excitation
from rtc_voice.synthesis.filter import MinimumPhaseFilter
from rtc_voice.training.voice_data import VoiceSet, to_features

_SHARES = len(APERIODICITY_EDGES_HZ) - 1
_ROWS = 300  # of a segment


def train_aperiodicity(voices: VoiceSet, output: Path, segments: int = 320, steps: int = 3000) -> float:
    """Train and write ``output``; the mean error of the last hundred steps."""
    rng = np.random.default_rng(0)
    torch.manual_seed(0)
    made = list(_examples(voices, rng, segments))
    measured, f0, true = (torch.cat(parts) for parts in zip(*made, strict=True))
    correction = AperiodicityCorrection()
    optimizer = torch.optim.Adam(correction.parameters())
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, steps)
    errors = []
    for _ in range(steps):
        picked = torch.from_numpy(rng.choice(len(f0), 16))
        guess = correction.step(measured[picked], f0[picked], correction.init_state(16))
        loss = (guess - true[picked])[f0[picked] > 0].abs().mean()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
        errors.append(loss.item())
    save_file(correction.state_dict(), output)
    return float(np.mean(errors[-100:]))


@torch.inference_mode()
def _examples(voices: VoiceSet, rng: np.random.Generator, count: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Shares measured on synthetic speech, its measured F0, and the true shares, 8 segments at a time."""
    analysis = SpeechAnalysis()
    excitation = Excitation(AUDIO.sample_rate, AUDIO.hop)
    shape = MinimumPhaseFilter(AUDIO.sample_rate, AUDIO.hop, hiss=[1.0] * _SHARES)
    chosen = [i for i in voices.choose(is_test=False) if voices.entries[i].rows >= _ROWS]
    late = analysis.lookahead // AUDIO.hop
    for _ in range(count // 8):
        picked = rng.choice(chosen, 8)
        features = to_features(torch.from_numpy(np.stack([voices.features(i, 0, _ROWS) for i in picked])))
        is_voiced = features.f0.unsqueeze(-1) > 0
        shares = torch.where(is_voiced, _random_shares(rng, 8), torch.ones(()))
        features = Features(features.envelope, _flattened(features.f0, rng), shares)
        speech = source_and_filter(excitation, shape, features, excitation.init_state(8), shape.init_state(8))[:, 0]
        f0, measured = analysis.measure(speech)
        both = (f0[:, late:] > 0) & (features.f0[:, :-late] > 0)
        yield measured[:, late:], torch.where(both, f0[:, late:], torch.zeros(())), shares[:, :-late]


def _flattened(f0: Tensor, rng: np.random.Generator) -> Tensor:
    """F0 that moves less around its mean, down to a monotone: some people, and machines, speak so."""
    share = torch.from_numpy(rng.uniform(0, 1.2, (len(f0), 1)).clip(0.0, 1.0).astype(np.float32) ** 2)
    is_voiced = f0 > 0
    logs = torch.where(is_voiced, torch.log(f0.clamp(min=1)), torch.zeros(()))
    mean = logs.sum(dim=1, keepdim=True) / is_voiced.sum(dim=1, keepdim=True).clamp(min=1)
    return torch.where(is_voiced, torch.exp(mean + (logs - mean) * share), f0)


def _random_shares(rng: np.random.Generator, batch: int) -> Tensor:
    """Shares of noise that rise with frequency and wander in time, ``[B, F, shares]``."""
    steps = rng.normal(0, 0.25, (batch, _ROWS, _SHARES)) + rng.normal(0, 0.15, (batch, _ROWS, 1))
    walk = np.cumsum(steps, axis=1)
    walk -= walk.mean(axis=1, keepdims=True)
    base, slope = rng.uniform(-7, 1, (batch, 1, 1)), rng.uniform(0, 1.5, (batch, 1, 1))
    base = base + rng.normal(0, 1.5, (batch, 1, _SHARES))
    return torch.from_numpy(1 / (1 + np.exp(-(base + slope * np.arange(_SHARES) + walk))).astype(np.float32))
