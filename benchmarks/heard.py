"""Whether what the map predicts is what is heard: predicted voices speak, and are told apart by who did not make them.

The judges are a speaker encoder that nothing in the package was trained with, and SwiftF0.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.progress import Progress

from benchmarks.form import run
from benchmarks.second_encoder import SecondSpeakerEncoder
from rtc_voice import offline
from rtc_voice.config import AUDIO
from rtc_voice.faces.quality import USABLE
from rtc_voice.faces.types import FaceEmbedding
from rtc_voice.speech.text import TextToSpeech
from rtc_voice.synthesis.chain import VoiceChain, load_chain
from rtc_voice.synthesis.mapping import TEXT_VOICE
from rtc_voice.training.pairs import measure, read_manifest
from rtc_voice.training.voice_labels import voiced_f0
from rtc_voice.voices.learned import LearnedPredictor
from rtc_voice.voices.speaker_encoder import SpeakerEncoder
from rtc_voice.voices.types import Voice

VOICES, QUICK_VOICES = 20, 6
# Each voice says the first to be known by, and the second to be recognised.
KNOWN = "The old harbour wall was built of grey stone, and the boats lay close together under it all winter."
NEW = "She asked whether anybody had seen the small blue key that opens the cupboard behind the kitchen door."
PAIRS = "manifest of pairs, whose faces are used; without it, faces are made up"
CACHE = "file (.npz) that keeps what was measured on the pairs"
LIKE_FACES = 0.05  # standard deviation of each of the 128 values of an identity, over people

Row = dict[str, object]
Array = NDArray[np.floating]


def rows(quick: bool, pairs: Path | None, cache: Path | None) -> list[Row]:
    """How well order of pitch and identity survive the synthesis."""
    predictor = LearnedPredictor.load()
    count = QUICK_VOICES if quick else VOICES
    faces = _made_up(predictor, count) if pairs is None else _of_pairs(pairs, cache, count)
    voices = [predictor.predict(face) for face in faces]
    chain = load_chain()
    with Progress() as bar:
        task = bar.add_task("speaking", total=2 * count)
        known: list[NDArray[np.float32]] = []
        new: list[NDArray[np.float32]] = []
        for voice in voices:
            for text, spoken in ((KNOWN, known), (NEW, new)):
                spoken.append(_say(text, voice, chain))
                bar.advance(task)
    return [_pitch(voices, new), *_identity(known, new), _target(voices, new)]


def _made_up(predictor: LearnedPredictor, count: int) -> list[FaceEmbedding]:
    """Faces around the average one, women and men in turn, from 18 to 70 years."""
    rng = np.random.default_rng(0)
    centre, ages = predictor.map.centre[:128], np.linspace(18, 70, count)
    moved = centre + rng.normal(0, LIKE_FACES, (count, 128)).astype(np.float32)
    return [FaceEmbedding(moved[n], male=float(n % 2), age=float(ages[n])) for n in range(count)]


def _of_pairs(manifest: Path, cache: Path | None, count: int) -> list[FaceEmbedding]:
    measured = measure(read_manifest(manifest), lambda *_: None, cache)
    usable = measured.take(measured.qualities >= USABLE)
    _, first = np.unique(usable.people, return_index=True)
    return usable.take(first[:: max(1, len(first) // count)][:count]).faces()


def _say(text: str, voice: Voice, chain: VoiceChain) -> NDArray[np.float32]:
    source = np.concatenate(list(TextToSpeech().sentences(text)))
    return np.concatenate(list(offline.pronounce(source, voice, TEXT_VOICE, chain)))


def _pitch(voices: list[Voice], spoken: list[NDArray[np.float32]]) -> Row:
    """Whether who shall speak higher does."""
    asked = np.log2([voice.f0_hz for voice in voices])
    heard = np.array([np.mean(np.log2(voiced_f0(samples, AUDIO.sample_rate)[0])) for samples in spoken])
    ranks = [np.argsort(np.argsort(values)) for values in (asked, heard)]
    return {
        "name": "heard_f0",
        "rank_correlation": float(np.corrcoef(ranks[0], ranks[1])[0, 1]),
        "error_semitones_p50": float(12 * np.median(np.abs(heard - asked))),
        "n": len(voices),
    }


def _identity(known: list[NDArray[np.float32]], new: list[NDArray[np.float32]]) -> list[Row]:
    """Whether each voice is recognised in another sentence, by the judge and by the encoder it is made with."""
    judges: dict[str, SecondSpeakerEncoder | SpeakerEncoder] = {
        "heard_identity": SecondSpeakerEncoder(),
        "heard_identity (own encoder)": SpeakerEncoder(),
    }
    out: list[Row] = []
    for name, judge in judges.items():
        first, second = (np.array([judge.embed(one, AUDIO.sample_rate) for one in said]) for said in (known, new))
        out.append(_right(name, first, second))
    return out


def _target(voices: list[Voice], new: list[NDArray[np.float32]]) -> Row:
    """Whether what is heard is nearest to the very embedding that was asked for, both less their means."""
    encoder = SpeakerEncoder()
    heard = np.array([encoder.embed(one, AUDIO.sample_rate) for one in new])
    return _right("heard_target (own encoder)", np.array([voice.embedding for voice in voices]), heard)


def _right(name: str, asked: Array, heard: Array) -> Row:
    centred = [part - part.mean(axis=0) for part in (asked, heard)]
    one, other = (part / np.linalg.norm(part, axis=1, keepdims=True) for part in centred)
    is_right = (other @ one.T).argmax(axis=1) == np.arange(len(asked))
    draws = np.random.default_rng(0).integers(0, len(asked), (1000, len(asked)))
    low, high = np.quantile(is_right[draws].mean(axis=1), (0.025, 0.975))
    return {
        "name": name,
        "right_share": float(is_right.mean()),
        "low": float(low),
        "high": float(high),
        "chance": 1 / len(asked),
        "n": len(asked),
    }


if __name__ == "__main__":
    run("Heard: predicted voices, told apart by an encoder that made none", rows, [("pairs", PAIRS), ("cache", CACHE)])
