"""The spectral envelope of speech without its harmonics, and how much of each band is noise."""

import math

import torch
from torch import Tensor, nn

from rtc_voice.speech.interpolation import lerp

BANDS = 80  # points of the envelope, evenly spaced on the mel scale from 0 Hz to half the sample rate
APERIODICITY_EDGES_HZ = (0.0, 1000.0, 2000.0, 3500.0, 5500.0, 8000.0, 12000.0)
FLOOR = 1e-5  # amplitude: 100 dB below full scale
_UNVOICED_WIDTH_HZ = 250.0  # smoothing where there are no harmonics to remove
_WIDEST_HZ = 520.0  # just above the highest F0
_QUEFRENCIES = 256  # of the cepstrum, 11 ms: nothing of an envelope is left beyond
_RECOVERY = -0.15  # CheapTrick's, of the peaks that the smoothing flattened


def hz_to_mel(hz: Tensor) -> Tensor:
    """Mel of a frequency, HTK's formula."""
    return 2595 * torch.log10(1 + hz / 700)


def mel_to_hz(mel: Tensor) -> Tensor:
    """Frequency in Hz of a mel value."""
    return 700 * (10 ** (mel / 2595) - 1)


def level(envelope: Tensor) -> Tensor:
    """Log of the root mean square of the bands, ``[..., N]`` to ``[...]``."""
    return 0.5 * torch.log(torch.exp(2 * envelope).mean(dim=-1))


_HEARD_HZ = 7500.0  # what wide-band recordings have; above it only their sample rate would be learnt
_TOP_MEL = hz_to_mel(torch.tensor(12_000.0)).item()
HEARD_BANDS = int((mel_to_hz(torch.linspace(0, _TOP_MEL, BANDS)) < _HEARD_HZ).sum())


class SpectralEnvelope(nn.Module):
    """Log-amplitude envelope of each frame at ``BANDS`` mel-spaced points.

    CheapTrick (Morise 2015, https://doi.org/10.1016/j.specom.2014.09.003) with a window of fixed length: the power
    spectrum is averaged over two thirds of the harmonic spacing, and a lifter takes out what ripple the harmonics left
    and raises the formants that the averaging lowered. White noise of variance 1 has envelope 0, about.
    """

    window: Tensor
    quefrency: Tensor
    to_cepstrum: Tensor
    from_cepstrum: Tensor

    def __init__(self, sample_rate: int, frame: int, n_fft: int = 1024) -> None:
        super().__init__()
        self.sample_rate, self.frame, self.n_fft = sample_rate, frame, n_fft
        window = torch.hann_window(frame, dtype=torch.float64)
        top = hz_to_mel(torch.tensor(sample_rate / 2, dtype=torch.float64)).item()
        points = mel_to_hz(torch.linspace(0, top, BANDS, dtype=torch.float64))
        bins, taps = n_fft // 2 + 1, torch.arange(_QUEFRENCIES, dtype=torch.float64)
        cosines = torch.cos(2 * math.pi / n_fft * torch.outer(torch.arange(bins, dtype=torch.float64), taps))
        twice = torch.full((bins, 1), 2.0, dtype=torch.float64)  # the bins above half the rate mirror those below
        twice[0] = twice[-1] = 1
        read = torch.cos(2 * math.pi / sample_rate * torch.outer(taps, points))
        read[1:] *= 2
        for name, value in {
            "window": window / window.square().sum().sqrt(),
            "quefrency": taps.clamp(min=1e-9) / sample_rate,  # s; not 0, so that the lifter can be divided by it
            "to_cepstrum": cosines * twice / n_fft,
            "from_cepstrum": read,
        }.items():
            self.register_buffer(name, value.float(), persistent=False)

    def forward(self, power: Tensor, f0: Tensor) -> Tensor:
        """Envelope rows.

        Args:
            power: spectra, ``[B, F, n_fft // 2 + 1]``.
            f0: Hz, 0 where unvoiced, ``[B, F]``.

        Returns:
            Natural-log amplitude, ``[B, F, BANDS]``.
        """
        width = torch.where(f0 > 0, f0, torch.full_like(f0, _UNVOICED_WIDTH_HZ)).unsqueeze(-1)
        smooth = self._average(power, self._bin_hz(power), width * (2 / 3))
        # float64: a voice's F0 is told from the envelope, and must not depend on the voices beside it.
        cepstrum = 0.5 * torch.log(smooth + FLOOR**2) @ self.to_cepstrum.double()
        angle = math.pi * width.double() * self.quefrency
        sine = torch.sin(angle)
        lifter = sine / angle * (1 - 4 * _RECOVERY * sine.square())
        return ((cepstrum * lifter) @ self.from_cepstrum.double()).to(power.dtype)

    def _bin_hz(self, power: Tensor) -> Tensor:
        return torch.arange(power.shape[-1], dtype=power.dtype, device=power.device) * (self.sample_rate / self.n_fft)

    def _average(self, power: Tensor, centre_hz: Tensor, width_hz: Tensor) -> Tensor:
        """The mean of ``power`` over ``width_hz`` around each of ``centre_hz``, mirrored at both ends, in float64."""
        bins = power.shape[-1]
        mirror = math.ceil(_WIDEST_HZ / 2 * self.n_fft / self.sample_rate) + 1
        padded = nn.functional.pad(power, (mirror, mirror), mode="reflect")
        # float64: the running sum of the strong low bands would swallow the weak high ones.
        summed = nn.functional.pad(padded.double().cumsum(dim=-1), (1, 0))
        per_bin = self.n_fft / self.sample_rate
        # Bin k covers [k - 1/2, k + 1/2]; the running sum at its left edge is summed[k + mirror].
        half = width_hz * (per_bin / 2)
        centre = centre_hz * per_bin + (0.5 + mirror)
        edges = torch.cat([centre - half, centre + half], dim=-1).clamp(0, bins + 2 * mirror - 1)
        low, high = lerp(summed, edges).chunk(2, dim=-1)
        return ((high - low) / (2 * half)).clamp(min=0)


