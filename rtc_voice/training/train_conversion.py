"""Train the content encoder and the adapter: perturb a recording's features, give back the recording's own."""

import csv
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor, nn

from rtc_voice.speech.analysis import Features
from rtc_voice.speech.envelope import BANDS
from rtc_voice.synthesis.content import HEARD_BANDS, LOOKAHEAD_ROWS, Conversion
from rtc_voice.synthesis.mapping import warp_envelope
from rtc_voice.training.checkpoint import Average, load_checkpoint, save_checkpoint
from rtc_voice.training.critics import SpeakerCritic, VoiceCritic, hinge
from rtc_voice.training.voice_data import FULL_BAND_HZ, VoiceSet, to_features

NOISE = 0.15  # added to content in training: it leaves each value about three bits
FIGURES = ("envelope", "change", "noise", "speaker_found", "same_words", "critic", "voice_missed")


@dataclass(frozen=True, slots=True)
class ConversionTraining:
    """How long, and what counts how much."""

    steps: int = 3600
    batch: int = 16
    rows: int = 200  # of a segment, 2 s
    rate: float = 1e-3
    critic_rate: float = 1e-3
    adversary_from: int = 1600  # step from which conversion into other voices is judged
    speaker: float = 0.5  # weight of the speaker that a critic still finds in the content
    words: float = 0.5  # of content that changes on the way through another voice
    voice: float = 0.1  # of what the voice critic misses
    log_every: int = 50
    save_every: int = 200


@dataclass(frozen=True, slots=True)
class RowBatch:
    """Segments of features, and whose they are."""

    features: Features
    embedding: Tensor  # ``[B, 256]``
    tract: Tensor  # ``[B, 1]``
    is_full_band: Tensor  # ``[B]``

    def turned(self) -> "RowBatch":
        """Every voice given to the next row, the last to the first; features stay."""
        return RowBatch(self.features, self.embedding.roll(1, 0), self.tract.roll(1, 0), self.is_full_band.roll(1, 0))


