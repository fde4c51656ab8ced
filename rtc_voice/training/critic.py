"""The networks that tell recordings from what was made, and are thrown away after training."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from rtc_voice.speech.envelope import BANDS, HEARD_BANDS, level
from rtc_voice.training.losses import FLOOR, N_FFTS

_CHANNELS = 16
_PERIODS = (2, 3, 5, 7, 11)  # samples, HiFi-GAN's
_RESOLUTIONS = N_FFTS[1:]  # the shortest shows no harmonics
_SLOPE = 0.2  # of the rectifiers below zero
_SOFTEST = -6.0  # of an envelope relative to its level: what is softer is not shown

_ALONE = 50  # steps in which a critic learns before what it finds counts
Found = list[Tensor]
"""What each layer of a judge finds, its scores last."""


class PictureCritic(nn.Module):
    """Scores the parts of pictures ``[B, F, N]`` of log amplitudes: 1 for a recording, 0 for what was made."""

    def __init__(self) -> None:
        super().__init__()
        wide = {"kernel_size": (3, 9), "stride": (1, 2)}
        layers = [
            nn.Conv2d(1, _CHANNELS, padding=(1, 4), **wide),  # type: ignore[arg-type]
            nn.Conv2d(_CHANNELS, _CHANNELS, padding=(1, 4), **wide),  # type: ignore[arg-type]
            nn.Conv2d(_CHANNELS, _CHANNELS, padding=(2, 4), dilation=(2, 1), **wide),  # type: ignore[arg-type]
            nn.Conv2d(_CHANNELS, 1, 3, padding=1),
        ]
        self.layers = nn.ModuleList(nn.utils.parametrizations.weight_norm(layer) for layer in layers)

    def forward(self, picture: Tensor) -> Found:
        """What each layer finds."""
        return _through(self.layers, picture.unsqueeze(1))


class SoundCritic(nn.Module):
    """Judges sound by several short-time spectra.

    The multi-resolution spectrogram discriminator of UnivNet (Jang et al. 2021, https://arxiv.org/abs/2106.07889), on
    log amplitudes, and small.
    """

    def __init__(self, sample_rate: int) -> None:
        super().__init__()
        self.sample_rate = sample_rate
        self.judges = nn.ModuleList(PictureCritic() for _ in _RESOLUTIONS)

    def forward(self, spectra: list[Tensor], band_hz: Tensor) -> list[Found]:
        """What each judge finds.

        Args:
            spectra: amplitudes as ``SpectralDistance.spectra`` gives them.
            band_hz: nothing above it is shown, ``[B]``: else the bandwidth of the recordings would be learnt.
        """
        shown = zip(self.judges, spectra[1:], _RESOLUTIONS, strict=True)
        return [judge(self._picture(amplitude, band_hz, n_fft)) for judge, amplitude, n_fft in shown]

    def _picture(self, amplitude: Tensor, band_hz: Tensor, n_fft: int) -> Tensor:
        hz = torch.arange(amplitude.shape[-1], device=amplitude.device) * (self.sample_rate / n_fft)
        is_known = (hz < band_hz.unsqueeze(-1)).unsqueeze(1)
        return torch.log(amplitude * is_known + FLOOR) / 2


class PeriodCritic(nn.Module):
    """Scores sound ``[B, T]`` folded at ``period`` samples."""

    def __init__(self, period: int) -> None:
        super().__init__()
        self.period = period
        sizes = [1, _CHANNELS, 2 * _CHANNELS, 4 * _CHANNELS, 8 * _CHANNELS]
        layers = [nn.Conv2d(a, b, (5, 1), (3, 1), (2, 0)) for a, b in zip(sizes, sizes[1:], strict=False)]
        layers.append(nn.Conv2d(sizes[-1], 1, (3, 1), padding=(1, 0)))
        self.layers = nn.ModuleList(nn.utils.parametrizations.weight_norm(layer) for layer in layers)

    def forward(self, sound: Tensor) -> Found:
        """What each layer finds."""
        whole = sound[:, : sound.shape[1] // self.period * self.period]
        return _through(self.layers, whole.view(len(sound), 1, -1, self.period))


class WaveCritic(nn.Module):
    """Judges the wave itself, where spectra do not show the phases of the harmonics: a buzz.

    The multi-period discriminator of HiFi-GAN (Kong et al. 2020, https://arxiv.org/abs/2010.05646), and small.
    """

    def __init__(self) -> None:
        super().__init__()
        self.judges = nn.ModuleList(PeriodCritic(period) for period in _PERIODS)

    def forward(self, sound: Tensor) -> list[Found]:
        """What each judge finds in ``[B, T]`` of unit power."""
        return [judge(sound) for judge in self.judges]


class EnvelopeCritic(nn.Module):
    """Judges the course of envelopes, whatever their level."""

    def __init__(self) -> None:
        super().__init__()
        self.judge = PictureCritic()

    def forward(self, envelope: Tensor, is_full_band: Tensor) -> list[Found]:
        """What is found in ``[B, F, BANDS]``; of a recording that is not of full band no more than it has is shown."""
        loud = level(envelope[..., :HEARD_BANDS].clamp(min=-9)).mean(dim=1, keepdim=True).unsqueeze(-1)
        shown = (envelope - loud).clamp(min=_SOFTEST)
        is_known = is_full_band[:, None, None] | (torch.arange(BANDS, device=envelope.device) < HEARD_BANDS)
        return [self.judge(torch.where(is_known, shown, _SOFTEST) / 2)]


def _through(layers: nn.ModuleList, x: Tensor) -> Found:
    """What each of the layers of a judge finds in ``[B, 1, ...]``."""
    found = []
    for layer in layers:
        x = layer(x)
        found.append(x)
        x = nn.functional.leaky_relu(x, _SLOPE)
    return found


def heeded(step: int) -> float:
    """How much of what a critic finds counts at ``step``: nothing at first, then from step to step more, up to 1."""
    return min(1.0, max(0.0, step / _ALONE - 1))


@contextmanager
def unlearning(critic: nn.Module) -> Iterator[None]:
    """While what is made learns from ``critic``, which learns nothing itself."""
    critic.requires_grad_(False)
    try:
        yield
    finally:
        critic.requires_grad_(True)


def critic_loss(real: list[Found], made: list[Found], counts: Tensor | None = None) -> Tensor:
    """How far the scores are from 1 for recordings and 0 for what was made (least squares: Mao et al. 2017).

    Args:
        real: what is found in recordings.
        made: in what was made.
        counts: how much each of the batch counts, ``[B]``; None: all alike.
    """
    each = [
        _mean((1 - r[-1]).square(), counts) + _mean(m[-1].square(), counts) for r, m in zip(real, made, strict=True)
    ]
    return torch.stack(each).mean()


def deceit_loss(real: list[Found], made: list[Found]) -> Tensor:
    """How far the critic is from taking what was made for a recording, and its layers from finding the same in both.

    The second part is the feature matching of MelGAN (Kumar et al. 2019, https://arxiv.org/abs/1910.06711).
    """
    pairs = [(a, b) for r, m in zip(real, made, strict=True) for a, b in zip(r[:-1], m[:-1], strict=True)]
    unlike = torch.stack([(a - b).abs().mean() / a.abs().mean().clamp(min=0.1) for a, b in pairs]).mean()
    return unbelieved(made) + 2 * unlike


def unbelieved(made: list[Found], counts: Tensor | None = None) -> Tensor:
    """How far the critic is from taking what was made for a recording; ``counts`` as for ``critic_loss``."""
    return torch.stack([_mean((1 - m[-1]).square(), counts) for m in made]).mean()


def _mean(values: Tensor, counts: Tensor | None) -> Tensor:
    """Of ``[B, ...]``, where each of the batch counts as much as ``counts`` says."""
    if counts is None:
        return values.mean()
    return (values.flatten(1).mean(dim=1) * counts).sum() / counts.sum().clamp(min=1)
