"""What is said, without who says it; and how a voice would say it."""

import math

import torch
from torch import Tensor, nn

from rtc_voice.speech.analysis import Features
from rtc_voice.speech.envelope import APERIODICITY_EDGES_HZ, BANDS, FLOOR, HEARD_BANDS, level
from rtc_voice.speech.pitch import octaves
from rtc_voice.speech.streaming import State, slide
from rtc_voice.synthesis.layers import History, Layers, gated
from rtc_voice.voices.types import Voice

CONTENT = 24  # values a row; few and noisy in training, so that no room is left for the speaker
LOOKAHEAD_ROWS = 2  # that the encoder hears beyond the row it describes
_CHANNELS = 160
_LEVEL_DECAY = 0.01  # of the running speech level, nepers a row: 9 dB a second
_SHARES = len(APERIODICITY_EDGES_HZ) - 1
_EMBEDDING = 256


class GatedStack(nn.Module):
    """Gated causal convolutions with residuals over rows, ``[B, F, C]`` to ``[B, F, C]``."""

    def __init__(self, channels: int, dilations: tuple[int, ...]) -> None:
        super().__init__()
        self.dilated = Layers(channels, 2 * channels, 3, dilations)
        self.leave = nn.ModuleList(nn.Linear(channels, channels) for _ in dilations)

    def init_state(self, batch: int) -> Tensor:
        """Silence in every layer."""
        return self.dilated.init_state(batch)

    def step(self, x: Tensor, state: Tensor, film: Tensor | None = None) -> Tensor:
        """The next rows; ``film`` ``[B, 1, layers * 4 * C]`` scales and shifts what goes to the gates of each layer."""
        history = History(self.dilated, state)
        films = [None] * len(self.leave) if film is None else film.chunk(len(self.leave), dim=-1)
        for dilated, leave, own in zip(self.dilated, self.leave, films, strict=True):
            gates = dilated(history.before(x))
            if own is not None:
                scale, shift = own.chunk(2, dim=-1)
                gates = gates * scale + shift
            x = x + leave(gated(gates))
        history.keep()
        return x


class ContentEncoder(nn.Module):
    """Features of anybody's speech to content rows, ``LOOKAHEAD_ROWS`` late."""

    def __init__(self) -> None:
        super().__init__()
        self.enter = nn.Linear(HEARD_BANDS + _SHARES, _CHANNELS)
        self.stack = GatedStack(_CHANNELS, (1, 2, 4, 1, 2, 4))
        self.out = nn.Linear(_CHANNELS, CONTENT)

    def init_state(self, batch: int) -> State:
        """Silence, at the level of average speech."""
        return {"stack": self.stack.init_state(batch), "level": self.out.weight.new_full((batch, 1), -3.0)}

    def step(self, features: Features, state: State) -> Tensor:
        """Content ``[B, F, CONTENT]`` in [-1, 1]: row ``i`` says what was heard at row ``i - LOOKAHEAD_ROWS``."""
        heard = features.envelope[..., :HEARD_BANDS]
        peak = _running_peak(level(heard), state["level"]).unsqueeze(-1)
        # Relative to speech level, 52 dB down to silence.
        shape = (heard - peak).clamp(-6, 3) / 2 + 1
        rows = torch.cat([shape, features.aperiodicity], dim=-1)
        return torch.tanh(self.out(self.stack.step(self.enter(rows), state["stack"])))


