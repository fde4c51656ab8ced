"""The whole chain: speech in, the same words in another voice out."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from rtc_voice.config import AUDIO, AudioConfig
from rtc_voice.device import find_device
from rtc_voice.speech.analysis import Features, Spectra, SpeechAnalysis
from rtc_voice.speech.pitch import octaves
from rtc_voice.speech.speaker_pitch import load_speaker_pitch
from rtc_voice.speech.streaming import State, put_rows
from rtc_voice.synthesis.content import CONTENT, LOOKAHEAD_ROWS, Conversion, delayed, split
from rtc_voice.synthesis.excitation import Excitation
from rtc_voice.synthesis.exported import ExportedStep
from rtc_voice.synthesis.filter import MinimumPhaseFilter
from rtc_voice.synthesis.mapping import Speaker, VoiceMap
from rtc_voice.synthesis.wavenet import WaveNet, WaveNetConfig
from rtc_voice.voices.types import Voice

_ASSETS = Path(__file__).parents[1] / "assets"
CONVERSION_WEIGHTS = _ASSETS / "conversion.safetensors"
WAVENET_WEIGHTS = _ASSETS / "wavenet.safetensors"
WAVENET_GRAPH = _ASSETS / "wavenet.onnx"
# By the hops that a graph takes at once, the most first: what moves row by row is unrolled in it.
HEARING_GRAPHS = {hops: _ASSETS / f"hearing{hops}.onnx" for hops in (2, 1)}
SOURCE_GRAPHS = {hops: _ASSETS / f"source{hops}.onnx" for hops in (2, 1)}
Source = tuple[Features, Tensor, Tensor]
"""What to say, and the pulses and the noise to say it with, ``[B, T]`` each."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What somebody says and how, whatever voice shall say it: one row per hop, ``LOOKAHEAD_ROWS`` after its sound."""

    rows: Tensor  # content and the speaker's own features, ``[B, F, CONTENT + BANDS + 7]``
    pitch: Tensor  # mean and deviation of the speaker's log F0, as far as known, ``[B, F, 2]``, float64

    @property
    def content(self) -> Tensor:
        """What is said, ``[B, F, CONTENT]``."""
        return self.rows[..., :CONTENT]

    @property
    def features(self) -> Features:
        """The speaker's own."""
        return split(self.rows[..., CONTENT:])

    def tensors(self) -> tuple[Tensor, Tensor]:
        """Both."""
        return self.rows, self.pitch


