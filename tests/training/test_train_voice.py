"""The voice model's training: the whole road in small, its losses, and going on after a stop."""

import csv
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from rtc_voice.speech.analysis import Features
from rtc_voice.speech.envelope import BANDS
from rtc_voice.synthesis.content import Conversion
from rtc_voice.synthesis.wavenet import WaveNetConfig
from rtc_voice.training.checkpoint import Average, load_checkpoint, save_checkpoint
from rtc_voice.training.losses import SpectralDistance, energy_distance
from rtc_voice.training.train_conversion import ConversionTraining, new_conversion, reconstruction, train_conversion
from rtc_voice.training.train_voice import Plan, fit_plan
from rtc_voice.training.train_wavenet import WaveNetTraining, train_wavenet
from rtc_voice.training.voice_data import ROW, Entry, VoiceSet, is_test_speaker, to_features, to_rows

HOP = 240


@pytest.fixture
def voices() -> VoiceSet:
    """Two recordings whose sound is an eighth as loud as their features say: something to be learnt at once."""
    rng = np.random.default_rng(0)
    rows = np.zeros((400, ROW), dtype=np.float16)
    rows[:, :BANDS] = -3
    rows[:, BANDS:-1] = 1
    sound = (rng.normal(0, np.exp(-3) / 8, 400 * HOP) * 32768).astype(np.int16)
    entries = [Entry(200 * i, 200, name, "made", 12_000, 0.0, 1.0, "") for i, name in enumerate(("one", "two"))]
    assert not any(entry.is_test for entry in entries)
    embeddings = np.full((2, 256), 1 / 16, dtype=np.float32)
    return VoiceSet(entries, sound, rows, embeddings)


@pytest.fixture
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def distances(log: Path) -> list[float]:
    with log.open(newline="") as file:
        return [float(row["distance_to_recording"]) for row in csv.DictReader(file)]


@pytest.mark.slow
def test_the_wavenet_learns_and_goes_on_after_a_stop(voices: VoiceSet, tmp_path: Path, one_thread: None) -> None:
    sizes = WaveNetConfig(channels=16, layers=2, dilation_cycle=2)
    first = WaveNetTraining(
        steps=40,
        batch=2,
        rows=40,
        warm_up_rows=4,
        rate=5e-3,
        log_every=10,
        save_every=20,
        converted=0,
    )
    lines: list[str] = []
    train_wavenet(voices, sizes, first, Conversion(), tmp_path, lines.append)
    went = distances(tmp_path / "log.csv")
    assert went[-1] < 0.9 * went[0]
    train_wavenet(voices, sizes, replace(first, steps=50), Conversion(), tmp_path, lines.append)
    assert [line.split(":")[0] for line in lines] == [f"step {n}" for n in (10, 20, 30, 40, 50)]
    assert distances(tmp_path / "log.csv")[-1] < 0.9 * went[0]


