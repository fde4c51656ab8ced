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
from rtc_voice.training.critic import (
    SoundCritic,
    WaveCritic,
    critic_loss,
    deceit_loss,
    heeded,
    unbelieved,
    unlearning,
)
from rtc_voice.training.device import on
from rtc_voice.training.loop import Loop
from rtc_voice.training.losses import SpectralDistance, energy_distance
from rtc_voice.training.segments import Segments
from rtc_voice.training.train_conversion import blurred, disguise
from rtc_voice.training.voice_data import FULL_BAND_HZ, VoiceSet

FIGURES = ("energy_distance", "distance_to_recording", "critic", "deceit", "wave_critic", "wave_deceit")
# How much of the correction is made in use. With 0.35 and 0.5 of it PLCMOS is 0.06 above what it is without (standard
# error 0.015), with 0.7 0.03 (12 spoken and 12 typed clips), with all of it 0.06 below (6 and 6); DNSMOS is the same.
HEEDED = 0.4


@dataclass(frozen=True, slots=True)
class WaveNetTraining:
    """How long and on what."""

    steps: int
    converted: float = 0.5  # share of segments whose features come through the conversion, as in use
    batch: int = 6  # segments
    rows: int = 100  # of a segment, 1 s
    warm_up_rows: int = 16  # before it, not judged
    rate: float = 1.5e-3
    # See ``energy_distance``: noise that the network cannot yet shape as speech does is better less. With 0 a segment
    # is heard with one draw of noise, not two: how much of it there should be is then left to the critic.
    apart: float = 0.6
    deceit: float = 0.0  # weight of what the critic finds unlike a recording
    wave_deceit: float = 0.0  # the same of a critic of waves, which only recordings of full band are shown to
    critic_rate: float = 5e-4
    log_every: int = 25
    save_every: int = 200


# Spectra first, then what a critic of spectra still tells from recordings.
STAGES = (
    WaveNetTraining(steps=3000),
    WaveNetTraining(steps=1500, rate=5e-4, apart=0.0, deceit=0.25),
)


@dataclass(frozen=True, slots=True)
class Batch:
    """Segments of recordings."""

    features: Features
    target: Tensor  # ``[B, T]``
    embedding: Tensor  # ``[B, 256]``
    band_hz: Tensor  # ``[B]``


class Synthesis(nn.Module):
    """The chain from features on, as it is trained."""

    def __init__(self, config: WaveNetConfig) -> None:
        super().__init__()
        self.excitation = Excitation(AUDIO.sample_rate, AUDIO.hop)
        self.filter = MinimumPhaseFilter(AUDIO.sample_rate, AUDIO.hop)
        self.wavenet = WaveNet(config, AUDIO.hop)

    def forward(self, features: Features, embedding: Tensor, draw: torch.Generator) -> Tensor:
        """Speech ``[B, T]`` from random noise and a random phase."""
        batch = features.f0.shape[0]
        with torch.no_grad():
            state = on(features.f0.device, self.excitation.random_state(batch, draw))
            made = source_and_filter(self.excitation, self.filter, features, state, self.filter.init_state(batch))
        state = self.wavenet.init_state(batch)
        state["bias"] = self.wavenet.voice_bias(embedding)
        correction = self.wavenet.step(made, conditioning(features), loudness(features), state)
        return made[:, 0] + correction