class VoiceChain(nn.Module):
    """Speech is heard, and said again in the voice of each batch row, by source, filter and WaveNet.

    To hear is analysis, running pitch and content encoder; to say, pitch map, adapter, excitation, filter and WaveNet.
    """

    def __init__(
        self,
        config: AudioConfig = AUDIO,
        wavenet: WaveNetConfig = WaveNetConfig(),  # noqa: B008 - frozen
    ) -> None:
        super().__init__()
        self.config = config
        self.analysis = SpeechAnalysis(config)
        self.speaker_pitch = load_speaker_pitch()
        self.map = VoiceMap(config.sample_rate)
        self.conversion = Conversion()
        self.excitation = Excitation(config.sample_rate, config.hop)
        self.filter = MinimumPhaseFilter(config.sample_rate, config.hop)
        self.wavenet = WaveNet(wavenet, config.hop)
        # Unless exported steps stand in for them.
        self.listen: Callable[[Spectra, State], Heard] = self.hear
        self.pronounce: Callable[[Heard, State], Source] = self.source
        self.correct: Callable[[Tensor, Features, State], Tensor] = self.correction

    @property
    def device(self) -> torch.device:
        """Where its weights are."""
        return self.wavenet.voice.weight.device

    @property
    def lookahead(self) -> int:
        """Samples by which the output lags the input, before any chunking."""
        return self.analysis.lookahead + LOOKAHEAD_ROWS * self.config.hop

    @property
    def latency_ms(self) -> float:
        """Algorithmic latency of live conversion: the lookahead and the chunk that must be full."""
        return 1000 * (self.lookahead + self.config.chunk_samples) / self.config.sample_rate

    @property
    def text_latency_ms(self) -> float:
        """Algorithmic latency of typed text: one chunk, as a sentence is whole before it is said."""
        return float(self.config.chunk_ms)

    def init_state(self, batch: int) -> State:
        """``batch`` silent rows in an average voice."""
        analysis, conversion = self.analysis.init_state(batch), self.conversion.init_state(batch)
        return {
            "history": analysis["history"],
            "hearing": {
                "analysis": analysis["rows"],
                "speaker": self.speaker_pitch.init_state(batch),
                "encoder": conversion["encoder"],
                "late": conversion["late"],
            },
            "source": {
                "map": self.map.init_state(batch),
                "adapter": conversion["adapter"],
                "excitation": self.excitation.init_state(batch),
            },
            "filter": self.filter.init_state(batch),
            "wavenet": self.wavenet.init_state(batch),
        }

    def set_voice(self, voice: Voice, state: State, row: int) -> None:
        """Speak row ``row`` in ``voice`` from the next chunk on; what is in flight stays without a click."""
        rows = torch.tensor([row], device=self.device)
        embedding = torch.from_numpy(voice.embedding).to(self.wavenet.voice.weight).unsqueeze(0)
        made = self.conversion.voice_state(voice)
        target = self.map.voice_state(voice, made["size"])
        put_rows(state["source"]["map"], rows, target)
        put_rows({"film": state["source"]["adapter"]["film"]}, rows, {"film": made["film"]})
        put_rows({"bias": state["wavenet"]["bias"]}, rows, {"bias": self.wavenet.voice_bias(embedding)})

    def set_speaker(self, speaker: Speaker, state: State, row: int) -> None:
        """Take what goes into row ``row`` from now on for the speech of ``speaker``."""
        known = self.speaker_pitch.known(speaker.f0_hz, speaker.f0_range_semitones, speaker.rows_heard)
        rows = torch.tensor([row], device=self.device)
        put_rows(state["hearing"]["speaker"], rows, known)

    def step(self, chunk: Tensor, state: State) -> Tensor:
        """The next ``[B, T]`` samples in the voices of the rows, ``T`` a multiple of the hop; moves ``state``."""
        spectra = self.analysis.spectra(chunk, state["history"])
        return self.say(self.listen(spectra, state["hearing"]), state)

    def say(self, heard: Heard, state: State) -> Tensor:
        """The next ``F`` rows as ``[B, F * hop]`` samples in the voices of the rows; moves ``state``."""
        features, pulses, noise = self.pronounce(heard, state["source"])
        speech = self.filter.step(pulses, noise, features, state["filter"])
        return speech + self.correct(torch.stack([speech, pulses], dim=1), features, state["wavenet"])

    def hear_sound(self, samples: Tensor, state: State) -> Heard:
        """``hear`` for the next ``[B, T]`` samples, in torch whatever stands in for it; moves ``state``."""
        return self.hear(self.analysis.spectra(samples, state["history"]), state["hearing"])

    def hear(self, spectra: Spectra, state: State) -> Heard:
        """What is said in the next rows; moves ``state``, the part named ``hearing``."""
        features = self.analysis.judge(spectra, state["analysis"])
        content = self.conversion.encoder.step(features, state["encoder"])
        pitch = torch.stack(self.speaker_pitch.step(features, state["speaker"]), dim=-1)
        return Heard(torch.cat([content, delayed(features, state["late"])], dim=-1), pitch)

    def source(self, heard: Heard, state: State) -> Source:
        """What the next rows shall sound like in the voices of the rows, and what goes to the filter.

        Moves ``state``, the part named ``source``.
        """
        own = heard.features
        mean, spread = heard.pitch.unbind(dim=-1)
        f0 = self.map.move_pitch(own.f0, mean, spread, state["map"])
        moved = Features(own.envelope, f0, own.aperiodicity)
        made = self.conversion.adapter.step(heard.content, moved, state["adapter"])
        features = self.map.shape(made, own.envelope, state["map"])
        return features, *self.excitation.step(features.f0, state["excitation"])

    def correction(self, signals: Tensor, features: Features, state: State) -> Tensor:
        """What the WaveNet adds to the first of ``signals`` ``[B, 2, T]``, speech and pulses, ``[B, T]``."""
        return self.wavenet.step(signals, conditioning(features), loudness(features), state)

    def forward(self, samples: Tensor) -> Tensor:
        """A whole signal ``[B, T]`` in an average voice."""
        return self.step(samples, self.init_state(samples.shape[0]))


