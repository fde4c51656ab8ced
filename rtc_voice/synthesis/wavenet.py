"""The causal WaveNet that corrects what source and filter cannot say."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from rtc_voice.speech.interpolation import between
from rtc_voice.speech.streaming import State
from rtc_voice.synthesis.layers import History, Layers, gated

_SMALLEST_GAIN = 1e-4


@dataclass(frozen=True, slots=True)
class WaveNetConfig:
    """Sizes of the network."""

    fold: int = 6  # samples folded into channels: 24 kHz speech runs at 4 kHz
    inputs: int = 2  # signals at the sample rate: speech of the filter, and its excitation
    features: int = 87  # values of one conditioning row
    embedding: int = 256  # size of the voice embedding
    channels: int = 48
    layers: int = 12
    kernel_size: int = 3
    dilation_cycle: int = 6  # dilations 1, 2, 4 … 32, then again

    def dilation(self, layer: int) -> int:
        """Dilation of one layer, in folded samples."""
        return int(2 ** (layer % self.dilation_cycle))


class WaveNet(nn.Module):
    """A gated residual stack over folded speech, conditioned on features and on the voice.

    The network of van den Oord et al. 2016 (https://arxiv.org/abs/1609.03499) without its sample-by-sample feedback:
    a parallel filter over a signal that is already speech. The last layer starts at zero, so an untrained network
    changes nothing.
    """

    def __init__(self, config: WaveNetConfig, hop: int) -> None:
        super().__init__()
        self.config = config
        self.hop, self.steps_per_hop = hop, hop // config.fold
        c, n = config.channels, config.layers
        self.enter = nn.Linear(config.inputs * config.fold, c)
        self.dilated = Layers(c, 2 * c, config.kernel_size, [config.dilation(i) for i in range(n)])
        self.local = nn.Linear(config.features, 2 * c * n)
        self.voice = nn.Linear(config.embedding, 2 * c * n, bias=False)
        self.onward = nn.ModuleList(nn.Linear(c, c) for _ in range(n - 1))
        self.aside = nn.Linear(n * c, c)
        self.mix = nn.Linear(c, c)
        self.out = nn.Linear(c, config.fold)
        # Past the rectifiers: what the gates let through of the speech is already filtered as the features ask.
        self.direct = nn.Linear(c, config.fold, bias=False)
        for weight in (*self.out.parameters(), *self.direct.parameters()):
            nn.init.zeros_(weight)

    @property
    def receptive_field(self) -> int:
        """Samples that one output sample depends on, its whole fold included."""
        return (sum(self.dilated.contexts) + 1) * self.config.fold

    def init_state(self, batch: int) -> State:
        """Silence in every layer, and no voice yet."""
        return {
            "heard": self.dilated.init_state(batch),
            "bias": self.mix.weight.new_zeros(batch, self.local.out_features),
            "gain": self.mix.weight.new_full((batch, 1), _SMALLEST_GAIN),
        }

    def voice_bias(self, embedding: Tensor) -> Tensor:
        """What a voice ``[B, embedding]`` adds to each layer, made once a voice, ``[B, layers * 2 * channels]``."""
        bias: Tensor = self.voice(embedding)
        return bias

    def step(self, signals: Tensor, features: Tensor, loudness: Tensor, state: State) -> Tensor:
        """The correction for the next samples.

        Args:
            signals: ``[B, inputs, T]``, ``T`` a multiple of the hop; the first is to be corrected, the others have
                unit size.
            features: ``[B, F, features]``, one row a hop.
            loudness: root mean square of the first signal around each row, ``[B, F]``: the network works relative to
                it, so that soft sounds are corrected as carefully as loud ones.
            state: moved in place; ``state["bias"]`` says whose voice.

        Returns:
            ``[B, T]``.
        """
        gain = self._gain(loudness, state["gain"])
        relative = torch.cat([signals[:, :1] / gain.unsqueeze(1), signals[:, 1:]], dim=1)
        x = self.enter(_fold(relative, self.config.fold))
        by_hop = (self.local(features) + state["bias"].unsqueeze(1)).unsqueeze(2)
        conditions = by_hop.chunk(self.config.layers, dim=-1)
        history, through = History(self.dilated, state["heard"]), []
        for number, (dilated, condition) in enumerate(zip(self.dilated, conditions, strict=True)):
            made = dilated(history.before(x)).unflatten(1, (-1, self.steps_per_hop))
            through.append(gated((made + condition).flatten(1, 2)))
            if number < len(self.onward):
                x = x + self.onward[number](through[-1])
        history.keep()
        skipped = self.aside(torch.cat(through, dim=-1))
        y = self.out(torch.relu(self.mix(torch.relu(skipped)))) + self.direct(skipped)
        correction: Tensor = y.flatten(1)
        return correction * gain

    def _gain(self, loudness: Tensor, before: Tensor) -> Tensor:
        """``loudness`` as a line from row to row, ``[B, T]``; ``before`` moves in place."""
        rows = torch.cat([before, loudness.clamp(min=_SMALLEST_GAIN)], dim=1)
        before.copy_(rows[:, -1:])
        ramp = torch.arange(1, self.hop + 1, dtype=rows.dtype, device=rows.device) / self.hop
        return between(rows[:, :-1, None], rows[:, 1:, None], ramp).flatten(1)


def _fold(signals: Tensor, fold: int) -> Tensor:
    """``[B, C, T]`` to ``[B, T / fold, C * fold]``: ``fold`` neighbours become channels."""
    return torch.unflatten(signals, -1, (-1, fold)).transpose(1, 2).flatten(2)
