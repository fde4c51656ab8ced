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
from rtc_voice.synthesis.content import LOOKAHEAD_ROWS, Adapter, Conversion
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
from rtc_voice.training.parallel import ParallelSpeech
from rtc_voice.training.perturb import blurred, disguise, normal, resize, uniform
from rtc_voice.training.segments import Place, Segments
from rtc_voice.training.speaker_critic import SpeakerCritic
from rtc_voice.training.speaker_loss import SpeakerLoss
from rtc_voice.training.train_recogniser import Hearing
from rtc_voice.training.voice_data import FULL_BAND_HZ, VoiceSet

_HEARD_ROWS = 380  # of typed speech for a segment of parallel speech: the other may speak half as fast again
_BLUR = 0.4  # size of the noise that is added to embeddings: two recordings of one speaker are as far apart
_SETTLED_ROWS = 30  # of a segment in another's voice that are not judged: its networks start from silence
FIGURES = (
    "envelope",
    "change",
    "noise",
    "speaker_found",
    "likeness",
    "content_kept",
    "doubt",
    "deceit",
    "parallel",
    "misheard",
)


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
    misheard: float = 0.0  # weight of how badly a recogniser hears the phones in that speech
    parallel: float = 0.0  # weight of how far typed speech in another's voice is from that other saying the same
    paired: int = 8  # segments a step for the latter
    exchanged: int = 8  # segments of a batch that are put into another's voice
    batch: int = 16
    rows: int = 200  # of a segment, 2 s
    critic_rate: float = 1e-3
    log_every: int = 50
    save_every: int = 200


# Words first, then less of the speaker, then the words that this cost; then the likeness, and finer content again; then
# what a critic finds too smooth; then how others say what is typed; at last what a recogniser misses.
STAGES = (
    ConversionTraining(steps=1600, rate=1e-3, content_noise=0.15, speaker=0.0),
    ConversionTraining(steps=700, rate=7e-4, content_noise=0.4, speaker=1.5),
    ConversionTraining(steps=400, rate=6e-4, content_noise=0.2, speaker=0.7),
    ConversionTraining(steps=900, rate=6e-4, content_noise=0.2, speaker=0.7, likeness=1.0, kept=1.0),
    ConversionTraining(steps=220, rate=4e-4, content_noise=0.1, speaker=0.3, likeness=1.0, kept=1.0),
    ConversionTraining(steps=1000, rate=5e-4, content_noise=0.1, speaker=0.5, likeness=1.0, kept=1.0, deceit=0.1),
    ConversionTraining(
        steps=2300, rate=6e-4, content_noise=0.1, speaker=0.5, likeness=1.0, kept=1.0, deceit=0.1, parallel=1.0
    ),
    ConversionTraining(
        steps=500,
        rate=4e-4,
        content_noise=0.1,
        speaker=0.5,
        likeness=1.0,
        kept=1.0,
        deceit=0.1,
        parallel=1.0,
        misheard=0.5,
    ),
)


@dataclass(frozen=True, slots=True)
class RowBatch:
    """Segments of features, and whose they are."""

    features: Features
    embedding: Tensor  # ``[B, 256]``
    tract: Tensor  # ``[B, 1]``
    is_full_band: Tensor  # ``[B]``
    log_f0: Tensor  # mean of each recording's, ``[B, 1]``
    numbers: Tensor  # of the rows in the set, ``[B, F]``


