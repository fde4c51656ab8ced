"""The same road without a call: a photo speaks into an array, a recording is converted."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from rtc_voice.config import AUDIO
from rtc_voice.errors import AudioError, NoFaceError
from rtc_voice.faces.embedding import FaceEmbedder
from rtc_voice.faces.picture import is_picture, read_picture
from rtc_voice.faces.quality import USABLE
from rtc_voice.faces.tracker import find_faces
from rtc_voice.faces.types import Picture
from rtc_voice.speech.audio_file import read_audio
from rtc_voice.speech.engines import DEFAULT, TextEngines
from rtc_voice.synthesis.chain import VoiceChain, load_chain
from rtc_voice.synthesis.mapping import Speaker, known_speaker
from rtc_voice.synthesis.sentence import hear_sentence
from rtc_voice.voices.predictor import PredictorName, load_predictor
from rtc_voice.voices.recording import voice_of_recording
from rtc_voice.voices.types import Voice

Samples = NDArray[np.float32]

_SHORTEST_S = 0.1  # of a recording to convert
_SILENT = 1e-4  # peak


def voice_of(picture: Picture, predictor: PredictorName = "learned") -> Voice:
    """The voice of the largest face in a picture; ``predictor`` as for ``load_predictor``.

    Raises:
        NoFaceError: nobody can be seen well enough.
    """
    faces = find_faces(picture)
    if not faces:
        raise NoFaceError("no face in the picture", "use one that shows a face from the front, at least 64 px wide")
    if faces[0].quality.score < USABLE:
        raise NoFaceError("the face is too small, dark, blurred or turned away", "use a clearer picture")
    return load_predictor(predictor).predict(FaceEmbedder().embed(picture, faces[0]))


def voice_from(path: Path) -> Voice:
    """The voice of a photo's largest face, or of whoever speaks in a recording.

    Raises:
        InputError: neither is usable in it.
    """
    if is_picture(path):
        return voice_of(read_picture(path))
    return voice_of_recording(read_audio(path, AUDIO.sample_rate), AUDIO.sample_rate)


def read_source(path: Path) -> Samples:
    """A recording to convert, 24 kHz mono, ``[T]``.

    Raises:
        AudioError: not readable, silent, or too short.
    """
    samples = read_audio(path, AUDIO.sample_rate)
    if len(samples) < _SHORTEST_S * AUDIO.sample_rate:
        found = f"{path.name} is only {len(samples) / AUDIO.sample_rate:.2f} s long"
        raise AudioError(found, f"give at least {_SHORTEST_S} s")
    if np.abs(samples).max() < _SILENT:
        raise AudioError(f"{path.name} is silent", "use a recording in which somebody speaks")
    return samples


def count_chunks(source: Samples, chain: VoiceChain) -> int:
    """How many chunks ``convert`` makes."""
    return -(-(len(source) + chain.lookahead) // chain.config.chunk_samples)


def convert(
    source: Samples,
    voice: Voice,
    chain: VoiceChain | None = None,
) -> Iterator[Samples]:
    """Source speech (24 kHz mono, peak 1, ``[T]``) in ``voice``, in the very chunks of a call.

    What comes out is as long as what goes in: the lookahead is cut off at the start and filled up at the end.
    """
    chain = chain or load_chain()
    size, skip, left = chain.config.chunk_samples, chain.lookahead, len(source)
    padded = np.pad(source, (0, count_chunks(source, chain) * size - left))
    with torch.inference_mode():
        state = chain.init_state(1)
        chain.set_voice(voice, state, 0)
        for chunk in np.split(padded, len(padded) // size):
            out = chain.step(torch.from_numpy(chunk)[None], state)[0].clamp(-1, 1).numpy()
            piece = out[min(skip, size) :][:left]
            skip, left = max(0, skip - size), left - len(piece)
            yield piece


def pronounce(source: Samples, voice: Voice, speaker: Speaker, chain: VoiceChain | None = None) -> Iterator[Samples]:
    """``convert`` for a sentence of a text engine, whose voice is ``speaker``'s."""
    chain, left = chain or load_chain(), len(source)
    with torch.inference_mode():
        state = chain.init_state(1)
        chain.set_voice(voice, state, 0)
        for heard in hear_sentence(torch.from_numpy(source), speaker, chain):
            piece = chain.say(heard, state)[0].clamp(-1, 1).numpy()[:left]
            left -= len(piece)
            yield piece


def say(text: str, voice: Voice, engines: Sequence[str] = DEFAULT, language: str | None = None) -> Iterator[Samples]:
    """``text`` in ``voice``, 24 kHz mono, chunk by chunk.

    Args:
        text: what to say.
        voice: in which voice.
        engines: text engines to choose from, ``NAME`` or ``NAME:MODEL``.
        language: ISO 639-1; by its letters where it is None.

    Raises:
        TextError: nothing can be spoken, or no engine speaks the language.
        InputError: there is no such engine or model.
    """
    engine, spoken = TextEngines(engines).choose(text, language)
    chain = load_chain()
    for sentence in engine.sentences(text, spoken):
        yield from pronounce(sentence, voice, known_speaker(engine.f0), chain)