@pytest.mark.slow
def test_the_conversion_learns_and_goes_on_after_a_stop(voices: VoiceSet, tmp_path: Path, one_thread: None) -> None:
    lines: list[str] = []
    for steps in (40, 60):
        training = ConversionTraining(steps, 2e-3, 0.1, 0.5, batch=4, rows=60, log_every=10, save_every=20)
        train_conversion(voices, training, new_conversion(voices), tmp_path, lines.append)
    with (tmp_path / "log.csv").open(newline="") as file:
        errors = [float(row["envelope"]) for row in csv.DictReader(file)]
    assert [line.split(":")[0] for line in lines] == [f"step {n}" for n in (10, 20, 30, 40, 50, 60)]
    assert errors[-1] < 0.5 * errors[0]
    assert (tmp_path / "log.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_steps_are_as_many_as_fit_into_the_minutes(voices: VoiceSet, tmp_path: Path, one_thread: None) -> None:
    stage = ConversionTraining(1000, 2e-3, 0.1, 0.0, batch=2, rows=40)
    wavenet = (WaveNetTraining(steps=1000, batch=1, rows=40, warm_up_rows=4),)
    plan = Plan((stage, replace(stage, steps=500)), wavenet, WaveNetConfig(channels=8, layers=2, dilation_cycle=2))
    lines: list[str] = []
    cpu = torch.device("cpu")
    short = fit_plan(plan, voices, 0.01, tmp_path / "short.json", cpu, lines.append)
    long = fit_plan(plan, voices, 100.0, tmp_path / "long.json", cpu, lines.append)
    assert long.stages[0].steps > 100 * short.stages[0].steps
    assert long.wavenet[0].steps > 100 * short.wavenet[0].steps
    assert long.stages[0].steps == pytest.approx(2 * long.stages[1].steps, abs=1)
    assert fit_plan(plan, voices, 5.0, tmp_path / "long.json", cpu, lines.append) == long  # a stop changes nothing


def test_energy_distance_is_least_for_noise_like_the_recordings() -> None:
    generator = torch.Generator().manual_seed(0)
    distance, band_hz = SpectralDistance(24_000), torch.full((4,), 12_000)

    def noise(loudness: float) -> list[torch.Tensor]:
        return distance.spectra(loudness * torch.randn(4, 24_000, generator=generator))

    target = noise(0.1)
    found = {
        loudness: float(energy_distance(distance, (noise(loudness), noise(loudness)), target, band_hz)[0])
        for loudness in (0.05, 0.08, 0.1, 0.125, 0.2)
    }
    assert min(found, key=lambda loudness: found[loudness]) == 0.1


def test_what_lies_above_the_recordings_band_does_not_count() -> None:
    generator = torch.Generator().manual_seed(0)
    time = torch.arange(24_000) / 24_000
    low = 0.1 * torch.randn(1, 24_000, generator=generator)
    high = low + 0.2 * torch.sin(2 * torch.pi * 10_000 * time)
    distance = SpectralDistance(24_000)
    one, other = distance.spectra(low), distance.spectra(high)
    wide, full = torch.tensor([7500]), torch.tensor([12_000])
    assert float(distance(one, other, wide)) < 0.1 * float(distance(one, other, full))


def test_a_checkpoint_gives_back_what_was_saved(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network, other = torch.nn.Linear(3, 3), torch.nn.Linear(3, 3)
    assert load_checkpoint(tmp_path / "none.pt", {"network": other}) == 0
    save_checkpoint(tmp_path / "some.pt", {"network": network}, 7)
    assert load_checkpoint(tmp_path / "some.pt", {"network": other}) == 7
    assert torch.equal(other.weight, network.weight)


def test_the_average_follows_the_network() -> None:
    network = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.zeros_(network.weight)
    average = Average(network, decay=0.9)
    torch.nn.init.ones_(network.weight)
    for _ in range(200):
        average.follow(network)
    assert average.network.weight.item() == pytest.approx(1, abs=1e-3)


def test_features_survive_as_rows() -> None:
    features = Features(torch.rand(1, 3, BANDS), torch.rand(1, 3), torch.rand(1, 3, 6))
    again = to_features(to_rows(features))
    assert torch.equal(again.envelope, features.envelope)
    assert torch.equal(again.f0, features.f0)
    assert torch.equal(again.aperiodicity, features.aperiodicity)


def test_bands_that_a_recording_lacks_are_not_learnt() -> None:
    made = Features(torch.zeros(2, 5, BANDS), torch.ones(2, 5), torch.zeros(2, 5, 6))
    target = Features(torch.zeros(2, 5, BANDS), torch.ones(2, 5), torch.zeros(2, 5, 6))
    target.envelope[..., -1] = 4.0
    wide, _, _ = reconstruction(made, target, torch.tensor([False, False]))
    full, _, _ = reconstruction(made, target, torch.tensor([True, True]))
    assert float(wide) == 0
    assert float(full) == pytest.approx(4 / BANDS)


def test_about_one_speaker_in_twelve_is_kept_for_testing() -> None:
    kept = sum(is_test_speaker(f"speaker {number}") for number in range(2400))
    assert 150 < kept < 250