class Trainer:
    """The networks, their critics and optimisers, and one step of all."""

    def __init__(self, training: ConversionTraining, typical: Tensor) -> None:
        self.training = training
        self.conversion, self.speaker, self.voice = Conversion(), SpeakerCritic(), VoiceCritic()
        self.conversion.adapter.typical.copy_(typical)
        self.average = Average(self.conversion)
        self.optimizer = torch.optim.AdamW(self.conversion.parameters(), betas=(0.9, 0.98), weight_decay=1e-3)
        critics = [*self.speaker.parameters(), *self.voice.parameters()]
        self.against = torch.optim.AdamW(critics, lr=training.critic_rate, betas=(0.5, 0.98))

    def parts(self) -> dict[str, nn.Module | torch.optim.Optimizer]:
        """All that a checkpoint holds."""
        return {
            "conversion": self.conversion,
            "average": self.average.network,
            "speaker": self.speaker,
            "voice": self.voice,
            "optimizer": self.optimizer,
            "against": self.against,
        }

    def step(self, number: int, batch: RowBatch, rng: np.random.Generator) -> NDArray[np.float64]:
        """Train on one batch; ``FIGURES`` of it."""
        share = number / self.training.steps
        for group in self.optimizer.param_groups:
            group["lr"] = self.training.rate * min(1.0, number / 100) * (0.02 + 0.49 * (1 + math.cos(math.pi * share)))
        is_adversarial = number > self.training.adversary_from
        rows = batch.features.f0.shape[1]
        target, tract = resize(batch.features, batch.tract, rng)
        encoder = self.conversion.encoder
        clean = encoder.step(disguise(batch.features, rng), encoder.init_state(len(tract)))
        content = clean + NOISE * torch.randn_like(clean)
        late = _cut(target, 0, rows - LOOKAHEAD_ROWS)
        own = RowBatch(late, batch.embedding, tract, batch.is_full_band)
        other = RowBatch(sung_by(late, late.f0.roll(1, 0)), *_voice(own.turned()))
        made = self._adapt(content, own)
        converted = self._adapt(content, other) if is_adversarial else made

        critics = self._critics_step(
            content.detach(), own, other, _detached(made), _detached(converted), is_adversarial
        )
        envelope, change, noise = reconstruction(made, late, batch.is_full_band)
        loss = envelope + 0.5 * change + 0.5 * noise
        hidden = self._found(content, batch.embedding).clamp(min=0)
        loss = loss + self.training.speaker * min(1.0, number / 300) * hidden
        words, missed = torch.zeros(()), torch.zeros(())
        if is_adversarial:
            again = encoder.step(converted, encoder.init_state(len(tract)))[..., LOOKAHEAD_ROWS:]
            words = (again - clean[..., LOOKAHEAD_ROWS : again.shape[-1] + LOOKAHEAD_ROWS].detach()).abs().mean()
            judged = [self.voice(made, own.embedding), self.voice(converted, other.embedding)]
            missed = -sum(rows.mean() + whole.mean() for rows, whole in judged) / 2
            loss = loss + self.training.words * words + self.training.voice * missed
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.conversion.parameters(), 1.0)
        self.optimizer.step()
        self.average.follow(self.conversion)
        return np.array([float(f.detach()) for f in (envelope, change, noise, hidden, words, critics, missed)])

    def _adapt(self, content: Tensor, wanted: RowBatch) -> Features:
        adapter = self.conversion.adapter
        state = adapter.init_state(len(wanted.tract))
        state["film"] = adapter.film(wanted.embedding, wanted.tract)
        return adapter.step(content[..., LOOKAHEAD_ROWS:], wanted.features, state)

    def _found(self, content: Tensor, embedding: Tensor) -> Tensor:
        """How well the speaker critic guesses from content in which way the speaker is not typical: chance is 0."""
        own = nn.functional.normalize(embedding - self.conversion.adapter.typical, dim=-1)
        found: Tensor = (self.speaker(content) * own).sum(dim=-1).mean()
        return found

    def _critics_step(
        self, content: Tensor, own: RowBatch, other: RowBatch, made: Features, converted: Features, is_adversarial: bool
    ) -> Tensor:
        loss = 1 - self._found(content, own.embedding)
        judged = torch.zeros(())
        if is_adversarial:
            real, wrong = self.voice(own.features, own.embedding), self.voice(own.features, other.embedding)
            for features, embedding in ((made, own.embedding), (converted, other.embedding)):
                judged = judged + hinge(real, self.voice(features, embedding), wrong[1]) / 2
        self.against.zero_grad(set_to_none=True)
        (loss + judged).backward()  # type: ignore[no-untyped-call]
        self.against.step()
        return judged


def draw_rows(voices: VoiceSet, chosen: list[int], training: ConversionTraining, rng: np.random.Generator) -> RowBatch:
    """Random segments of the recordings ``chosen``."""
    picked = rng.choice([i for i in chosen if voices.entries[i].rows > training.rows], training.batch)
    starts = [int(rng.integers(voices.entries[i].rows - training.rows)) for i in picked]
    segments = [voices.features(i, s, training.rows) for i, s in zip(picked, starts, strict=True)]
    return RowBatch(
        to_features(torch.from_numpy(np.stack(segments))),
        torch.from_numpy(voices.embeddings[picked]),
        torch.tensor([[voices.entries[i].tract] for i in picked], dtype=torch.float32),
        torch.tensor([voices.entries[i].band_hz == FULL_BAND_HZ for i in picked]),
    )


def disguise(features: Features, rng: np.random.Generator) -> Features:
    """The same words from another throat, through another microphone, in another room's noise."""
    batch, rows, _ = features.envelope.shape
    ratio = np.exp(rng.uniform(-0.18, 0.18, (batch, 1)))
    envelope = warp_envelope(features.envelope, _tensor(ratio).expand(batch, rows))
    bend = np.cos(np.pi * np.outer(np.arange(1, 5), np.linspace(0, 1, BANDS)))
    curve = rng.normal(0, 1, (batch, 1, 4)) @ bend * 0.35 + rng.uniform(-0.7, 0.7, (batch, 1, 1))
    hiss = rng.uniform(-9, -4.5, (batch, 1, 1)) + rng.normal(0, 0.3, (batch, rows, BANDS))
    noisy = torch.logaddexp(2 * (envelope + _tensor(curve)), 2 * _tensor(hiss)) / 2
    return Features(noisy, features.f0, features.aperiodicity)


