"""The causal WaveNet that corrects what source and filter cannot say."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from rtc_voice.speech.streaming import State
from rtc_voice.synthesis.layers import CausalConv1d, Pointwise

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
        self.enter = Pointwise(config.inputs * config.fold, c)
        self.dilated = nn.ModuleList(CausalConv1d(c, 2 * c, config.kernel_size, config.dilation(i)) for i in range(n))
        self.local = nn.Linear(config.features, 2 * c * n)
        self.voice = nn.Linear(config.embedding, 2 * c * n, bias=False)
        self.leave = nn.ModuleList(Pointwise(c, 2 * c) for _ in range(n))
        self.mix = Pointwise(c, c)
        self.out = Pointwise(c, config.fold)
        # Past the rectifiers: what the gates let through of the speech is already filtered as the features ask.
        self.direct = Pointwise(c, config.fold, bias=False)
        for weight in (*self.out.parameters(), *self.direct.parameters()):
            nn.init.zeros_(weight)
        self.run: Callable[..., Tensor] = self.step  # unless an exported step stands in

    @property
    def receptive_field(self) -> int:
        """Samples that one output sample depends on, its whole fold included."""
        past = sum(layer.context for layer in self._dilated())
        return int(past + 1) * self.config.fold

    def init_state(self, batch: int) -> State:
        """Silence in every layer, and no voice yet."""
        state: State = {f"layer{i}": layer.init_state(batch) for i, layer in enumerate(self._dilated())}
        state["bias"] = self.mix.weight.new_zeros(batch, self.local.out_features)
        state["gain"] = self.mix.weight.new_full((batch, 1), _SMALLEST_GAIN)
        return state

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
        condition = (self.local(features) + state["bias"].unsqueeze(1)).transpose(1, 2).unsqueeze(-1)
        skipped = torch.zeros_like(x)
        layers = zip(self._dilated(), self.leave, condition.chunk(self.config.layers, dim=1), strict=True)
        for i, (dilated, leave, rows) in enumerate(layers):
            by_hop = torch.unflatten(dilated.step(x, state[f"layer{i}"]), -1, (-1, self.steps_per_hop))
            moved = by_hop + rows
            shape, gate = moved.flatten(-2).chunk(2, dim=1)
            onward, aside = leave(torch.tanh(shape) * torch.sigmoid(gate)).chunk(2, dim=1)
            x = x + onward
            skipped = skipped + aside
        skipped = skipped / self.config.layers**0.5
        y = self.out(torch.relu(self.mix(torch.relu(skipped)))) + self.direct(skipped)
        correction: Tensor = y.transpose(1, 2).flatten(1)
        return correction * gain

    def _gain(self, loudness: Tensor, before: Tensor) -> Tensor:
        """``loudness`` as a line from row to row, ``[B, T]``; ``before`` moves in place."""
        rows = torch.cat([before, loudness.clamp(min=_SMALLEST_GAIN)], dim=1)
        before.copy_(rows[:, -1:])
        ramp = torch.arange(1, self.hop + 1, dtype=rows.dtype, device=rows.device) / self.hop
        return torch.lerp(rows[:, :-1, None], rows[:, 1:, None], ramp).flatten(1)

    def _dilated(self) -> list[CausalConv1d]:
        return [layer for layer in self.dilated if isinstance(layer, CausalConv1d)]


def _fold(signals: Tensor, fold: int) -> Tensor:
    """``[B, C, T]`` to ``[B, C * fold, T / fold]``: ``fold`` neighbours become channels."""
    batch, channels, samples = signals.shape
    folded = signals.reshape(batch, channels, samples // fold, fold).transpose(2, 3)
    return folded.reshape(batch, channels * fold, samples // fold)
