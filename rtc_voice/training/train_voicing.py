"""Train the judgement of what is voiced on recordings in added noise: five minutes on one core."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor

from rtc_voice.config import AUDIO
from rtc_voice.speech.analysis import FRAME, Features, SpeechAnalysis
from rtc_voice.speech.pitch import CEILING_HZ
from rtc_voice.speech.voicing import Voicing
from rtc_voice.synthesis.chain import source_and_filter
from rtc_voice.synthesis.excitation import Excitation
from rtc_voice.synthesis.filter import MinimumPhaseFilter
from rtc_voice.synthesis.mapping import warp_envelope
from rtc_voice.training.voice_data import VoiceSet, to_features
from rtc_voice.training.voice_labels import voicing_confidence

_ROWS = 400  # of a segment
_BATCH = 8
_SURE, _SURELY_NOT = 0.8, 0.3  # confidences; what lies between is not taught
_PER_VOICE = 12  # segments of one speaker at most
_MADE = 0.25  # of the segments
_SHIFT = (-0.2, 0.9)  # nepers of their F0
_RUMBLE_HZ = 80.0
_FASTER = (1.1, 2.0)  # children and the excited, of whom there are no recordings

Samples = NDArray[np.float32]
Example = tuple[Tensor, Tensor, Tensor, Tensor]
"""Power in bands, strength, F0, and whether voiced: 1, 0, or NaN where unsure; the first dimension is the batch."""


def train_voicing(voices: VoiceSet, output: Path, segments: int = 1200, epochs: int = 12) -> float:
    """Train and write ``output``; the share of the held-out speakers' rows that are misjudged."""
    rng = np.random.default_rng(0)
    torch.manual_seed(0)
    analysis = SpeechAnalysis()
    network = Voicing(AUDIO.sample_rate, analysis.pitch.n_fft)
    examples = list(_examples(voices, voices.choose(is_test=False), segments, analysis, network, rng))
    optimizer = torch.optim.AdamW(network.parameters(), 2e-3, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, epochs * len(examples))
    for _ in range(epochs):
        for number in rng.permutation(len(examples)):
            odds, truth = _judged(network, examples[number])
            loss = torch.nn.functional.binary_cross_entropy_with_logits(odds, truth)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
    save_file(network.state_dict(), output)
    held_out = _examples(voices, voices.choose(is_test=True), segments // 5, analysis, network, rng)
    with torch.inference_mode():
        wrong = [((odds > 0) != (truth > 0)).double().mean() for odds, truth in (_judged(network, e) for e in held_out)]
    return float(np.mean(wrong)) if wrong else float("nan")


def _judged(network: Voicing, example: Example) -> tuple[Tensor, Tensor]:
    """The log odds of the rows of whose truth something is known, and that truth."""
    bands, strength, f0, truth = example
    odds = network.step(bands, strength, f0, network.init_state(len(truth)))
    known = ~truth.isnan()
    return odds[known], truth[known].double()


@torch.inference_mode()
def _examples(
    voices: VoiceSet,
    chosen: list[int],
    count: int,
    analysis: SpeechAnalysis,
    network: Voicing,
    rng: np.random.Generator,
) -> Iterator[Example]:
    """Segments in noise, ``_BATCH`` at a time, each with what is heard of it without."""
    drawn = _drawn(voices, chosen, count, rng)
    for picked in (drawn[i : i + _BATCH] for i in range(0, len(drawn), _BATCH)):
        make = [_made if rng.random() < _MADE else _recorded for _ in picked]
        clean, truth = zip(*[one(voices, i, rng) for one, i in zip(make, picked, strict=True)], strict=True)
        heard = torch.from_numpy(np.stack([disturbed(samples, rng) for samples in clean]))
        state = analysis.init_state(len(heard))
        power = analysis.spectra(heard, state["history"]).pitch
        f0, strength = analysis.pitch.track(power, state["rows"]["pitch"]["score"])
        yield network.bands(power), strength, f0, torch.from_numpy(np.stack(truth))


def _drawn(voices: VoiceSet, chosen: list[int], count: int, rng: np.random.Generator) -> list[int]:
    """``count`` recordings, no speaker more often than ``_PER_VOICE``; fewer where there are not enough."""
    per_speaker: dict[str, int] = {}
    drawn = []
    for index in [int(i) for _ in range(_PER_VOICE) for i in rng.permutation(chosen)]:
        speaker = voices.entries[index].speaker
        per_speaker[speaker] = per_speaker.get(speaker, 0) + 1
        if per_speaker[speaker] <= _PER_VOICE:
            drawn.append(index)
    return drawn[:count]


def _recorded(voices: VoiceSet, index: int, rng: np.random.Generator) -> tuple[Samples, Samples]:
    """A random piece of a recording, at times by a smaller, higher speaker, and where SwiftF0 finds it voiced."""
    speed = rng.uniform(*_FASTER) if rng.random() < 0.33 else 1.0
    rows = voices.entries[index].rows
    count = int(_ROWS * speed)
    samples = voices.target(index, int(rng.integers(max(1, rows - count))), min(count, rows))
    moved = np.interp(np.arange(0, len(samples) - 1, speed), np.arange(len(samples)), samples)
    moved = _filled(moved.astype(np.float32), _ROWS * AUDIO.hop)
    confidence, times = voicing_confidence(moved, AUDIO.sample_rate)
    middle = ((np.arange(_ROWS) + 1) * AUDIO.hop - FRAME / 2) / AUDIO.sample_rate
    at = np.interp(middle, times, confidence)
    return moved, np.where(at >= _SURE, 1, np.where(at < _SURELY_NOT, 0, np.nan)).astype(np.float32)


def _made(voices: VoiceSet, index: int, rng: np.random.Generator) -> tuple[Samples, Samples]:
    """The features of a recording spoken by the synthesiser, at any pitch and however clear, and what it voiced."""
    rows = voices.entries[index].rows
    start = int(rng.integers(max(1, rows - _ROWS)))
    features = to_features(torch.from_numpy(voices.features(index, start, min(_ROWS, rows))).unsqueeze(0))
    shift, warp, hiss = np.exp(rng.uniform(*_SHIFT)), np.exp(rng.uniform(-0.3, 0.1)), rng.uniform() ** 2
    f0 = torch.where(features.f0 * shift < CEILING_HZ, features.f0 * shift, features.f0)
    moved = Features(warp_envelope(features.envelope, torch.full_like(f0, warp)), f0, features.aperiodicity)
    excitation = Excitation(AUDIO.sample_rate, AUDIO.hop)
    shape = MinimumPhaseFilter(AUDIO.sample_rate, AUDIO.hop, hiss=[hiss] * features.aperiodicity.shape[-1])
    states = excitation.init_state(1), shape.init_state(1)
    samples = source_and_filter(excitation, shape, moved, *states)[0, 0].numpy()
    voiced = (f0[0] > 0).float().numpy()
    voiced[1:][np.diff(voiced) != 0] = np.nan  # between two rows it changes gradually
    late = FRAME // 2 // AUDIO.hop
    truth = np.concatenate([np.full(late, np.nan, np.float32), voiced])[:_ROWS]
    return _filled(samples, _ROWS * AUDIO.hop), _filled(truth, _ROWS)


def _filled(values: Samples, count: int) -> Samples:
    """The first ``count`` values, zeros after too few."""
    return np.pad(values[:count], (0, max(0, count - len(values))))


def disturbed(samples: Samples, rng: np.random.Generator) -> Samples:
    """The samples as a poor microphone in a real room gives them: coloured noise, rumble or hum, less treble."""
    count = len(samples)
    hz = np.fft.rfftfreq(count, 1 / AUDIO.sample_rate)
    spectrum = np.fft.rfft(samples)
    loud = np.sqrt(np.mean(samples**2)) + 1e-4

    def noise(shape: NDArray[np.float64], snr_db: float) -> NDArray[np.complex128]:
        made = np.fft.irfft(np.fft.rfft(rng.normal(size=count)) * shape, count)
        scaled: NDArray[np.complex128] = np.fft.rfft(made * (loud * 10 ** (-snr_db / 20) / np.sqrt(np.mean(made**2))))
        return scaled

    if rng.random() < 0.7:
        spectrum = spectrum + noise(np.maximum(hz, 20) ** rng.uniform(-1.2, 0.3), rng.uniform(5, 50))
    if rng.random() < 0.4:
        spectrum = spectrum + noise((hz < rng.uniform(20, _RUMBLE_HZ)).astype(np.float64), rng.uniform(-5, 30))
    if rng.random() < 0.2:
        times, mains = np.arange(count) / AUDIO.sample_rate, rng.choice([50.0, 60.0])
        hum = sum(rng.random() / k * np.sin(2 * np.pi * (k * mains * times + rng.random())) for k in range(1, 6))
        spectrum = spectrum + np.fft.rfft(hum * loud * 10 ** (-rng.uniform(5, 30) / 20))
    if rng.random() < 0.4:
        spectrum = spectrum / (1 + (hz / rng.uniform(3000, 10_000)) ** 8)
    changed: Samples = np.fft.irfft(spectrum, count).astype(np.float32)
    return changed
