"""A second speaker encoder that only judges: nothing in the package is conditioned on it or trained against it."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor, nn

from rtc_voice.voices.speaker_encoder import SAMPLE_RATE, prepare

WEIGHTS = Path(__file__).parent / "assets" / "second_speaker_encoder.safetensors"
BANDS, CEPSTRA = 64, 26
FEATURES = 2 * CEPSTRA  # and how they change
COMPONENTS, EMBEDDING_SIZE = 256, 128

_HOP, _WINDOW, _FFT = 160, 400, 512  # samples at 16 kHz
_LOWEST_HZ, _HIGHEST_HZ = 40.0, 7600.0
_FLOOR = 1e-6  # of mel power; speech comes at -30 dB or more
_RELEVANCE = 8.0  # rows that the average speaker's sound is worth against the recording's own


class SecondSpeakerEncoder(nn.Module):
    """How a recording's sounds differ from the same sounds of an average speaker, seen from where speakers differ most.

    A mixture of Gaussians sorts the rows into sounds; the recording's mean in each, pulled towards the mixture's own
    where there is little of it, is a long vector; principal components and linear discriminants make it short.

    Source:
        Reynolds, Quatieri and Dunn 2000, https://doi.org/10.1006/dspr.1999.0361 (adapted mixtures); Dehak et al. 2011,
        https://doi.org/10.1109/TASL.2010.2064307 (one short vector of them and discriminant analysis).
    """

    means: Tensor
    variances: Tensor
    weights: Tensor
    offset: Tensor
    projection: Tensor

    def __init__(self, weights: Path | None = WEIGHTS) -> None:
        super().__init__()
        self.register_buffer("means", torch.zeros(COMPONENTS, FEATURES))
        self.register_buffer("variances", torch.ones(COMPONENTS, FEATURES))
        self.register_buffer("weights", torch.full((COMPONENTS,), 1 / COMPONENTS))
        self.register_buffer("offset", torch.zeros(COMPONENTS * FEATURES))
        self.register_buffer("projection", torch.zeros(COMPONENTS * FEATURES, EMBEDDING_SIZE))
        if weights is not None:
            self.load_state_dict({name: value.float() for name, value in load_file(weights).items()})

    def shares(self, rows: Tensor) -> Tensor:
        """How much each row of features ``[F, 52]`` belongs to each sound, ``[F, 256]``."""
        precisions = 1 / self.variances
        constant = torch.log(self.weights) - 0.5 * (torch.log(self.variances) + self.means.square() * precisions).sum(1)
        logs = constant + rows @ (self.means * precisions).T - 0.5 * rows.square() @ precisions.T
        return torch.softmax(logs, dim=1)

    def differences(self, rows: Tensor) -> Tensor:
        """How the recording differs from the average in every sound, ``[256 * 52]``, of its features ``[F, 52]``."""
        shares = self.shares(rows)
        count = shares.sum(dim=0).unsqueeze(1)
        mean = (shares.T @ rows + _RELEVANCE * self.means) / (count + _RELEVANCE)
        return ((mean - self.means) * (self.weights.unsqueeze(1) / self.variances).sqrt()).flatten()

    def forward(self, differences: Tensor) -> Tensor:
        """Unit vectors ``[..., 128]`` of differences ``[..., 256 * 52]``."""
        return nn.functional.normalize((differences - self.offset) @ self.projection, dim=-1)

    @torch.inference_mode()
    def embed(self, samples: NDArray[np.float32], sample_rate: int) -> NDArray[np.float32]:
        """Whose voice a recording is, unit vector ``[128]``; arguments and errors as ``SpeakerEncoder.embed``."""
        rows = features(log_mel(torch.from_numpy(prepare(samples, sample_rate))))
        embedding: NDArray[np.float32] = self(self.differences(rows)).numpy()
        return embedding


def log_mel(samples: Tensor) -> Tensor:
    """Natural logarithms of mel power, one row per 10 ms, of 16 kHz samples ``[T]``: ``[F, 64]``."""
    window = torch.hann_window(_WINDOW)
    spectrum = torch.stft(samples, _FFT, _HOP, _WINDOW, window, return_complex=True)
    return torch.log(spectrum.abs().square().T @ _filters().T + _FLOOR)


def features(log_mels: Tensor) -> Tensor:
    """Cepstra and their changes, both without what is constant in the recording, ``[F, 52]`` of ``[F, 64]``."""
    angles = torch.pi / BANDS * torch.outer(torch.arange(BANDS) + 0.5, torch.arange(1, CEPSTRA + 1))
    cepstra = log_mels @ torch.cos(angles) * (2 / BANDS) ** 0.5
    cepstra = cepstra - cepstra.mean(dim=0)
    padded = torch.cat([cepstra[:1], cepstra[:1], cepstra, cepstra[-1:], cepstra[-1:]])
    changes = (2 * (padded[4:] - padded[:-4]) + padded[3:-1] - padded[1:-3]) / 10
    return torch.cat([cepstra, changes], dim=1)


def _filters() -> Tensor:
    """Triangles equally wide on the mel scale of O'Shaughnessy, ``[64, 257]``."""
    low, high = 1127 * np.log1p(np.array([_LOWEST_HZ, _HIGHEST_HZ]) / 700)
    edges = np.linspace(low, high, BANDS + 2)
    bins = 1127 * np.log1p(np.fft.rfftfreq(_FFT, 1 / SAMPLE_RATE) / 700)
    rising = (bins - edges[:-2, None]) / (edges[1] - edges[0])
    falling = (edges[2:, None] - bins) / (edges[1] - edges[0])
    return torch.from_numpy(np.maximum(0, np.minimum(rising, falling)).astype(np.float32))
