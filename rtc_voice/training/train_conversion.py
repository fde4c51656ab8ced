"""Train the content encoder and the adapter: perturb a recording's features, give back the recording's own."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from rtc_voice.speech.analysis import Features
from rtc_voice.speech.envelope import BANDS, HEARD_BANDS
from rtc_voice.speech.pitch import CEILING_HZ
from rtc_voice.speech.speaker_pitch import AVERAGE_F0_HZ
from rtc_voice.synthesis.content import LOOKAHEAD_ROWS, Adapter, Conversion
from rtc_voice.synthesis.mapping import warp_envelope
from rtc_voice.training.checkpoint import Average
from rtc_voice.training.critic import (
    EnvelopeCritic,
    Found,
    critic_loss,
    deceit_loss,
    heeded,
    unbelieved,
    unlearning,
)
from rtc_voice.training.loop import Loop
from rtc_voice.training.speaker_critic import SpeakerCritic
from rtc_voice.training.speaker_loss import SpeakerLoss
from rtc_voice.training.voice_data import FULL_BAND_HZ, VoiceSet, to_features

_SETTLED_ROWS = 30  # of a segment in another's voice that are not judged: its networks start from silence
FIGURES = ("envelope", "change", "noise", "speaker_found", "likeness", "content_kept", "doubt", "deceit")


@dataclass(frozen=True, slots=True)
class ConversionTraining:
    """How long, and how hard the speaker is kept out of the content."""

    steps: int
    rate: float
    content_noise: float  # added to values in [-1, 1]: the more of it, the less room for anything but the words
    speaker: float  # weight of what a critic still finds of the speaker in the content
    likeness: float = 0.0  # weight of how unlike its target the speech of one speaker in another's voice sounds
    kept: float = 0.0  # weight of how far the content of that speech is from what went in
    deceit: float = 0.0  # weight of what a critic finds unlike recordings in the envelopes
    exchanged: int = 8  # segments of a batch that are put into another's voice
    batch: int = 16
    rows: int = 200  # of a segment, 2 s
    critic_rate: float = 1e-3
    log_every: int = 50
    save_every: int = 200


# Words first, then less of the speaker, then the words that this cost; then the likeness, and finer content again; at
# last what a critic finds too smooth.
STAGES = (
    ConversionTraining(steps=1600, rate=1e-3, content_noise=0.15, speaker=0.0),
    ConversionTraining(steps=700, rate=7e-4, content_noise=0.4, speaker=1.5),
    ConversionTraining(steps=400, rate=6e-4, content_noise=0.2, speaker=0.7),
    ConversionTraining(steps=900, rate=6e-4, content_noise=0.2, speaker=0.7, likeness=1.0, kept=1.0),
    ConversionTraining(steps=220, rate=4e-4, content_noise=0.1, speaker=0.3, likeness=1.0, kept=1.0),
    ConversionTraining(steps=1000, rate=5e-4, content_noise=0.1, speaker=0.5, likeness=1.0, kept=1.0, deceit=0.1),
)


@dataclass(frozen=True, slots=True)
class RowBatch:
    """Segments of features, and whose they are."""

    features: Features
    embedding: Tensor  # ``[B, 256]``
    tract: Tensor  # ``[B, 1]``
    is_full_band: Tensor  # ``[B]``
    log_f0: Tensor  # mean of each recording's, ``[B, 1]``


class Trainer:
    """The networks, the critic and their optimisers, and one step of all."""

    def __init__(self, training: ConversionTraining, start: Conversion) -> None:
        self.training = training
        device = start.adapter.typical.device
        self.conversion, self.critic, self.judge = start, SpeakerCritic().to(device), EnvelopeCritic().to(device)
        self.average = Average(self.conversion)
        self.likeness, self.draw = SpeakerLoss().to(device), torch.Generator().manual_seed(0)
        self.optimizer = torch.optim.AdamW(self.conversion.parameters(), betas=(0.9, 0.98), weight_decay=1e-3)
        critics = [*self.critic.parameters(), *self.judge.parameters()]
        self.against = torch.optim.AdamW(critics, lr=training.critic_rate, betas=(0.5, 0.98))

    def parts(self) -> dict[str, nn.Module | torch.optim.Optimizer]:
        """All that a checkpoint holds."""
        return {
            "conversion": self.conversion,
            "average": self.average.network,
            "critic": self.critic,
            "judge": self.judge,
            "optimizer": self.optimizer,
            "against": self.against,
        }

    def step(self, number: int, batch: RowBatch, rng: np.random.Generator) -> NDArray[np.float64]:
        """Train on one batch; ``FIGURES`` of it."""
        self._set_rate(number)
        rows = batch.features.f0.shape[1]
        target, tract = resize(batch.features, batch.tract, rng)
        encoder, adapter = self.conversion.encoder, self.conversion.adapter
        clean = encoder.step(disguise(batch.features, rng), encoder.init_state(len(tract)))
        content = clean + self.training.content_noise * torch.randn_like(clean)
        state = adapter.init_state(len(tract))
        state["film"] = adapter.film(batch.embedding, tract)
        late = target.each(lambda t: t[:, : rows - LOOKAHEAD_ROWS])
        made = adapter.step(content[:, LOOKAHEAD_ROWS:], late, state)
        self._critics_step(content.detach(), batch, made.envelope.detach(), late.envelope)
        envelope, change, noise = reconstruction(made, late, batch.is_full_band)
        found = self._found(content, batch.embedding).clamp(min=0)
        hiding = self.training.speaker * min(1.0, number / 300)
        loss = envelope + 0.5 * change + 0.5 * noise + hiding * found
        unlike, like, lost, doubt = torch.zeros(()), torch.zeros(()), torch.zeros(()), torch.zeros(())
        deceit = torch.zeros(())
        if self.training.deceit:
            deceit = self._deceit(made.envelope, late.envelope, batch.is_full_band)
        if self.training.likeness:
            unlike, like, lost, doubt = self._exchange(content, clean.detach(), batch)
            loss = loss + self.training.likeness * unlike + self.training.kept * lost
        loss = loss + self.training.deceit * heeded(number) * (deceit + doubt)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.conversion.parameters(), 1.0)
        self.optimizer.step()
        self.average.follow(self.conversion)
        return np.array([figure.item() for figure in (envelope, change, noise, found, like, lost, doubt, deceit)])

    def _exchange(self, content: Tensor, clean: Tensor, batch: RowBatch) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Half of the batch in the voices of the other half.

        Returns:
            Loss and cosine of the likeness, the content lost, and how little the critic believes the envelopes.
        """
        encoder, adapter = self.conversion.encoder, self.conversion.adapter
        count, rows = self.training.exchanged, batch.features.f0.shape[1]
        embedding, tract = batch.embedding[-count:], batch.tract[-count:]
        said = batch.features.each(lambda t: t[:count, : rows - LOOKAHEAD_ROWS])
        shift = batch.log_f0[-count:] - batch.log_f0[:count]
        moved = Features(said.envelope, (said.f0 * shift.exp()).clamp(0, CEILING_HZ), said.aperiodicity)
        state = adapter.init_state(count)
        state["film"] = adapter.film(embedding, tract)
        made = adapter.step(content[:count, LOOKAHEAD_ROWS:], moved, state)
        unlike, like = self.likeness(made.each(lambda t: t[:, _SETTLED_ROWS:]), embedding, self.draw)
        again = encoder.step(made, encoder.init_state(count))[:, _SETTLED_ROWS + LOOKAHEAD_ROWS :]
        # Row i of what is heard again speaks of row i - LOOKAHEAD_ROWS of ``made``, which said content row i.
        said_content = clean[:count, LOOKAHEAD_ROWS + _SETTLED_ROWS : rows - LOOKAHEAD_ROWS]
        doubt = torch.zeros(())
        if self.training.deceit:
            doubt = unbelieved(self._judged(made.envelope[:, _SETTLED_ROWS:], batch.is_full_band[:count]))
        return unlike, like, (again - said_content).abs().mean(), doubt

    def _deceit(self, made: Tensor, real: Tensor, is_full_band: Tensor) -> Tensor:
        with torch.no_grad():
            wanted = self.judge(real, is_full_band)
        return deceit_loss(wanted, self._judged(made, is_full_band))

    def _judged(self, envelope: Tensor, is_full_band: Tensor) -> list[Found]:
        """What the critic of envelopes finds, without learning from it."""
        with unlearning(self.judge):
            found: list[Found] = self.judge(envelope, is_full_band)
        return found

    def _set_rate(self, number: int) -> None:
        """Rise for 100 steps, then half a cosine."""
        share = 0.02 + 0.49 * (1 + math.cos(math.pi * number / self.training.steps))
        for group in self.optimizer.param_groups:
            group["lr"] = self.training.rate * min(1.0, number / 100) * share

    def _found(self, content: Tensor, embedding: Tensor) -> Tensor:
        """How well the critic guesses from content in which way the speaker is not typical: chance is 0."""
        own = nn.functional.normalize(embedding - self.conversion.adapter.typical, dim=-1)
        found: Tensor = (self.critic(content) * own).sum(dim=-1).mean()
        return found

    def _critics_step(self, content: Tensor, batch: RowBatch, made: Tensor, real: Tensor) -> None:
        loss = 1 - self._found(content, batch.embedding)
        if self.training.deceit:
            full = batch.is_full_band
            loss = loss + critic_loss(self.judge(real, full), self.judge(made, full))
        self.against.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.against.step()


