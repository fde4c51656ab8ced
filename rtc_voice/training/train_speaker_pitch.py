"""Train the guess of a speaker's mean F0 on the beginnings of recordings: a minute on one core."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor

from rtc_voice.speech.speaker_pitch import SpeakerPitch
from rtc_voice.synthesis.mapping import warp_envelope
from rtc_voice.training.voice_data import VoiceSet, to_features

_LONGEST_ROWS = 800  # of a recording
_LEAST_VOICED = 60
_MOMENTS = 16  # of each recording, at random
_LARGEST_SHIFT = 0.35  # nepers of F0 by which recordings are moved, their formants a third as far
_PER_VOICE = 40  # recordings at most: a synthetic voice with hundreds is one voice still

Moments = tuple[Tensor, Tensor, Tensor, Tensor, Tensor]
"""What ``SpeakerPitch.guess`` takes."""


def train_speaker_pitch(voices: VoiceSet, output: Path, passes: int = 4, epochs: int = 12) -> float:
    """Train and write ``output``; the mean error of the held-out speakers' recordings in semitones."""
    rng = np.random.default_rng(0)
    torch.manual_seed(0)
    network = SpeakerPitch()
    made = list(_examples(voices, rng, passes))
    moments: list[Tensor] = [torch.cat([m[i] for m, _ in made]) for i in range(5)]
    truth = torch.cat([t for _, t in made])
    optimizer = torch.optim.AdamW(network.parameters(), 1e-3, weight_decay=1e-2)
    for _ in range(epochs):
        for picked in torch.split(torch.randperm(len(truth)), 512):
            error = network.guess(*(m[picked] for m in moments)) - truth[picked]
            loss = error.abs().mean() + error.square().mean()
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    save_file(network.state_dict(), output)
    return held_out_error(voices, network)


@torch.inference_mode()
def held_out_error(voices: VoiceSet, network: SpeakerPitch, longest: int = 500) -> float:
    """By how many semitones speech comes out off its mean over the first ``longest`` rows, on average."""
    errors = []
    for index in voices.choose(is_test=True):
        features = to_features(torch.from_numpy(voices.features(index, 0, voices.entries[index].rows))[None])
        is_voiced = features.f0[0] > 0
        if int(is_voiced.sum()) < _LEAST_VOICED:
            continue
        mean, _ = network.step(features, network.init_state(1))
        off = (torch.log(features.f0.clamp(min=1)) - mean)[0, :longest][is_voiced[:longest]]
        errors.append(abs(float(off.mean())) * 12 / np.log(2))
    return float(np.mean(errors)) if errors else float("nan")


@torch.inference_mode()
def _examples(voices: VoiceSet, rng: np.random.Generator, passes: int) -> Iterator[tuple[Moments, Tensor]]:
    """Moments of each recording, and the recording's mean; after the first pass as other speakers would say it."""
    count: dict[str, int] = {}
    for index in voices.choose(is_test=False):
        speaker = voices.entries[index].speaker
        count[speaker] = count.get(speaker, 0) + 1
        if count[speaker] > _PER_VOICE:
            continue
        rows = voices.features(index, 0, min(voices.entries[index].rows, _LONGEST_ROWS))
        for number in range(passes):
            shift = float(rng.uniform(-_LARGEST_SHIFT, _LARGEST_SHIFT)) if number else 0.0
            warp = float(np.exp(-0.3 * shift + rng.normal(0, 0.05))) if number else 1.0
            if (made := _moments(rows, shift, warp, rng)) is not None:
                yield made


def _moments(
    rows: NDArray[np.float32], shift: float, warp: float, rng: np.random.Generator
) -> tuple[Moments, Tensor] | None:
    features = to_features(torch.from_numpy(rows)[None])
    envelope = warp_envelope(features.envelope, torch.full_like(features.f0, warp))[0][features.f0[0] > 0]
    pitch, shape = SpeakerPitch.figures_of(features.f0[0][features.f0[0] > 0] * float(np.exp(shift)), envelope)
    if len(pitch) < _LEAST_VOICED:
        return None
    count = torch.arange(1, len(pitch) + 1).unsqueeze(-1)
    mean, square, seen = (torch.cumsum(x, dim=0) / count for x in (pitch, pitch**2, shape))
    at = torch.from_numpy(rng.integers(0, len(pitch), _MOMENTS))
    spread = (square - mean**2).clamp(min=0).sqrt()
    truth = pitch.mean().expand(_MOMENTS, 1)
    return (pitch[at], count[at].to(pitch.dtype), mean[at], spread[at], seen[at]), truth