def load_chain(config: AudioConfig = AUDIO, device: str = "cpu") -> VoiceChain:
    """The chain that is shipped, with its trained weights, in what is fastest there: on a CPU, ONNX Runtime.

    Args:
        config: rates and sizes.
        device: as for ``find_device``.

    Raises:
        InputError: there is no such device here.
    """
    where = find_device(device)
    if where.type == "cuda":
        return load_torch_chain(config).to(where)
    chain = load_torch_chain(config)
    hearing = {hops: ExportedStep(path) for hops, path in HEARING_GRAPHS.items()}
    source = {hops: ExportedStep(path) for hops, path in SOURCE_GRAPHS.items()}
    wavenet = ExportedStep(WAVENET_GRAPH)

    def pronounce(heard: Heard, state: State) -> Source:
        envelope, f0, shares, pulses, noise = _in_pieces(source, heard.tensors(), state)
        return Features(envelope, f0, shares), pulses, noise

    chain.listen = lambda spectra, state: Heard(*_in_pieces(hearing, spectra.tensors(), state))
    chain.pronounce = pronounce
    chain.correct = lambda signals, features, state: wavenet(signals, *features.tensors(), state)[0]
    return chain


def _in_pieces(graphs: dict[int, ExportedStep], inputs: Sequence[Tensor], state: State) -> list[Tensor]:
    """What ``graphs``, by the rows that each takes, make of the ``inputs``, the most first."""
    made: list[list[Tensor]] = []
    left = inputs[0].shape[1]
    for size, graph in graphs.items():
        while left >= size:
            now = inputs if left == size and not made else [one[:, -left:][:, :size] for one in inputs]
            made.append(graph(*now, state))
            left -= size
    return made[0] if len(made) == 1 else [torch.cat(parts, dim=1) for parts in zip(*made, strict=True)]


def load_torch_chain(config: AudioConfig = AUDIO) -> VoiceChain:
    """The same with all of it in torch: for training, for a GPU, and to export from."""
    chain = VoiceChain(config)
    chain.conversion.load_state_dict(load_file(CONVERSION_WEIGHTS))
    chain.wavenet.load_state_dict(load_file(WAVENET_WEIGHTS))
    return chain.float().eval()


def source_and_filter(
    excitation: Excitation,
    shape: MinimumPhaseFilter,
    features: Features,
    excitation_state: State,
    filter_state: State,
) -> Tensor:
    """The speech of source and filter, and its pulses, ``[B, 2, T]``.

    Args:
        excitation: makes the source.
        shape: the filter.
        features: what to say.
        excitation_state: moved in place.
        filter_state: moved in place.
    """
    pulses, noise = excitation.step(features.f0, excitation_state)
    speech = shape.step(pulses, noise, features, filter_state)
    return torch.stack([speech, pulses], dim=1)


def loudness(features: Features) -> Tensor:
    """Root mean square of the sound that each row describes, about, ``[B, F]``."""
    return torch.sqrt(torch.exp(2 * features.envelope).mean(dim=-1))


def conditioning(features: Features) -> Tensor:
    """The features as rows of about unit size for a network, ``[B, F, BANDS + 7]``."""
    level = features.envelope / math.log(10) + 2
    return torch.cat([level, features.aperiodicity, octaves(features.f0).unsqueeze(-1)], dim=-1)