def draw_rows(
    voices: VoiceSet,
    chosen: list[int],
    training: ConversionTraining,
    rng: np.random.Generator,
    device: torch.device,
) -> RowBatch:
    """Random segments of the recordings ``chosen``."""
    picked = rng.choice([i for i in chosen if voices.entries[i].rows > training.rows], training.batch)
    starts = [int(rng.integers(voices.entries[i].rows - training.rows)) for i in picked]
    segments = [voices.features(i, s, training.rows) for i, s in zip(picked, starts, strict=True)]
    return RowBatch(
        to_features(torch.from_numpy(np.stack(segments)).to(device)),
        torch.from_numpy(voices.embeddings[picked]).to(device),
        torch.tensor([[voices.entries[i].tract] for i in picked], dtype=torch.float32, device=device),
        torch.tensor([voices.entries[i].band_hz == FULL_BAND_HZ for i in picked], device=device),
        torch.tensor([[mean_log_f0(voices, i)] for i in picked], dtype=torch.float32, device=device),
    )


def mean_log_f0(voices: VoiceSet, index: int) -> float:
    """Natural log of the geometric mean F0 of one recording; that of an average voice where it has none."""
    f0 = voices.features(index, 0, voices.entries[index].rows)[:, -1]
    return float(np.log(f0[f0 > 0]).mean()) if (f0 > 0).any() else math.log(AVERAGE_F0_HZ)