def resize(features: Features, tract: Tensor, rng: np.random.Generator) -> tuple[Features, Tensor]:
    """The target as a slightly larger or smaller person, so that the size stays a knob of its own."""
    ratio = _tensor(np.exp(rng.uniform(-0.06, 0.06, tuple(tract.shape))))
    envelope = warp_envelope(features.envelope, ratio.expand(-1, features.f0.shape[1]))
    return Features(envelope, features.f0, features.aperiodicity), tract * ratio


def sung_by(features: Features, f0: Tensor) -> Features:
    """The rows with the mean F0 that ``f0`` ``[B, F]`` has."""
    octaves = _mean_octave(f0) - _mean_octave(features.f0)
    return Features(features.envelope, (features.f0 * 2**octaves).clamp(max=500), features.aperiodicity)


def reconstruction(made: Features, target: Features, is_full_band: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Mean differences of the envelopes (nepers), of their changes from row to row, and of the shares of noise."""
    bands = torch.ones(len(is_full_band), 1, BANDS)
    bands[~is_full_band, :, HEARD_BANDS:] = 0
    floor = -7.5  # softer than this nobody hears it
    error = made.envelope.clamp(min=floor) - target.envelope.clamp(min=floor)
    envelope = (error.abs() * bands).sum() / (bands.sum() * error.shape[1])
    change = (error.diff(dim=1).abs() * bands).sum() / (bands.sum() * error.shape[1])
    is_voiced = (target.f0 > 0).unsqueeze(-1)
    noise = ((made.aperiodicity - target.aperiodicity).abs() * is_voiced).mean()
    return envelope, change, noise


def train_conversion(
    voices: VoiceSet, training: ConversionTraining, folder: Path, report: Callable[[str], None]
) -> Conversion:
    """Train, or go on training, in ``folder``; the averaged networks.

    ``folder`` gets ``checkpoint.pt``, ``log.csv`` and ``conversion.safetensors``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    trainer = Trainer(training, torch.from_numpy(voices.embeddings[voices.choose(is_test=False)].mean(axis=0)))
    first = load_checkpoint(folder / "checkpoint.pt", trainer.parts())
    trainer.average.steps = first
    rng = np.random.default_rng(first)
    chosen, started, sums = voices.choose(is_test=False), time.perf_counter(), np.zeros(len(FIGURES))
    for step in range(first + 1, training.steps + 1):
        sums += trainer.step(step, draw_rows(voices, chosen, training, rng), rng)
        if step % training.log_every == 0:
            speed = (step - first) / (time.perf_counter() - started)
            _log(folder / "log.csv", step, sums / training.log_every, speed, report)
            sums[:] = 0
        if step % training.save_every == 0 or step == training.steps:
            save_checkpoint(folder / "checkpoint.pt", trainer.parts(), step)
            save_file(trainer.average.network.state_dict(), folder / "conversion.safetensors")
    return trainer.average.network


def _voice(batch: RowBatch) -> tuple[Tensor, Tensor, Tensor]:
    return batch.embedding, batch.tract, batch.is_full_band


def _cut(features: Features, start: int, stop: int) -> Features:
    return Features(*(t[:, start:stop] for t in (features.envelope, features.f0, features.aperiodicity)))


def _detached(features: Features) -> Features:
    return Features(features.envelope.detach(), features.f0, features.aperiodicity.detach())


def _mean_octave(f0: Tensor) -> Tensor:
    """Mean log2 of the voiced rows, ``[B, 1]``."""
    is_voiced = (f0 > 0).to(f0.dtype)
    total = (is_voiced * torch.log2(f0.clamp(min=1))).sum(dim=1, keepdim=True)
    return total / is_voiced.sum(dim=1, keepdim=True).clamp(min=1)


def _tensor(values: NDArray[np.float64]) -> Tensor:
    return torch.from_numpy(values.astype(np.float32))


def _log(path: Path, step: int, means: NDArray[np.float64], speed: float, report: Callable[[str], None]) -> None:
    is_new = not path.is_file()
    with path.open("a", newline="") as file:
        writer = csv.writer(file)
        if is_new:
            writer.writerow(["step", *FIGURES, "steps_per_s"])
        writer.writerow([step, *(f"{mean:.4f}" for mean in means), f"{speed:.2f}"])
    figures = ", ".join(f"{name} {mean:.4f}" for name, mean in zip(FIGURES, means, strict=True))
    report(f"step {step}: {figures}, {speed:.2f} steps/s")
