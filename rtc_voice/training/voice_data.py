"""Recordings as one memory-mapped set: the sound, its features row by row, and whose voice it is."""

import json
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

from rtc_voice.config import AUDIO
from rtc_voice.errors import AudioError, InputError
from rtc_voice.speech.analysis import Features, SpeechAnalysis
from rtc_voice.speech.envelope import BANDS
from rtc_voice.speech.formants import tract_length
from rtc_voice.training.speech_sets import Utterance, load_audio
from rtc_voice.training.voice_labels import voiced_f0
from rtc_voice.voices.speaker_encoder import EMBEDDING_SIZE, SpeakerEncoder

ROW = BANDS + 7  # envelope, six shares of noise, F0
LEVEL = 0.06  # root mean square of the loud parts after levelling
FULL_BAND_HZ, WIDE_BAND_HZ = 12_000, 7_500  # the 16 kHz recordings fade out above 7.5 kHz
_FULL_BAND_SETS = ("speech_kokoro", "speech_hibari")
_TEST_SPEAKERS = 12  # one speaker in so many is kept out of training


@dataclass(frozen=True, slots=True)
class Entry:
    """One recording's place in the set."""

    first_row: int
    rows: int
    speaker: str
    source: str
    band_hz: int  # nothing of the recording above it is to be trusted
    male: float
    tract: float  # vocal-tract length relative to the average, from the recording's formants
    text: str

    @property
    def is_test(self) -> bool:
        """Whether its speaker is kept out of training."""
        return is_test_speaker(self.speaker)


@dataclass(frozen=True, slots=True)
class VoiceSet:
    """All recordings end to end. Sound is delayed by the analysis' lookahead: row ``i`` goes with its hop ``i``."""

    entries: list[Entry]
    sound: NDArray[np.int16]  # ``[rows * hop]``
    rows: NDArray[np.float16]  # ``[rows, ROW]``
    embeddings: NDArray[np.float32]  # ``[entries, 256]``

    def choose(self, is_test: bool) -> list[int]:
        """Indices of the recordings of the speakers that are, or are not, kept for testing."""
        return [i for i, entry in enumerate(self.entries) if entry.is_test == is_test]

    def features(self, index: int, start: int, count: int) -> NDArray[np.float32]:
        """``count`` rows of one recording from its row ``start``, ``[count, ROW]``."""
        first = self.entries[index].first_row + start
        return self.rows[first : first + count].astype(np.float32)

    def target(self, index: int, start: int, count: int) -> NDArray[np.float32]:
        """The sound that goes with those rows, ``[count * hop]``."""
        first = (self.entries[index].first_row + start) * AUDIO.hop
        return self.sound[first : first + count * AUDIO.hop].astype(np.float32) / np.float32(32768)


def is_test_speaker(speaker: str) -> bool:
    """Whether a speaker is kept out of training."""
    return zlib.crc32(speaker.encode()) % _TEST_SPEAKERS == 0


def open_voice_set(folder: Path) -> VoiceSet:
    """The set that ``build_voice_set`` left in ``folder``.

    Raises:
        InputError: there is none.
    """
    if not (folder / "index.json").is_file():
        raise InputError(f"no voice set in {folder}", "build it first")
    entries = [Entry(**entry) for entry in json.loads((folder / "index.json").read_text())]
    load = {name: np.load(folder / f"{name}.npy", mmap_mode="c") for name in ("sound", "rows", "embeddings")}
    return VoiceSet(entries, load["sound"], load["rows"], load["embeddings"])


def build_voice_set(utterances: Sequence[Utterance], folder: Path) -> Iterator[int]:
    """Write the set of ``utterances`` into ``folder``; yields how many are done after each.

    Recordings already there from an interrupted run are not made again. One that shows no voice is left out; a text
    file beside the parts of the others says why.

    Raises:
        InputError: no recording is of use.
    """
    parts = folder / "parts"
    parts.mkdir(parents=True, exist_ok=True)
    analysis, encoder = SpeechAnalysis().eval(), SpeakerEncoder()
    for i, utterance in enumerate(utterances):
        part = parts / f"{i:05d}.npz"
        refused = part.with_suffix(".txt")
        if not (part.is_file() or refused.is_file()):
            try:
                _write_part(part, load_audio(utterance.path, AUDIO.sample_rate), analysis, encoder)
            except AudioError as error:
                refused.write_text(f"{utterance.path}: {error}\n", encoding="utf-8")
        yield i + 1
    _join_parts(utterances, folder)