def disguise(features: Features, rng: np.random.Generator) -> Features:
    """The same words from another throat, through another microphone, in another room's noise."""
    batch, rows, _ = features.envelope.shape
    ratio = np.exp(rng.uniform(-0.18, 0.18, (batch, 1)))
    device = features.f0.device
    envelope = warp_envelope(features.envelope, _tensor(ratio, device).expand(batch, rows))
    bend = np.cos(np.pi * np.outer(np.arange(1, 5), np.linspace(0, 1, BANDS)))
    curve = rng.normal(0, 1, (batch, 1, 4)) @ bend * 0.35 + rng.uniform(-0.7, 0.7, (batch, 1, 1))
    hiss = rng.uniform(-9, -4.5, (batch, 1, 1)) + rng.normal(0, 0.3, (batch, rows, BANDS))
    noisy = torch.logaddexp(2 * (envelope + _tensor(curve, device)), 2 * _tensor(hiss, device)) / 2
    return Features(noisy, features.f0, features.aperiodicity)


def resize(features: Features, tract: Tensor, rng: np.random.Generator) -> tuple[Features, Tensor]:
    """The target as a slightly larger or smaller person, so that the size stays a knob of its own."""
    ratio = _tensor(np.exp(rng.uniform(-0.06, 0.06, tuple(tract.shape))), tract.device)
    envelope = warp_envelope(features.envelope, ratio.expand(-1, features.f0.shape[1]))
    return Features(envelope, features.f0, features.aperiodicity), tract * ratio


