"""Speech sets for training, made and checked: folders of recordings, typed text spoken, voices moved by known steps.

A speech set is ``DATA/train/speech_NAME/manifest.csv`` as ``speech_sets`` reads it. Making one goes on where it
stopped; what is left out stands in ``rejected.csv`` with its reason.
"""

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from rtc_voice.config import AUDIO
from rtc_voice.errors import InputError, RtcVoiceError
from rtc_voice.speech.analysis import Features, SpeechAnalysis
from rtc_voice.speech.audio_file import read_audio, write_wav
from rtc_voice.speech.text import TextToSpeech
from rtc_voice.synthesis.chain import source_and_filter
from rtc_voice.synthesis.excitation import Excitation
from rtc_voice.synthesis.filter import MinimumPhaseFilter
from rtc_voice.synthesis.mapping import warp_envelope
from rtc_voice.training.corpora import band, fault, read_sexes, recordings, speaker_of, text_of
from rtc_voice.training.speech_sets import Utterance, find_speech_sets, read_speech_sets
from rtc_voice.training.voice_data import FULL_BAND_HZ, is_test_speaker

_COLUMNS = (
    "file",
    "speaker",
    "male_weight",
    "seconds",
    "band_hz",
    "text",
    "phonemes",
    "formants",
    "semitones",
    "licence",
)
_LARGEST_WARP, _LARGEST_SHIFT = 0.18, 4.0  # nepers of formants, semitones of F0

Samples = NDArray[np.float32]
Row = dict[str, object]


