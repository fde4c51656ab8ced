"""The same road without a call: a photo speaks into an array."""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from rtc_voice.errors import NoFaceError
from rtc_voice.faces.embedding import FaceEmbedder
from rtc_voice.faces.tracker import find_faces
from rtc_voice.faces.types import Picture
from rtc_voice.speech.text import TextToSpeech
from rtc_voice.synthesis.chain import VoiceChain, load_chain
from rtc_voice.synthesis.mapping import TEXT_VOICE, UNKNOWN_SPEAKER, Speaker
from rtc_voice.voices.predictor import AttributePredictor
from rtc_voice.voices.types import Voice

Samples = NDArray[np.float32]

_WORST_QUALITY = 0.15  # a photo is all there is, but from a face of 15 px even the apparent sex is a guess


def voice_of(picture: Picture) -> Voice:
    """The voice of the largest face in a picture.

    Raises:
        NoFaceError: nobody can be seen well enough.
    """
    faces = find_faces(picture)
    if not faces:
        raise NoFaceError("no face in the picture", "use one that shows a face from the front, at least 64 px wide")
    if faces[0].quality.score < _WORST_QUALITY:
        raise NoFaceError("the face is too small, dark, blurred or turned away", "use a clearer picture")
    return AttributePredictor().predict(FaceEmbedder().embed(picture, faces[0]))


def convert(
    source: Samples,
    voice: Voice,
    chain: VoiceChain | None = None,
    speaker: Speaker = UNKNOWN_SPEAKER,
) -> Iterator[Samples]:
    """Source speech (24 kHz mono, peak 1, ``[T]``) in ``voice``, in the very chunks of a call.

    What comes out is as long as what goes in: the lookahead is cut off at the start and filled up at the end.
    """
    chain = chain or load_chain()
    size, skip, left = chain.config.chunk_samples, chain.lookahead, len(source)
    padded = np.pad(source, (0, skip + -(len(source) + skip) % size))
    with torch.inference_mode():
        state = chain.init_state(1)
        chain.set_voice(voice, state, 0)
        chain.set_speaker(speaker, state, 0)
        for chunk in np.split(padded, len(padded) // size):
            out = chain.step(torch.from_numpy(chunk)[None], state)[0].clamp(-1, 1).numpy()
            piece = out[min(skip, size) :][:left]
            skip, left = max(0, skip - size), left - len(piece)
            yield piece


def say(text: str, voice: Voice, *, learned: bool = False) -> Iterator[Samples]:
    """``text`` in ``voice``, 24 kHz mono, chunk by chunk; ``learned`` as for ``load_chain``.

    Raises:
        TextError: nothing can be spoken.
    """
    chain = load_chain(learned=learned)
    for sentence in TextToSpeech().sentences(text):
        yield from convert(sentence, voice, chain, TEXT_VOICE)
