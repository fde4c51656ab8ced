"""Train the content encoder and the adapter: perturb a recording's features, give back the recording's own."""

import csv
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
from rtc_voice.synthesis.content import CONTENT, HEARD_BANDS, LOOKAHEAD_ROWS, Conversion
from rtc_voice.synthesis.mapping import warp_envelope
from rtc_voice.training.checkpoint import Average, load_checkpoint, save_checkpoint
from rtc_voice.training.voice_data import FULL_BAND_HZ, VoiceSet, to_features

NOISE = 0.15  # added to content in training: it leaves each value about three bits


@dataclass(frozen=True, slots=True)
class ConversionTraining:
    """How long, and how hard the speaker is hidden."""

    steps: int = 4000
    batch: int = 16
    rows: int = 200  # of a segment, 2 s
    rate: float = 1e-3
    speaker_weight: float = 0.3  # of the speaker that a critic still finds in the content
    log_every: int = 50
    save_every: int = 400


@dataclass(frozen=True, slots=True)
class RowBatch:
    """Segments of features, and whose they are."""

    features: Features
    embedding: Tensor  # ``[B, 256]``
    tract: Tensor  # ``[B, 1]``
    is_full_band: Tensor  # ``[B]``


class SpeakerCritic(nn.Module):
    """Guesses the voice embedding from content, so that the encoder learns to hide it."""

    def __init__(self) -> None:
        super().__init__()
        self.rows = nn.Sequential(nn.Conv1d(CONTENT, 128, 5), nn.ReLU(), nn.Conv1d(128, 128, 5), nn.ReLU())
        self.voice = nn.Linear(256, 256)

    def forward(self, content: Tensor) -> Tensor:
        """Unit vectors ``[B, 256]`` of content ``[B, CONTENT, F]``."""
        rows = self.rows(content)
        return nn.functional.normalize(self.voice(torch.cat([rows.mean(dim=-1), rows.std(dim=-1)], dim=-1)), dim=-1)


def draw_rows(voices: VoiceSet, chosen: list[int], training: ConversionTraining, rng: np.random.Generator) -> RowBatch:
    """Random segments of the recordings ``chosen``; real ones as often as synthetic ones."""
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
    ratio = _tensor(np.exp(rng.uniform(-0.1, 0.1, tuple(tract.shape))))
    rows = features.f0.shape[1]
    return Features(
        warp_envelope(features.envelope, ratio.expand(-1, rows)), features.f0, features.aperiodicity
    ), tract * ratio


def train_conversion(
    voices: VoiceSet, training: ConversionTraining, folder: Path, report: Callable[[str], None]
) -> Conversion:
    """Train, or go on training, in ``folder``; the averaged networks.

    ``folder`` gets ``checkpoint.pt``, ``log.csv`` and ``conversion.safetensors``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    conversion, critic = Conversion(), SpeakerCritic()
    average = Average(conversion)
    optimizer = torch.optim.AdamW(conversion.parameters(), betas=(0.9, 0.98), weight_decay=1e-3)
    against = torch.optim.AdamW(critic.parameters(), lr=1e-3, betas=(0.5, 0.98))
    parts = {"conversion": conversion, "average": average.network, "critic": critic}
    parts |= {"optimizer": optimizer, "against": against}
    first = load_checkpoint(folder / "checkpoint.pt", parts)
    average.steps = first
    rng = np.random.default_rng(first)
    chosen, started, sums = voices.choose(is_test=False), time.perf_counter(), np.zeros(4)
    for step in range(first + 1, training.steps + 1):
        share = step / training.steps
        for group in optimizer.param_groups:
            group["lr"] = training.rate * min(1.0, step / 100) * (0.02 + 0.98 * (0.5 + 0.5 * np.cos(np.pi * share)))
        batch = draw_rows(voices, chosen, training, rng)
        weight = training.speaker_weight * min(1.0, step / 1000)
        sums += _train_step(conversion, critic, optimizer, against, batch, weight, rng)
        average.follow(conversion)
        if step % training.log_every == 0:
            _log(
                folder / "log.csv",
                step,
                sums / training.log_every,
                (step - first) / (time.perf_counter() - started),
                report,
            )
            sums[:] = 0
        if step % training.save_every == 0 or step == training.steps:
            save_checkpoint(folder / "checkpoint.pt", parts, step)
            save_file(average.network.state_dict(), folder / "conversion.safetensors")
    return average.network


def _train_step(
    conversion: Conversion,
    critic: SpeakerCritic,
    optimizer: torch.optim.Optimizer,
    against: torch.optim.Optimizer,
    batch: RowBatch,
    speaker_weight: float,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    target, tract = resize(batch.features, batch.tract, rng)
    heard = disguise(batch.features, rng)
    rows = target.f0.shape[1]
    encoder, adapter = conversion.encoder, conversion.adapter
    clean = encoder.step(heard, encoder.init_state(rows and len(tract)))
    content = clean + NOISE * torch.randn_like(clean)

    # The critic learns to find the speaker; the encoder learns to leave it nothing but chance.
    found = critic(content.detach())
    critic_loss = 1 - (found * batch.embedding).sum(dim=-1).mean()
    against.zero_grad(set_to_none=True)
    critic_loss.backward()
    against.step()

    state = adapter.init_state(len(tract))
    state["film"] = adapter.film(batch.embedding, tract)
    late = Features(*(t[:, : rows - LOOKAHEAD_ROWS] for t in (target.envelope, target.f0, target.aperiodicity)))
    made = adapter.step(content[..., LOOKAHEAD_ROWS:], late, state)
    envelope_loss, change_loss, noise_loss = reconstruction(made, late, batch.is_full_band)
    guess = critic(content)
    typical = nn.functional.normalize(batch.embedding.mean(dim=0), dim=0)
    own = (guess * (batch.embedding - typical)).sum(dim=-1)
    loss = envelope_loss + 0.5 * change_loss + 0.5 * noise_loss + speaker_weight * own.clamp(min=0).mean()
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(conversion.parameters(), 1.0)
    optimizer.step()
    return np.array([envelope_loss.item(), change_loss.item(), noise_loss.item(), 1 - critic_loss.item()])


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


def _tensor(values: NDArray[np.float64]) -> Tensor:
    return torch.from_numpy(values.astype(np.float32))


def _log(path: Path, step: int, means: NDArray[np.float64], speed: float, report: Callable[[str], None]) -> None:
    names = ["envelope", "change", "noise", "speaker_found"]
    is_new = not path.is_file()
    with path.open("a", newline="") as file:
        writer = csv.writer(file)
        if is_new:
            writer.writerow(["step", *names, "steps_per_s"])
        writer.writerow([step, *(f"{mean:.4f}" for mean in means), f"{speed:.2f}"])
    report(
        f"step {step}: "
        + ", ".join(f"{n} {m:.4f}" for n, m in zip(names, means, strict=True))
        + f", {speed:.2f} steps/s"
    )
