"""How far two sounds, or two rows of features, are apart."""

import torch
from torch import Tensor, nn

from rtc_voice.speech.envelope import hz_to_mel

N_FFTS = (256, 512, 1024, 2048)
FLOOR = 2e-3  # of a bin's amplitude, where white noise of variance 1 has 1: what is softer counts little


class SpectralDistance(nn.Module):
    """Distance of two sounds in several short-time spectra; their phases are not compared.

    Per frame the Euclidean distance of the log amplitudes, every frequency weighted as the mel scale does, and the
    mean difference of the amplitudes.
    """

    def __init__(self, sample_rate: int) -> None:
        super().__init__()
        for n_fft in N_FFTS:
            window = torch.hann_window(n_fft)
            self.register_buffer(f"window{n_fft}", window / window.square().sum().sqrt(), persistent=False)
            hz = torch.linspace(0, sample_rate / 2, n_fft // 2 + 1)
            step = sample_rate / n_fft
            self.register_buffer(f"weight{n_fft}", hz_to_mel(hz + step) - hz_to_mel(hz), persistent=False)
            self.register_buffer(f"hz{n_fft}", hz, persistent=False)

    def spectra(self, sound: Tensor) -> list[Tensor]:
        """Amplitudes of ``sound`` ``[B, T]``, one ``[B, F, bins]`` a resolution."""
        return [self._amplitude(sound, n_fft) for n_fft in N_FFTS]

    def forward(self, one: list[Tensor], other: list[Tensor], band_hz: Tensor) -> Tensor:
        """The distance of each pair ``[B]`` of ``spectra``, below ``band_hz`` ``[B]`` only."""
        distances = [self._distance(a, b, band_hz, n) for a, b, n in zip(one, other, N_FFTS, strict=True)]
        return torch.stack(distances).mean(dim=0)

    def _amplitude(self, sound: Tensor, n_fft: int) -> Tensor:
        window = getattr(self, f"window{n_fft}")
        spectrum = torch.stft(sound, n_fft, n_fft // 4, window=window, center=False, return_complex=True)
        amplitude: Tensor = torch.sqrt(spectrum.real**2 + spectrum.imag**2 + 1e-10)
        return amplitude.transpose(1, 2)

    def _distance(self, a: Tensor, b: Tensor, band_hz: Tensor, n_fft: int) -> Tensor:
        weight = getattr(self, f"weight{n_fft}") * (getattr(self, f"hz{n_fft}") < band_hz.unsqueeze(-1))
        weight = (weight / weight.sum(dim=-1, keepdim=True)).unsqueeze(1)
        logs = torch.log(a + FLOOR) - torch.log(b + FLOOR)
        by_frame = torch.sqrt((weight * logs**2).sum(dim=-1) + 1e-8)
        distance: Tensor = by_frame.mean(dim=-1) + 4 * (weight * (a - b).abs()).sum(dim=-1).mean(dim=-1)
        return distance


def energy_distance(
    distance: SpectralDistance,
    drawn: tuple[list[Tensor], list[Tensor]],
    real: list[Tensor],
    band_hz: Tensor,
    *,
    apart: float = 1.0,
) -> tuple[Tensor, Tensor]:
    """The generalised energy distance, and the plain distance to the target for the log.

    Two draws of the same sound with different noise should be as far from the target as from each other. Without the
    second term the best noise would be none; with it the loss is least when noise is distributed as in recordings.

    Args:
        distance: how to compare two sounds.
        drawn: ``spectra`` of two draws.
        real: ``spectra`` of the recording.
        band_hz: up to where the recording is to be trusted, ``[B]``.
        apart: weight of the second term; below 1 the sound gets cleaner than the recordings.

    Source:
        Gritsenko, Salimans, van den Berg, Snoek and Kalchbrenner 2020, A spectral energy distance for parallel speech
        synthesis, https://arxiv.org/abs/2008.01160.
    """
    one, other = drawn
    to_target = (distance(one, real, band_hz) + distance(other, real, band_hz)).mean()
    return to_target - apart * distance(one, other, band_hz).mean(), to_target.detach() / 2