def jobs(
    data_dir: Path, folders: Sequence[Path], licence: str, spoken: int, warped: int
) -> Iterator[tuple[str, int, Iterator[int]]]:
    """What there is to do to make the sets asked for: a title, how many recordings, and the work itself.

    Raises:
        InputError: a folder holds no recordings, or there are none to speak or warp.
    """
    for folder in folders:
        yield folder.name, len(recordings(folder)), add_folder(folder, data_dir, licence)
    if spoken:
        texts = list(dict.fromkeys(u.text for u in _known(data_dir, "speech_hibari") if u.text))[:spoken]
        yield "speaking", len(texts), add_spoken(texts, data_dir)
    if warped:
        utterances = _known(data_dir, "speech_warped")
        utterances = utterances[:: max(1, len(utterances) // warped)][:warped]
        yield "warping", len(utterances), add_warped(utterances, data_dir)


def add_folder(folder: Path, data_dir: Path, licence: str) -> Iterator[int]:
    """List the good recordings of ``folder`` as a set named after it; yields how many are done.

    Known layouts: LibriTTS and LibriSpeech (``SPEAKER/CHAPTER/FILE``), VCTK (``wav48/SPEAKER/FILE``, ``txt/``), and
    plain ``SPEAKER/FILE``. The text is taken from ``FILE.normalized.txt`` or ``FILE.txt`` where there is one. The
    recordings stay where they are.

    Raises:
        InputError: no recording is in it.
    """
    files = recordings(folder)
    males = read_sexes(folder)
    out = SetWriter(data_dir, folder.name)
    for number, path in enumerate(files, 1):
        name = str(path.resolve())
        if name not in out.done:
            try:
                samples = read_audio(path, AUDIO.sample_rate)
                reason, band_hz = fault(samples), band(path)
            except RtcVoiceError as error:
                samples, reason, band_hz = np.zeros(0, np.float32), error.message, 0
            speaker = f"{folder.name}_{speaker_of(path)}"
            seconds = f"{len(samples) / AUDIO.sample_rate:.2f}"
            male = males.get(speaker_of(path), 0.5)
            row = {"file": name, "speaker": speaker, "male_weight": male, "seconds": seconds, "band_hz": band_hz}
            out.add({**row, "text": text_of(path), "licence": licence}, reason)
        yield number


def add_spoken(texts: Sequence[str], data_dir: Path) -> Iterator[int]:
    """The set ``hibari``: every text in the voice of the text to speech; yields how many are done."""
    out, speech = SetWriter(data_dir, "hibari"), TextToSpeech()
    for number, text in enumerate(texts):
        path = out.folder / "audio" / f"{number:05d}.wav"
        if str(path.resolve()) not in out.done:
            try:
                samples = np.concatenate(list(speech.sentences(text, speed=1.0, seed=number)))
                phonemes = " ".join(speech.phonemes(text))
                reason = fault(samples)
            except RtcVoiceError as error:
                samples, phonemes, reason = np.zeros(0, np.float32), "", error.message
            row: Row = {"speaker": "hibari", "male_weight": 0.0, "text": text, "phonemes": phonemes}
            out.add_made(path, samples, {**row, "licence": "Apache-2.0 (hibari)"}, reason)
        yield number + 1


@torch.inference_mode()
def add_warped(utterances: Sequence[Utterance], data_dir: Path) -> Iterator[int]:
    """The set ``warped``: each utterance by a person of another size and pitch; yields how many are done.

    The columns ``formants`` (tract length relative to the original's) and ``semitones`` say by how much. Speakers kept
    for testing are left out, and no new name falls among them.
    """
    out = SetWriter(data_dir, "warped")
    analysis, excitation = SpeechAnalysis().eval(), Excitation(AUDIO.sample_rate, AUDIO.hop)
    shape = MinimumPhaseFilter(AUDIO.sample_rate, AUDIO.hop)
    for number, utterance in enumerate(utterances):
        path = out.folder / "audio" / f"{number:05d}.wav"
        if str(path.resolve()) not in out.done and not is_test_speaker(utterance.speaker):
            rng = np.random.default_rng(number)
            ratio = float(np.exp(rng.uniform(-_LARGEST_WARP, _LARGEST_WARP)))
            semitones = float(rng.uniform(-_LARGEST_SHIFT, _LARGEST_SHIFT))
            sound = read_audio(utterance.path, AUDIO.sample_rate)
            sound = np.pad(sound, (0, -len(sound) % AUDIO.hop))
            heard = analysis(torch.from_numpy(sound)[None])
            moved = Features(
                warp_envelope(heard.envelope, torch.full_like(heard.f0, ratio)),
                heard.f0 * 2 ** (semitones / 12),
                heard.aperiodicity,
            )
            made = source_and_filter(excitation, shape, moved, excitation.init_state(1), shape.init_state(1))
            row: Row = {"speaker": _free_name(utterance.speaker), "male_weight": utterance.male, "text": utterance.text}
            row |= {"phonemes": utterance.phonemes, "formants": f"{ratio:.3f}", "semitones": f"{semitones:.2f}"}
            samples = made[0, 0].clamp(-1, 1).numpy()
            row |= {"band_hz": utterance.band_hz or "", "licence": utterance.licence}
            out.add_made(path, samples, row, fault(samples))
        yield number + 1


def count_rows(data_dir: Path, name: str) -> tuple[int, int]:
    """How many recordings of a set are good, and how many were rejected."""
    folder = data_dir / "train" / name
    good, bad = (folder / file for file in ("manifest.csv", "rejected.csv"))
    return len(_rows(good)), len(_rows(bad)) if bad.is_file() else 0


class SetWriter:
    """Writes one speech set row by row, so that a stop loses nothing."""

    def __init__(self, data_dir: Path, name: str) -> None:
        self.folder = data_dir / "train" / f"speech_{name}"
        self.folder.mkdir(parents=True, exist_ok=True)
        self._good, self._bad = self.folder / "manifest.csv", self.folder / "rejected.csv"
        _begin(self._good, _COLUMNS)
        _begin(self._bad, ("file", "reason"))
        self.done = {row["file"] for path in (self._good, self._bad) for row in _rows(path)}

    def add(self, row: Row, reason: str) -> None:
        """One recording; one with a ``reason`` against it goes among the rejected."""
        if reason:
            _append(self._bad, [row["file"], reason])
        else:
            _append(self._good, [row.get(column, "") for column in _COLUMNS])

    def add_made(self, path: Path, samples: Samples, row: Row, reason: str) -> None:
        """One recording that was made here; written to ``path`` where nothing is against it."""
        if not reason:
            write_wav(path, samples, AUDIO.sample_rate)
        seconds = f"{len(samples) / AUDIO.sample_rate:.2f}"
        self.add({"band_hz": FULL_BAND_HZ, **row, "file": str(path.resolve()), "seconds": seconds}, reason)


def _known(data_dir: Path, made: str) -> list[Utterance]:
    found = read_speech_sets(data_dir, [name for name in find_speech_sets(data_dir) if name != made])
    if not found:
        raise InputError(f"no other speech set than {made} in {data_dir}", "add one with --folder")
    return found


def _begin(path: Path, columns: Sequence[str]) -> None:
    if not path.is_file():
        _append(path, columns)


def _append(path: Path, values: Sequence[object]) -> None:
    with path.open("a", encoding="utf-8", newline="") as file:
        csv.writer(file).writerow(values)


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _free_name(speaker: str) -> str:
    """A new speaker's name that is not kept for testing: the original's speech must not be in both."""
    return next(name for k in range(1000) if not is_test_speaker(name := f"{speaker}~{k}"))