def reconstruction(made: Features, target: Features, is_full_band: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Mean differences of the envelopes (nepers), of their changes from row to row, and of the shares of noise."""
    bands = torch.ones(len(is_full_band), 1, BANDS, device=is_full_band.device)
    bands[~is_full_band, :, HEARD_BANDS:] = 0
    floor = -7.5  # softer than this nobody hears it
    error = made.envelope.clamp(min=floor) - target.envelope.clamp(min=floor)
    envelope = (error.abs() * bands).sum() / (bands.sum() * error.shape[1])
    change = (error.diff(dim=1).abs() * bands).sum() / (bands.sum() * error.shape[1])
    is_voiced = (target.f0 > 0).unsqueeze(-1)
    noise = ((made.aperiodicity - target.aperiodicity).abs() * is_voiced).mean()
    return envelope, change, noise


def new_conversion(voices: VoiceSet) -> Conversion:
    """Untrained, with the average voice of the training's recordings."""
    torch.manual_seed(0)
    conversion = Conversion()
    mean = voices.embeddings[voices.choose(is_test=False)].mean(axis=0)
    conversion.adapter.typical.copy_(torch.from_numpy(mean))
    fit_tract(voices, conversion.adapter)
    return conversion


def fit_tract(voices: VoiceSet, adapter: Adapter) -> None:
    """Set the readout of the vocal tract's length from the embedding: a ridge regression, 2 % off on new speakers."""
    chosen = voices.choose(is_test=False)
    known = torch.from_numpy(voices.embeddings[chosen]).double()
    log_tract = torch.log(torch.tensor([voices.entries[i].tract for i in chosen], dtype=torch.float64))
    centred = known - known.mean(dim=0)
    covariance = centred.T @ centred + torch.eye(known.shape[1], dtype=torch.float64)
    weight = torch.linalg.solve(covariance, centred.T @ (log_tract - log_tract.mean()))
    adapter.tract_weight.copy_(weight)
    adapter.tract_bias.copy_(log_tract.mean() - known.mean(dim=0) @ weight)


def train_conversion(
    voices: VoiceSet,
    training: ConversionTraining,
    start: Conversion,
    folder: Path,
    report: Callable[[str], None],
) -> Conversion:
    """Train ``start``, or go on training, in ``folder`` and where ``start`` is; the averaged networks.

    ``folder`` gets ``checkpoint.pt``, ``log.csv``, ``log.png`` and ``conversion.safetensors``.
    """
    trainer, chosen = Trainer(training, start), voices.choose(is_test=False)
    device = start.adapter.typical.device
    loop = Loop(
        folder, "conversion.safetensors", training.steps, FIGURES, training.log_every, training.save_every, report
    )
    loop.run(
        trainer.parts(),
        trainer.average,
        lambda number, rng: trainer.step(number, draw_rows(voices, chosen, training, rng, device), rng),
    )
    return trainer.average.network


def _tensor(values: NDArray[np.float64], device: torch.device) -> Tensor:
    return torch.from_numpy(values.astype(np.float32)).to(device)
