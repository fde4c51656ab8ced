"""The critic of sound: it learns to tell, it is shown no more than the recordings have, and it can be deceived."""

import pytest
import torch

from rtc_voice.device import find_device
from rtc_voice.errors import InputError
from rtc_voice.training.critic import SoundCritic, WaveCritic, critic_loss, deceit_loss, unbelieved
from rtc_voice.training.losses import SpectralDistance

RATE = 24_000
FULL = torch.full((2,), RATE // 2)


def spectra(sound: torch.Tensor) -> list[torch.Tensor]:
    return SpectralDistance(RATE).spectra(sound)


def hum(hz: float) -> torch.Tensor:
    return 0.1 * torch.sin(2 * torch.pi * hz * torch.arange(RATE // 2) / RATE).repeat(2, 1)


def trained_critic(real: list[torch.Tensor], made: list[torch.Tensor]) -> tuple[SoundCritic, list[float]]:
    torch.manual_seed(0)
    critic = SoundCritic(RATE)
    optimizer = torch.optim.Adam(critic.parameters(), 2e-3)
    losses = []
    for _ in range(12):
        loss = critic_loss(critic(real, FULL), critic(made, FULL))
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.append(loss.item())
    return critic, losses


def test_the_critic_learns_to_tell_and_can_be_deceived() -> None:
    torch.manual_seed(0)
    noise = 0.1 * torch.randn(2, RATE // 2)
    critic, losses = trained_critic(spectra(noise), spectra(hum(300)))
    assert losses[-1] < 0.5 * losses[0]
    wanted = critic(spectra(noise), FULL)
    far, near = (
        deceit_loss(wanted, critic(spectra(sound), FULL)) for sound in (hum(300), 0.1 * torch.randn(2, RATE // 2))
    )
    assert near < 0.5 * far


def test_the_critic_of_waves_tells_what_spectra_do_not_show() -> None:
    torch.manual_seed(0)
    critic = WaveCritic()
    optimizer = torch.optim.Adam(critic.parameters(), 2e-3)
    time = torch.arange(RATE // 4) / RATE
    harmonics = torch.arange(1, 20).unsqueeze(1)
    pulses = torch.cos(2 * torch.pi * 150 * harmonics * time).mean(dim=0, keepdim=True) * 6
    smeared = torch.cos(2 * torch.pi * 150 * harmonics * time + harmonics**2).mean(dim=0, keepdim=True) * 6
    for _ in range(20):
        loss = critic_loss(critic(pulses), critic(smeared))
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    assert loss.item() < 0.3  # at chance 0.5
    assert unbelieved(critic(smeared)) > 2 * unbelieved(critic(pulses))


def test_nothing_above_the_band_of_a_recording_is_shown() -> None:
    critic = SoundCritic(RATE).requires_grad_(False)
    low, both = spectra(hum(300)), spectra(hum(300) + hum(10_000))

    def change(band_hz: torch.Tensor) -> float:
        found = zip(critic(low, band_hz), critic(both, band_hz), strict=True)
        return min(float((one[-1] - other[-1]).abs().max()) for one, other in found)

    # What leaks down from 10 kHz through a window is all that may be seen.
    assert change(torch.full((2,), 7500)) < 0.1 * change(FULL)


def test_a_device_that_is_not_here_is_refused() -> None:
    assert find_device("cpu").type == "cpu"
    with pytest.raises(InputError, match="tpu"):
        find_device("tpu")
    if not torch.cuda.is_available():
        with pytest.raises(InputError, match="CUDA"):
            find_device("cuda")