class Aperiodicity(nn.Module):
    """The share of noise in each band of voiced speech, from how alike the sound is some periods apart.

    Two segments a whole number of periods apart are compared band by band: their coherence is 1 for a steady
    harmonic sound and, but for the segments' overlap, 0 for noise.
    """

    to_spectrum: Tensor
    overlap: Tensor
    membership: Tensor

    def __init__(self, sample_rate: int, frame: int, segment: int = 512) -> None:
        super().__init__()
        self.sample_rate, self.frame, self.segment = sample_rate, frame, segment
        self.longest = frame - segment  # samples between the segments, at most
        window = torch.hann_window(segment, dtype=torch.float64)
        spectrum = torch.fft.rfft(window, 2 * segment).abs() ** 2
        overlap = torch.fft.irfft(spectrum)[: segment + 1]
        hz = torch.arange(segment // 2 + 1, dtype=torch.float64) * sample_rate / segment
        edges = torch.tensor(APERIODICITY_EDGES_HZ, dtype=torch.float64)
        member = (hz >= edges[:-1, None]) & (hz < edges[1:, None])
        spectra = torch.fft.rfft(torch.diag(window))
        self.register_buffer("to_spectrum", torch.cat([spectra.real, spectra.imag], dim=1).float(), persistent=False)
        self.register_buffer("overlap", (overlap / overlap[0]).float(), persistent=False)
        self.register_buffer("membership", member.T.float(), persistent=False)

    def forward(self, frames: Tensor, f0: Tensor) -> Tensor:
        """Noise share rows.

        Args:
            frames: ``[B, F, frame]``.
            f0: Hz, 0 where unvoiced, ``[B, F]``.

        Returns:
            In [0, 1], 1 where unvoiced, ``[B, F, bands]``.
        """
        period = self.sample_rate / f0.clamp(min=self.sample_rate / self.longest)
        apart = period * (240 / period).round().clamp(min=1)
        whole = apart.round().long().clamp(max=self.longest)
        start = (self.longest - whole) // 2
        real, imaginary = self._segments(frames, torch.stack([start, start + whole]))
        # The fraction of a sample that the whole shift misses, made good as a linear phase.
        omega = torch.arange(len(self.membership), dtype=f0.dtype, device=f0.device) * (2 * math.pi / self.segment)
        angle = omega * (apart - whole).unsqueeze(-1)
        along = real[0] * real[1] + imaginary[0] * imaginary[1]
        across = imaginary[0] * real[1] - real[0] * imaginary[1]
        cross: Tensor = (along * torch.cos(angle) + across * torch.sin(angle)) @ self.membership
        both = (real**2 + imaginary**2) @ self.membership
        strength = torch.sqrt(both[0] * both[1])
        by_overlap = self.overlap[whole].unsqueeze(-1)
        share = (1 - cross / (strength + 1e-12)) / (1 - by_overlap).clamp(min=0.3)
        is_voiced = f0.unsqueeze(-1) > 0
        return torch.where(is_voiced, share.clamp(0, 1), torch.ones_like(share))

    def _segments(self, frames: Tensor, starts: Tensor) -> tuple[Tensor, Tensor]:
        """The spectra of the segments at ``starts`` ``[2, B, F]``, real and imaginary parts ``[2, B, F, bins]``."""
        index = starts.unsqueeze(-1) + torch.arange(self.segment, device=starts.device)
        # As a product: on a CPU core it takes half the time of ONNX Runtime's transform.
        spectra = frames.expand(2, *frames.shape).gather(-1, index) @ self.to_spectrum
        real, imaginary = spectra.chunk(2, dim=-1)
        return real, imaginary
