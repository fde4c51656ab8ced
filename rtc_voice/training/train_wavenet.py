"""Train the WaveNet to turn what source and filter make of a recording's features back into the recording."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from rtc_voice.config import AUDIO
from rtc_voice.speech.analysis import Features
from rtc_voice.speech.streaming import State
from rtc_voice.synthesis.chain import conditioning, loudness
from rtc_voice.synthesis.content import LOOKAHEAD_ROWS, Conversion
from rtc_voice.synthesis.excitation import Excitation
from rtc_voice.synthesis.filter import MinimumPhaseFilter
from rtc_voice.synthesis.mapping import VoiceMap
from rtc_voice.synthesis.wavenet import WaveNet, WaveNetConfig
from rtc_voice.training.capture import Captured
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
from rtc_voice.training.loop import Loop
from rtc_voice.training.losses import SpectralDistance, energy_distance
from rtc_voice.training.perturb import blurred, disguise
from rtc_voice.training.segments import Place, Segments
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

    def forward(self, features: Features, embedding: Tensor, excitation_state: State) -> Tensor:
        """Speech ``[B, T]``; ``excitation_state`` moves in place."""
        with torch.no_grad():
            pulses, noise = self.excitation.step(features.f0, excitation_state)
            made = torch.stack([self.filter.whole(pulses, noise, features), pulses], dim=1)
        state = self.wavenet.init_state(len(features.f0))
        state["bias"] = self.wavenet.voice_bias(embedding)
        correction = self.wavenet.step(made, conditioning(features), loudness(features), state)
        return made[:, 0] + correction


def batch_at(
    at: Place,
    segments: Segments,
    training: WaveNetTraining,
    conversion: Conversion,
    shape: VoiceMap,
    draw: torch.Generator,
) -> Batch:
    """The segments at ``at``, at random levels.

    Some have the features of the recording, some those that ``conversion`` gives its disguised features back.
    """
    rows = training.rows + training.warm_up_rows
    gain_db = 16 * torch.rand(training.batch, 1, generator=draw, device=draw.device) - 12
    embedding = blurred(segments.embeddings[at.recording], 0.3, draw)
    real = segments.features(at, rows + LOOKAHEAD_ROWS)
    made = _through(conversion, shape, real, disguise(real, draw), embedding, segments.tracts[at.recording])
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
def _through(
    conversion: Conversion, shape: VoiceMap, real: Features, heard: Features, embedding: Tensor, tract: Tensor
) -> Features:
    """What the chain makes of ``heard`` at the level of ``real``, less the last ``LOOKAHEAD_ROWS``."""
    state = conversion.init_state(len(tract))
    state["adapter"]["film"] = conversion.adapter.film(embedding, tract)
    made = conversion.adapt(conversion.encoder.step(heard, state["encoder"]), real, state)
    made = made.each(lambda t: t[:, LOOKAHEAD_ROWS:])
    return shape.shape(made, heard.envelope[:, : made.f0.shape[1]], shape.init_state(len(tract)))


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
    segments = Segments(voices, voices.choose(is_test=False), conversion.adapter.typical.device)
    trainer = _Trainer(config, training, start, segments, conversion)
    Loop(folder, "wavenet.safetensors", training.steps, FIGURES, training.log_every, training.save_every, report).run(
        trainer.parts(), trainer.average, trainer.step
    )
    return trainer.average.network


@torch.no_grad()
def softened(wavenet: WaveNet) -> WaveNet:
    """``wavenet`` with ``HEEDED`` of its correction."""
    for weight in (*wavenet.out.parameters(), *wavenet.direct.parameters()):
        weight.mul_(HEEDED)
    return wavenet


class _Trainer:
    """The WaveNet, its critics and their optimisers, and one step of all."""

    def __init__(
        self,
        config: WaveNetConfig,
        training: WaveNetTraining,
        start: WaveNet | None,
        segments: Segments,
        conversion: Conversion,
    ) -> None:
        self.training, self.segments, self.conversion = training, segments, conversion
        device = segments.device
        self.synthesis, self.shape = Synthesis(config).to(device), VoiceMap(AUDIO.sample_rate).to(device)
        self.wavenet, self.critic, self.ear = self.synthesis.wavenet, SoundCritic(AUDIO.sample_rate), WaveCritic()
        if start is not None:
            self.wavenet.load_state_dict(start.state_dict())
        for network in (self.critic, self.ear):
            network.to(device)
        self.distance = SpectralDistance(AUDIO.sample_rate).to(device)
        self.average = Average(self.wavenet)
        self.rate, self.critic_rate = (
            torch.tensor(rate, device=device) for rate in (training.rate, training.critic_rate)
        )
        self.optimizer = self._adam(self.wavenet.parameters(), self.rate)
        self.against = self._adam([*self.critic.parameters(), *self.ear.parameters()], self.critic_rate)
        self.chance, self.draw = torch.Generator(), torch.Generator(device)
        self.captured = Captured(self._learn_from, device, [self.draw])

    def _adam(self, weights: Iterable[Tensor], rate: Tensor) -> torch.optim.Optimizer:
        on_gpu = self.segments.device.type == "cuda"
        return torch.optim.AdamW(weights, lr=rate, betas=(0.8, 0.95), weight_decay=1e-3, capturable=on_gpu)

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

    def step(self, number: int, rng: np.random.Generator) -> NDArray[np.float64]:
        """Train on one batch; ``FIGURES`` of it."""
        training = self.training
        self.rate.fill_(training.rate * _share(number, training.steps))
        for optimizer, rate in ((self.optimizer, self.rate), (self.against, self.critic_rate)):
            optimizer.param_groups[0]["lr"] = rate  # a checkpoint brings one of its own
        if self.segments.device.type == "cpu" or not self.captured.calls:
            self.draw.manual_seed(number)
        rows = training.rows + training.warm_up_rows + LOOKAHEAD_ROWS
        at = self.segments.draw(training.batch, rows, rng)
        draws = 2 if training.apart else 1
        source = self.synthesis.excitation.random_state(draws * training.batch, self.chance.manual_seed(number))
        heed = torch.tensor(heeded(number))
        figures = self.captured(at.recording, at.start, source["noise"], source["phase"], source["f0"], heed)
        self.average.follow(self.wavenet)
        return figures.double().cpu().numpy()

    def _learn_from(
        self, recording: Tensor, start: Tensor, noise: Tensor, phase: Tensor, f0: Tensor, heed: Tensor
    ) -> Tensor:
        """``step`` on the device."""
        batch = batch_at(Place(recording, start), self.segments, self.training, self.conversion, self.shape, self.draw)
        draws = len(phase) // len(start)
        drawn = batch.features.each(lambda t: torch.cat([t] * draws))
        source = {"noise": noise.clone(), "phase": phase.clone(), "f0": f0.clone()}
        made = self.synthesis(drawn, torch.cat([batch.embedding] * draws), source)
        heard = slice(self.training.warm_up_rows * AUDIO.hop, None)
        real = batch.target[:, heard]
        spectra = self.distance.spectra(real)
        one, *others = (self.distance.spectra(sound) for sound in made[:, heard].chunk(draws))
        critic = deceit = wave_critic = wave_deceit = heed.new_zeros(())
        if others:
            loss, to_target = energy_distance(
                self.distance, (one, others[0]), spectra, batch.band_hz, apart=self.training.apart
            )
        else:
            loss = to_target = self.distance(one, spectra, batch.band_hz).mean()
        if self.training.deceit:
            critic, deceit = self._deceit(spectra, one, batch.band_hz)
            loss = loss + self.training.deceit * heed * deceit
        if self.training.wave_deceit:
            wave_critic, wave_deceit = self._wave_deceit(real, made[:, heard], batch.band_hz == FULL_BAND_HZ)
            loss = loss + self.training.wave_deceit * heed * wave_deceit
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.wavenet.parameters(), 1.0)
        self.optimizer.step()
        return torch.stack([loss, to_target, critic, deceit, wave_critic, wave_deceit]).detach()

    def _deceit(self, real: list[Tensor], made: list[Tensor], band_hz: Tensor) -> tuple[Tensor, Tensor]:
        """What the critic of spectra learns, and what it holds against what was made."""
        loss = critic_loss(self.critic(real, band_hz), self.critic([one.detach() for one in made], band_hz))
        self._learn(loss)
        with unlearning(self.critic):
            with torch.no_grad():
                wanted = self.critic(real, band_hz)
            return loss.detach(), deceit_loss(wanted, self.critic(made, band_hz))

    def _wave_deceit(self, real: Tensor, made: Tensor, counts: Tensor) -> tuple[Tensor, Tensor]:
        """The same of the critic of waves; the phases of the two are not alike, so its layers are not compared."""
        power = real.square().mean(dim=1, keepdim=True).clamp(min=1e-8).sqrt()
        loss = critic_loss(self.ear(real / power), self.ear(made.detach() / power), counts)
        self._learn(loss)
        with unlearning(self.ear):
            return loss.detach(), unbelieved(self.ear(made / power), counts)

    def _learn(self, loss: Tensor) -> None:
        self.against.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.against.step()


def _share(step: int, steps: int) -> float:
    """Of the rate: rise for a twentieth of the steps, then half a cosine down to a twentieth."""
    return min(1.0, 20 * step / steps) * (0.05 + 0.95 * (0.5 + 0.5 * math.cos(math.pi * step / steps)))