class Trainer:
    """The networks, the critic and their optimisers, and one step of all."""

    def __init__(
        self,
        training: ConversionTraining,
        start: Conversion,
        segments: Segments,
        parallel: ParallelSpeech | None,
        hearing: Hearing | None,
    ) -> None:
        self.training, self.segments, self.parallel, self.hearing = training, segments, parallel, hearing
        device = segments.device
        self.conversion, self.critic, self.judge = start, SpeakerCritic().to(device), EnvelopeCritic().to(device)
        self.average = Average(self.conversion)
        self.likeness, self.draw = SpeakerLoss().to(device), torch.Generator()
        self.chance = torch.Generator(device)
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

    def step(self, number: int, rng: np.random.Generator) -> NDArray[np.float64]:
        """Train on one batch; ``FIGURES`` of it."""
        self._set_rate(number)
        batch = draw_rows(self.segments, self.training, rng)
        self.draw.manual_seed(number)
        self.chance.manual_seed(number)
        rows = batch.features.f0.shape[1]
        target, tract = resize(batch.features, batch.tract, self.chance)
        encoder, adapter = self.conversion.encoder, self.conversion.adapter
        clean = encoder.step(disguise(batch.features, self.chance), encoder.init_state(len(tract)))
        content = clean + self.training.content_noise * normal(clean.shape, self.chance)
        state = adapter.init_state(len(tract))
        state["film"] = adapter.film(blurred(batch.embedding, _BLUR, self.chance), tract)
        late = target.each(lambda t: t[:, : rows - LOOKAHEAD_ROWS])
        made = adapter.step(content[:, LOOKAHEAD_ROWS:], late, state)
        self._critics_step(content.detach(), batch, made.envelope.detach(), late.envelope)
        envelope, change, noise = reconstruction(made, late, batch.is_full_band)
        found = self._found(content, batch.embedding).clamp(min=0)
        hiding = self.training.speaker * min(1.0, number / 300)
        loss = envelope + 0.5 * change + 0.5 * noise + hiding * found
        unlike = like = lost = doubt = deceit = apart = misheard = envelope.new_zeros(())
        if self.training.deceit:
            deceit = self._deceit(made.envelope, late.envelope, batch.is_full_band)
        if self.training.likeness:
            unlike, like, lost, doubt, misheard = self._exchange(content, clean.detach(), batch)
            loss = loss + self.training.likeness * unlike + self.training.kept * lost
        if self.parallel is not None:
            apart, unclear = self._parallel(self.parallel, rng)
            misheard = misheard + unclear
        loss = loss + self.training.deceit * heeded(number) * (deceit + doubt) + self.training.parallel * apart
        loss = loss + self.training.misheard * misheard
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.conversion.parameters(), 1.0)
        self.optimizer.step()
        self.average.follow(self.conversion)
        figures = torch.stack([envelope, change, noise, found, like, lost, doubt, deceit, apart, misheard])
        return figures.detach().double().cpu().numpy()

    def _exchange(self, content: Tensor, clean: Tensor, batch: RowBatch) -> tuple[Tensor, ...]:
        """Half of the batch in the voices of the other half and in voices between them.

        Returns:
            Loss and cosine of the likeness, the content lost, how little the critic believes the envelopes, and how
            badly the phones are heard.
        """
        encoder, adapter = self.conversion.encoder, self.conversion.adapter
        count, rows = self.training.exchanged, batch.features.f0.shape[1]
        embedding, tract, log_f0 = self._between(batch, count)
        said = batch.features.each(lambda t: t[:count, : rows - LOOKAHEAD_ROWS])
        shift = log_f0 - batch.log_f0[:count]
        moved = Features(said.envelope, (said.f0 * shift.exp()).clamp(0, CEILING_HZ), said.aperiodicity)
        state = adapter.init_state(count)
        state["film"] = adapter.film(embedding, tract)
        made = adapter.step(content[:count, LOOKAHEAD_ROWS:], moved, state)
        unlike, like = self.likeness(made.each(lambda t: t[:, _SETTLED_ROWS:]), embedding, self.draw)
        again = encoder.step(made, encoder.init_state(count))[:, _SETTLED_ROWS + LOOKAHEAD_ROWS :]
        # Row i of what is heard again speaks of row i - LOOKAHEAD_ROWS of ``made``, which said content row i.
        said_content = clean[:count, LOOKAHEAD_ROWS + _SETTLED_ROWS : rows - LOOKAHEAD_ROWS]
        doubt = unlike.new_zeros(())
        if self.training.deceit:
            doubt = unbelieved(self._judged(made.envelope[:, _SETTLED_ROWS:], batch.is_full_band[:count]))
        misheard = self._misheard(made, batch.numbers[:count, : rows - LOOKAHEAD_ROWS])
        return unlike, like, (again - said_content).abs().mean(), doubt, misheard

    def _between(self, batch: RowBatch, count: int) -> tuple[Tensor, Tensor, Tensor]:
        """Embedding, tract and log F0 of the batch's last ``count`` voices, every other a blend of two.

        Those of the training are few; between them lie those that will be asked for.
        """
        share = uniform(0, 1, (count, 1), self.chance)
        share[::2] = 0

        def blend(values: Tensor) -> Tensor:
            mine = values[-count:]
            return torch.lerp(mine, mine.roll(1, 0), share)

        return nn.functional.normalize(blend(batch.embedding), dim=-1), blend(batch.tract), blend(batch.log_f0)

    def _misheard(self, made: Features, numbers: Tensor) -> Tensor:
        """How badly the phones that are said in the rows ``numbers`` of the set are heard in ``made``."""
        if self.hearing is None or not self.training.misheard:
            return made.envelope.new_zeros(())
        return self.hearing.misheard(made, numbers, _SETTLED_ROWS)

    def _parallel(self, parallel: ParallelSpeech, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """How far typed sentences in other people's voices are from those people saying them, and how badly heard."""
        rows, (encoder, adapter) = self.training.rows, (self.conversion.encoder, self.conversion.adapter)
        typed, spoken, path = parallel.draw(self.training.paired, rows, _HEARD_ROWS, rng)
        said = _batch(self.segments, spoken, rows)
        heard = disguise(self.segments.features(typed, _HEARD_ROWS), self.chance)
        content = encoder.step(heard, encoder.init_state(len(path)))
        content = content + self.training.content_noise * normal(content.shape, self.chance)
        at = (path + LOOKAHEAD_ROWS).clamp(max=_HEARD_ROWS - 1).unsqueeze(-1).expand(-1, -1, content.shape[-1])
        state = adapter.init_state(len(path))
        state["film"] = adapter.film(blurred(said.embedding, _BLUR, self.chance), said.tract)
        made = adapter.step(content.gather(1, at), said.features, state)
        envelope, _, noise = reconstruction(made, said.features, said.is_full_band)
        return envelope + 0.5 * noise, self._misheard(made, said.numbers)

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


def draw_rows(segments: Segments, training: ConversionTraining, rng: np.random.Generator) -> RowBatch:
    """Random segments."""
    return _batch(segments, segments.draw(training.batch, training.rows, rng), training.rows)


def _batch(segments: Segments, at: Place, rows: int) -> RowBatch:
    return RowBatch(
        segments.features(at, rows),
        segments.embeddings[at.recording],
        segments.tracts[at.recording],
        segments.band_hz[at.recording] == FULL_BAND_HZ,
        segments.log_f0[at.recording],
        segments.numbers(at, rows),
    )


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
    hearing: Hearing | None = None,
) -> Conversion:
    """Train ``start``, or go on training, in ``folder`` and where ``start`` is; the averaged networks.

    Without ``hearing`` nobody says whether the words are understood.
    ``folder`` gets ``checkpoint.pt``, ``log.csv``, ``log.png`` and ``conversion.safetensors``.
    """
    segments = Segments(voices, voices.choose(is_test=False), start.adapter.typical.device)
    parallel = ParallelSpeech(voices, segments, start.encoder) if training.parallel else None
    pairs = parallel if parallel and parallel.has(training.rows) else None
    trainer = Trainer(training, start, segments, pairs, hearing)
    loop = Loop(
        folder, "conversion.safetensors", training.steps, FIGURES, training.log_every, training.save_every, report
    )
    loop.run(trainer.parts(), trainer.average, trainer.step)
    return trainer.average.network
