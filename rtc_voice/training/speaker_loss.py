"""How near converted features are to the voice they were made for, as the speaker encoder hears them."""

import torch
from torch import Tensor, nn

from rtc_voice.config import AUDIO
from rtc_voice.speech.analysis import Features
from rtc_voice.synthesis.excitation import Excitation
from rtc_voice.synthesis.filter import MinimumPhaseFilter
from rtc_voice.training.device import on
from rtc_voice.voices.speaker_encoder import SpeakerEncoder, mel_filters

_WINDOW = 600  # samples at 24 kHz: the encoder's 25 ms
_BINS = 201  # up to 8 kHz, what the encoder hears
_RATIO = 1.5  # of our sample rate to the encoder's
_TEMPERATURE = 0.1  # of the choice among the batch's voices
_POWER = 0.03  # root mean square at which all are judged


class SpeakerLoss(nn.Module):
    """Whether speech from source and filter is taken for the voices it should be in; the encoder stays as it is."""

    window: Tensor
    filters: Tensor

    def __init__(self) -> None:
        super().__init__()
        # In training mode, which changes nothing it says: cuDNN gives an LSTM no gradients otherwise.
        self.encoder = SpeakerEncoder().requires_grad_(False).train()
        self.excitation = Excitation(AUDIO.sample_rate, AUDIO.hop)
        self.filter = MinimumPhaseFilter(AUDIO.sample_rate, AUDIO.hop)
        self.register_buffer("window", torch.hann_window(_WINDOW), persistent=False)
        # A copy: the cached one may have been made in inference mode, which no gradient can pass.
        self.register_buffer("filters", mel_filters().clone(), persistent=False)

    def forward(self, made: Features, voices: Tensor, draw: torch.Generator) -> tuple[Tensor, Tensor]:
        """The loss, and the mean cosine for the log.

        Args:
            made: features ``[B, F]`` in the voices of ``voices``.
            voices: embeddings ``[B, 256]``; each clip should be nearer to its own than to the others.
            draw: of noise and phase.
        """
        heard = self.encoder(self.mels(self.speak(made, draw)))
        cosines = heard @ voices.T
        own = cosines.diagonal().mean()
        right = nn.functional.cross_entropy(cosines / _TEMPERATURE, torch.arange(len(voices), device=cosines.device))
        return (1 - own) + 0.1 * right, own.detach()

    def speak(self, features: Features, draw: torch.Generator) -> Tensor:
        """The sound of the features, ``[B, T]``, all rows at once."""
        with torch.no_grad():
            state = on(features.f0.device, self.excitation.random_state(len(features.f0), draw))
            pulses, noise = self.excitation.step(features.f0, state)
        return self.filter.whole(pulses, noise, features)

    def mels(self, sound: Tensor) -> Tensor:
        """Mel powers as the encoder's front end makes them at 16 kHz, ``[B, F, 40]``."""
        loud = sound * (_POWER / sound.detach().square().mean(dim=-1, keepdim=True).sqrt().clamp(min=1e-5))
        spectrum = torch.stft(loud, _WINDOW, AUDIO.hop, window=self.window, pad_mode="constant", return_complex=True)
        power = (spectrum.real**2 + spectrum.imag**2)[:, :_BINS].transpose(1, 2) / _RATIO**2
        return power @ self.filters.T