def to_rows(features: Features) -> torch.Tensor:
    """Features side by side, ``[B, F, ROW]``."""
    return torch.cat([features.envelope, features.aperiodicity, features.f0.unsqueeze(-1)], dim=-1)


def to_features(rows: torch.Tensor) -> Features:
    """Undo ``to_rows``."""
    return Features(rows[..., :BANDS], rows[..., -1], rows[..., BANDS:-1])


@torch.inference_mode()
def _write_part(part: Path, sound: NDArray[np.float32], analysis: SpeechAnalysis, encoder: SpeakerEncoder) -> None:
    sound = sound * (LEVEL / _loudness(sound))
    sound *= min(1.0, 0.98 / max(1e-9, float(np.abs(sound).max())))
    sound = np.pad(sound, (0, analysis.lookahead + -(len(sound) + analysis.lookahead) % AUDIO.hop))
    rows = to_rows(analysis(torch.from_numpy(sound).unsqueeze(0)))[0].numpy().astype(np.float16)
    delayed = np.roll(sound, analysis.lookahead)
    embedding = encoder.embed(sound, AUDIO.sample_rate)
    _, times = voiced_f0(sound, AUDIO.sample_rate)
    tract = tract_length(sound, AUDIO.sample_rate, times)
    unfinished = part.with_suffix(".part")
    with unfinished.open("wb") as file:
        np.savez(file, sound=(delayed * 32767).astype(np.int16), rows=rows, embedding=embedding, tract=tract)
    unfinished.rename(part)


def _loudness(sound: NDArray[np.float32]) -> float:
    """Root mean square of the louder half of the hops."""
    hops = sound[: len(sound) // AUDIO.hop * AUDIO.hop].reshape(-1, AUDIO.hop)
    power = np.sort(np.mean(np.square(hops), axis=1))
    return max(1e-4, float(np.sqrt(np.mean(power[len(power) // 2 :]))))


def _join_parts(utterances: Sequence[Utterance], folder: Path) -> None:
    paths = [folder / "parts" / f"{i:05d}.npz" for i in range(len(utterances))]
    good = [(utterance, path) for utterance, path in zip(utterances, paths, strict=True) if path.is_file()]
    if not good:
        raise InputError("no recording shows a voice", f"{folder / 'parts'} says why")
    entries: list[Entry] = []
    embeddings, first = np.zeros((len(good), EMBEDDING_SIZE), np.float32), 0
    for i, (utterance, path) in enumerate(good):
        with np.load(path) as part:
            embeddings[i], count, tract = part["embedding"], len(part["rows"]), float(part["tract"])
        band_hz = FULL_BAND_HZ if utterance.source in _FULL_BAND_SETS else WIDE_BAND_HZ
        known = (utterance.speaker, utterance.source, utterance.band_hz or band_hz, utterance.male, tract)
        entries.append(Entry(first, count, *known, utterance.text))
        first += count
    # On disk from the start: hours of speech do not fit into memory.
    sound = open_memmap(folder / "sound.npy", "w+", np.int16, (first * AUDIO.hop,))
    rows = open_memmap(folder / "rows.npy", "w+", np.float16, (first, ROW))
    for entry, (_, path) in zip(entries, good, strict=True):
        end = entry.first_row + entry.rows
        with np.load(path) as part:
            rows[entry.first_row : end] = part["rows"]
            sound[entry.first_row * AUDIO.hop : end * AUDIO.hop] = part["sound"]
    sound.flush()
    rows.flush()
    np.save(folder / "embeddings.npy", embeddings)
    (folder / "index.json").write_text(json.dumps([asdict(entry) for entry in entries]))