class Adapter(nn.Module):
    """Content in a voice: the envelope and the noise that this voice would give it."""

    typical: Tensor
    tract_weight: Tensor
    tract_bias: Tensor

    def __init__(self) -> None:
        super().__init__()
        dilations = (1, 2, 4, 1)
        self.enter = nn.Linear(CONTENT + 3 + _SHARES, _CHANNELS)
        self.stack = GatedStack(_CHANNELS, dilations)
        film = nn.Linear(96, len(dilations) * 4 * _CHANNELS)
        with torch.no_grad():
            torch.unflatten(film.bias, 0, (len(dilations), 2, -1))[:, 0] += 1  # scales, before shifts
        self.voice = nn.Sequential(nn.Linear(_EMBEDDING + 1, 96), nn.ReLU(), film)
        self.out = nn.Linear(_CHANNELS, BANDS + _SHARES)
        # The mean of the embeddings of the training: an average voice.
        self.register_buffer("typical", torch.full((_EMBEDDING,), _EMBEDDING**-0.5))
        self.register_buffer("tract_weight", torch.zeros(_EMBEDDING))
        self.register_buffer("tract_bias", torch.zeros(()))

    def init_state(self, batch: int) -> State:
        """Silence, in an average voice."""
        film = self.film(self.typical.unsqueeze(0), self.typical.new_ones(1, 1)).detach()
        return {"stack": self.stack.init_state(batch), "film": film.repeat(batch, 1)}

    def own_tract(self, embedding: Tensor) -> Tensor:
        """The relative length of the vocal tract that goes with voices ``[B, 256]``, ``[B, 1]``: a linear readout."""
        return torch.exp(embedding @ self.tract_weight + self.tract_bias).unsqueeze(-1)

    def film(self, embedding: Tensor, tract: Tensor) -> Tensor:
        """What a voice does to each layer, made once a voice.

        Args:
            embedding: ``[B, 256]``.
            tract: relative length of the vocal tract, ``[B, 1]``.
        """
        made: Tensor = self.voice(torch.cat([embedding * _EMBEDDING**0.5, torch.log(tract) * 10], dim=-1))
        return made

    def step(self, content: Tensor, features: Features, state: State) -> Features:
        """The next rows.

        Args:
            content: ``[B, F, CONTENT]``.
            features: of the rows that ``content`` describes, F0 already that of the voice; their envelope gives no
                more than the level.
            state: moved in place; ``state["film"]`` says whose voice.
        """
        is_voiced = (features.f0 > 0).to(content.dtype)
        loudness = level(features.envelope[..., :HEARD_BANDS])
        known = torch.stack([is_voiced, octaves(features.f0), loudness / 2 + 2], dim=-1)
        rows = torch.cat([content, known, features.aperiodicity], dim=-1)
        made = self.out(self.stack.step(self.enter(rows), state["stack"], state["film"].unsqueeze(1)))
        envelope = (made[..., :BANDS] * 2 + loudness.unsqueeze(-1) - 1).clamp(min=math.log(FLOOR))
        noise = torch.sigmoid(made[..., BANDS:])
        return Features(envelope, features.f0, torch.where(is_voiced.unsqueeze(-1) > 0, noise, torch.ones_like(noise)))


def _running_peak(levels: Tensor, before: Tensor) -> Tensor:
    """The peak of ``levels`` ``[B, F]`` so far, forgotten at ``_LEVEL_DECAY``; ``before`` moves in place."""
    peaks, reach = torch.cat([before, levels], dim=1), 1
    while reach < peaks.shape[1]:  # of the last 2, 4, 8 … rows
        older = peaks[:, :-reach] - reach * _LEVEL_DECAY
        peaks = torch.cat([peaks[:, :reach], torch.maximum(peaks[:, reach:], older)], dim=1)
        reach *= 2
    before.copy_(peaks[:, -1:].detach())
    return peaks[:, 1:]


class Conversion(nn.Module):
    """Encoder, delay and adapter: features of any speaker to those of the voice of each row."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.adapter = ContentEncoder(), Adapter()

    def init_state(self, batch: int) -> State:
        """Silence, in an average voice."""
        late = BANDS + _SHARES + 1
        silent = self.adapter.out.weight.new_zeros(batch, LOOKAHEAD_ROWS, late)
        silent[..., :BANDS] = math.log(FLOOR)
        silent[..., BANDS : BANDS + _SHARES] = 1
        return {
            "encoder": self.encoder.init_state(batch),
            "adapter": self.adapter.init_state(batch),
            "late": silent,
        }

    def voice_state(self, voice: Voice) -> State:
        """One row of what ``voice`` sets in the adapter's state; ``size`` is how much larger it is than that makes it.

        The adapter, told of another tract than the embedding's own, goes only half of the way.
        """
        embedding = torch.from_numpy(voice.embedding).to(self.adapter.out.weight).unsqueeze(0)
        own = self.adapter.own_tract(embedding)
        return {"film": self.adapter.film(embedding, own), "size": voice.tract / own}

    def step(self, features: Features, state: State) -> Features:
        """The next rows, ``LOOKAHEAD_ROWS`` late; F0 must already be that of the voice."""
        return self.adapt(self.encoder.step(features, state["encoder"]), features, state)

    def adapt(self, content: Tensor, features: Features, state: State) -> Features:
        """``step`` with the content known; of ``features`` only F0, noise and level are used."""
        return self.adapter.step(content, split(delayed(features, state["late"])), state["adapter"])


def delayed(features: Features, late: Tensor) -> Tensor:
    """``features`` joined, as many rows late as ``late`` ``[B, rows, bands + shares + 1]`` holds; it moves in place."""
    joined = torch.cat([features.envelope, features.aperiodicity, features.f0.unsqueeze(-1)], dim=-1)
    return slide(late, joined, dim=1)[:, : joined.shape[1]]


def split(joined: Tensor) -> Features:
    """The features that were joined, ``[B, F, bands + shares + 1]``."""
    return Features(joined[..., :BANDS], joined[..., -1], joined[..., BANDS:-1])
