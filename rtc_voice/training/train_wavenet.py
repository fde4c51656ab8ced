"""Train the WaveNet to turn what source and filter make of a recording's features back into the recording."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from rtc_voice.config import AUDIO
from rtc_voice.speech.analysis import Features
from rtc_voice.synthesis.chain import conditioning, loudness, source_and_filter
from rtc_voice.synthesis.content import LOOKAHEAD_ROWS, Conversion
from rtc_voice.synthesis.excitation import Excitation
from rtc_voice.synthesis.filter import MinimumPhaseFilter
from rtc_voice.synthesis.wavenet import WaveNet, WaveNetConfig
from rtc_voice.training.checkpoint import Average
from rtc_voice.training.loop import Loop
from rtc_voice.training.losses import SpectralDistance, energy_distance
from rtc_voice.training.train_conversion import disguise
from rtc_voice.training.voice_data import VoiceSet, to_features

FIGURES = ("energy_distance", "distance_to_recording")


@dataclass(frozen=True, slots=True)
class WaveNetTraining:
    """How long and on what."""

    steps: int = 3000
    converted: float = 0.5  # share of segments whose features come through the conversion, as in use
    batch: int = 6  # segments; each is heard with two draws of noise
    rows: int = 100  # of a segment, 1 s
    warm_up_rows: int = 16  # before it, not judged
    rate: float = 1.5e-3
    apart: float = 0.6  # see ``energy_distance``: noise that the network cannot yet shape as speech does is better less
    is_bfloat16: bool = "AVX512" in torch.backends.cpu.get_cpu_capability()  # emulated elsewhere: ten times slower
    log_every: int = 25
    save_every: int = 200


@dataclass(frozen=True, slots=True)
class Batch:
    """Segments of recordings."""

    features: Features
    target: Tensor  # ``[B, T]``
    embedding: Tensor  # ``[B, 256]``
    band_hz: Tensor  # ``[B]``


class Synthesis(nn.Module):
    """The chain from features on, as it is trained: two draws of noise for each segment."""

    def __init__(self, config: WaveNetConfig) -> None:
        super().__init__()
        self.excitation = Excitation(AUDIO.sample_rate, AUDIO.hop)
        self.filter = MinimumPhaseFilter(AUDIO.sample_rate, AUDIO.hop)
        self.wavenet = WaveNet(config, AUDIO.hop)

    def forward(self, features: Features, embedding: Tensor, draw: torch.Generator) -> Tensor:
        """Speech ``[B, T]`` from random noise and a random phase."""
        batch = features.f0.shape[0]
        with torch.no_grad():
            state = self.excitation.random_state(batch, draw)
            made = source_and_filter(self.excitation, self.filter, features, state, self.filter.init_state(batch))
        state = self.wavenet.init_state(batch)
        state["bias"] = self.wavenet.voice_bias(embedding)
        correction = self.wavenet.step(made, conditioning(features), loudness(features), state)
        return made[:, 0] + correction.float()


def draw_batch(
    voices: VoiceSet, chosen: list[int], training: WaveNetTraining, conversion: Conversion, rng: np.random.Generator
) -> Batch:
    """Random segments of the recordings ``chosen``, at random levels.

    Some have the features of the recording, some those that ``conversion`` gives its disguised features back.
    """
    rows = training.rows + training.warm_up_rows
    ahead = rows + LOOKAHEAD_ROWS
    long_enough = [i for i in chosen if voices.entries[i].rows > ahead]
    picked = rng.choice(long_enough, training.batch)
    starts = [int(rng.integers(voices.entries[i].rows - ahead)) for i in picked]
    where = list(zip(picked, starts, strict=True))
    gain_db = torch.from_numpy(rng.uniform(-12, 4, (training.batch, 1)).astype(np.float32))
    embedding = _stack([_blurred(voices.embeddings[i], rng) for i in picked])
    tract = torch.tensor([[voices.entries[i].tract] for i in picked], dtype=torch.float32)
    real = to_features(_stack([voices.features(i, s, ahead) for i, s in where]))
    made = _through(conversion, real, disguise(real, rng), embedding, tract)
    is_made = torch.from_numpy(rng.random((training.batch, 1, 1)) < training.converted)
    envelope = torch.where(is_made, made.envelope, real.envelope[:, :rows])
    noise = torch.where(is_made, made.aperiodicity, real.aperiodicity[:, :rows])
    return Batch(
        Features(envelope + (gain_db * (np.log(10) / 20)).unsqueeze(-1), real.f0[:, :rows], noise),
        _stack([voices.target(i, s, rows) for i, s in where]) * 10 ** (gain_db / 20),
        embedding,
        torch.tensor([voices.entries[i].band_hz for i in picked]),
    )


@torch.no_grad()
def _through(conversion: Conversion, real: Features, heard: Features, embedding: Tensor, tract: Tensor) -> Features:
    """What ``conversion`` makes of ``heard`` at the level of ``real``, less the last ``LOOKAHEAD_ROWS``."""
    state = conversion.init_state(len(tract))
    state["adapter"]["film"] = conversion.adapter.film(embedding, tract)
    made = conversion.adapt(conversion.encoder.step(heard, state["encoder"]), real, state)
    return made.each(lambda t: t[:, LOOKAHEAD_ROWS:])


def train_wavenet(
    voices: VoiceSet,
    config: WaveNetConfig,
    training: WaveNetTraining,
    conversion: Conversion,
    folder: Path,
    report: Callable[[str], None],
    start: WaveNet | None = None,
) -> WaveNet:
    """Train, or go on training, in ``folder``; the averaged network. ``start`` lends its weights to a new training.

    ``folder`` gets ``checkpoint.pt``, ``log.csv``, ``log.png`` and ``wavenet.safetensors``.
    """
    torch.manual_seed(0)
    synthesis, distance = Synthesis(config), SpectralDistance(AUDIO.sample_rate)
    if start is not None:
        synthesis.wavenet.load_state_dict(start.state_dict())
    average = Average(synthesis.wavenet)
    optimizer = torch.optim.AdamW(synthesis.wavenet.parameters(), betas=(0.8, 0.95), weight_decay=1e-3)
    parts = {"wavenet": synthesis.wavenet, "average": average.network, "optimizer": optimizer}
    chosen, draw = voices.choose(is_test=False), torch.Generator()

    def step(number: int, rng: np.random.Generator) -> NDArray[np.float64]:
        _set_rate(optimizer, number, training)
        batch = draw_batch(voices, chosen, training, conversion, rng)
        figures = _train_step(synthesis, distance, optimizer, batch, training, draw.manual_seed(number))
        average.follow(synthesis.wavenet)
        return figures

    Loop(folder, "wavenet.safetensors", training.steps, FIGURES, training.log_every, training.save_every, report).run(
        parts, average, step
    )
    return average.network


def _train_step(
    synthesis: Synthesis,
    distance: SpectralDistance,
    optimizer: torch.optim.Optimizer,
    batch: Batch,
    training: WaveNetTraining,
    draw: torch.Generator,
) -> NDArray[np.float64]:
    twice = batch.features.each(lambda t: torch.cat([t, t]))
    with torch.autocast("cpu", torch.bfloat16, enabled=training.is_bfloat16):
        made = synthesis(twice, torch.cat([batch.embedding, batch.embedding]), draw)
    made = made[:, training.warm_up_rows * AUDIO.hop :]
    target = batch.target[:, training.warm_up_rows * AUDIO.hop :]
    one, other = made.chunk(2)
    loss, to_target = energy_distance(distance, (one, other), target, batch.band_hz, apart=training.apart)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(synthesis.wavenet.parameters(), 1.0)
    optimizer.step()
    return np.array([loss.item(), to_target.item()])


def _set_rate(optimizer: torch.optim.Optimizer, step: int, training: WaveNetTraining) -> None:
    """Rise for a twentieth of the steps, then half a cosine down to a twentieth."""
    share = min(1.0, 20 * step / training.steps) * (
        0.05 + 0.95 * (0.5 + 0.5 * math.cos(math.pi * step / training.steps))
    )
    for group in optimizer.param_groups:
        group["lr"] = training.rate * share


def _blurred(embedding: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """The embedding with some noise: those predicted from faces are never exact."""
    noisy = embedding + rng.normal(0, 0.3 / 16, embedding.shape).astype(np.float32)
    return noisy / np.float32(np.linalg.norm(noisy))


def _stack(arrays: list[NDArray[np.float32]]) -> Tensor:
    return torch.from_numpy(np.stack(arrays))