def draw_batch(
    segments: Segments,
    training: WaveNetTraining,
    conversion: Conversion,
    rng: np.random.Generator,
    draw: torch.Generator,
) -> Batch:
    """Random segments at random levels.

    Some have the features of the recording, some those that ``conversion`` gives its disguised features back.
    """
    rows = training.rows + training.warm_up_rows
    at = segments.draw(training.batch, rows + LOOKAHEAD_ROWS, rng)
    gain_db = 16 * torch.rand(training.batch, 1, generator=draw, device=draw.device) - 12
    embedding = blurred(segments.embeddings[at.recording], 0.3, draw)
    real = segments.features(at, rows + LOOKAHEAD_ROWS)
    made = _through(conversion, real, disguise(real, draw), embedding, segments.tracts[at.recording])
    is_made = torch.rand(training.batch, 1, 1, generator=draw, device=draw.device) < training.converted
    envelope = torch.where(is_made, made.envelope, real.envelope[:, :rows])
    noise = torch.where(is_made, made.aperiodicity, real.aperiodicity[:, :rows])
    return Batch(
        Features(envelope + (gain_db * (math.log(10) / 20)).unsqueeze(-1), real.f0[:, :rows], noise),
        segments.sound(at, rows) * 10 ** (gain_db / 20),
        embedding,
        segments.band_hz[at.recording],
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

    All of it happens where ``conversion`` is.

    ``folder`` gets ``checkpoint.pt``, ``log.csv``, ``log.png`` and ``wavenet.safetensors``.
    """
    torch.manual_seed(0)
    trainer = _Trainer(config, training, start, conversion.adapter.typical.device)
    segments = Segments(voices, voices.choose(is_test=False), conversion.adapter.typical.device)
    draw = torch.Generator(segments.device)

    def step(number: int, rng: np.random.Generator) -> NDArray[np.float64]:
        return trainer.step(number, draw_batch(segments, training, conversion, rng, draw.manual_seed(number)))

    Loop(folder, "wavenet.safetensors", training.steps, FIGURES, training.log_every, training.save_every, report).run(
        trainer.parts(), trainer.average, step
    )
    return trainer.average.network


@torch.no_grad()
def softened(wavenet: WaveNet) -> WaveNet:
    """``wavenet`` with ``HEEDED`` of its correction."""
    for weight in (*wavenet.out.parameters(), *wavenet.direct.parameters()):
        weight.mul_(HEEDED)
    return wavenet


class _Trainer:
    """The WaveNet, its critic and their optimisers, and one step of both."""

    def __init__(
        self, config: WaveNetConfig, training: WaveNetTraining, start: WaveNet | None, device: torch.device
    ) -> None:
        self.training = training
        self.synthesis, self.distance = Synthesis(config).to(device), SpectralDistance(AUDIO.sample_rate).to(device)
        self.wavenet, self.critic = self.synthesis.wavenet, SoundCritic(AUDIO.sample_rate).to(device)
        if start is not None:
            self.wavenet.load_state_dict(start.state_dict())
        self.average, self.draw = Average(self.wavenet), torch.Generator()
        self.optimizer = torch.optim.AdamW(self.wavenet.parameters(), betas=(0.8, 0.95), weight_decay=1e-3)
        self.ear = WaveCritic().to(device)
        critics = [*self.critic.parameters(), *self.ear.parameters()]
        self.against = torch.optim.AdamW(critics, lr=training.critic_rate, betas=(0.8, 0.95))

    def parts(self) -> dict[str, nn.Module | torch.optim.Optimizer]:
        """All that a checkpoint holds."""
        return {
            "wavenet": self.wavenet,
            "average": self.average.network,
            "critic": self.critic,
            "ear": self.ear,
            "optimizer": self.optimizer,
            "against": self.against,
        }

    def step(self, number: int, batch: Batch) -> NDArray[np.float64]:
        """Train on one batch; ``FIGURES`` of it."""
        _set_rate(self.optimizer, number, self.training)
        draws = 2 if self.training.apart else 1
        drawn = batch.features.each(lambda t: torch.cat([t] * draws))
        made = self.synthesis(drawn, torch.cat([batch.embedding] * draws), self.draw.manual_seed(number))
        heard = slice(self.training.warm_up_rows * AUDIO.hop, None)
        one, *others = (self.distance.spectra(sound) for sound in made[:, heard].chunk(draws))
        real = self.distance.spectra(batch.target[:, heard])
        loss, to_target = self._distances([one, *others], real, batch.band_hz)
        critic = deceit = wave_critic = wave_deceit = loss.new_zeros(())
        if self.training.deceit:
            critic, deceit = self._deceit(real, one, batch.band_hz)
            loss = loss + self.training.deceit * heeded(number) * deceit
        if self.training.wave_deceit:
            is_full = batch.band_hz == FULL_BAND_HZ
            sounds = (
                sound[is_full, self.training.warm_up_rows * AUDIO.hop :]
                for sound in (batch.target, made[: len(is_full)])
            )
            wave_critic, wave_deceit = self._wave_deceit(*sounds)
            loss = loss + self.training.wave_deceit * heeded(number) * wave_deceit
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.wavenet.parameters(), 1.0)
        self.optimizer.step()
        self.average.follow(self.wavenet)
        return torch.stack([loss, to_target, critic, deceit, wave_critic, wave_deceit]).detach().double().cpu().numpy()

    def _distances(self, drawn: list[list[Tensor]], real: list[Tensor], band_hz: Tensor) -> tuple[Tensor, Tensor]:
        """The loss, and the distance to the recording for the log."""
        if len(drawn) == 2:
            return energy_distance(self.distance, (drawn[0], drawn[1]), real, band_hz, apart=self.training.apart)
        loss = self.distance(drawn[0], real, band_hz).mean()
        return loss, loss.detach()

    def _deceit(self, real: list[Tensor], made: list[Tensor], band_hz: Tensor) -> tuple[Tensor, Tensor]:
        """A step of the critic of spectra, and what it then holds against what was made."""
        loss = critic_loss(self.critic(real, band_hz), self.critic([one.detach() for one in made], band_hz))
        self._learn(loss)
        with unlearning(self.critic):
            with torch.no_grad():
                wanted = self.critic(real, band_hz)
            return loss.detach(), deceit_loss(wanted, self.critic(made, band_hz))

    def _wave_deceit(self, real: Tensor, made: Tensor) -> tuple[Tensor, Tensor]:
        """The same of the critic of waves; the phases of the two are not alike, so its layers are not compared."""
        if not len(real):
            return made.new_zeros(()), made.new_zeros(())
        power = real.square().mean(dim=1, keepdim=True).clamp(min=1e-8).sqrt()
        loss = critic_loss(self.ear(real / power), self.ear(made.detach() / power))
        self._learn(loss)
        with unlearning(self.ear):
            return loss.detach(), unbelieved(self.ear(made / power))

    def _learn(self, loss: Tensor) -> None:
        self.against.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.against.step()


def _set_rate(optimizer: torch.optim.Optimizer, step: int, training: WaveNetTraining) -> None:
    """Rise for a twentieth of the steps, then half a cosine down to a twentieth."""
    share = min(1.0, 20 * step / training.steps) * (
        0.05 + 0.95 * (0.5 + 0.5 * math.cos(math.pi * step / training.steps))
    )
    for group in optimizer.param_groups:
        group["lr"] = training.rate * share
