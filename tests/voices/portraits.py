"""What becomes of a portrait's voice when the picture changes and the person does not."""

from collections.abc import Iterator

from benchmarks.face_steady import CHANGES
from rtc_voice.faces.embedding import FaceEmbedder
from rtc_voice.faces.tracker import find_faces
from rtc_voice.faces.types import Picture
from rtc_voice.voices.predictor import Predictor
from rtc_voice.voices.types import Voice


def voices_of_changed(portrait: Picture, predictor: Predictor) -> Iterator[tuple[str, Voice, Voice]]:
    """For each change: its name, the voice before, and the voice after."""
    embedder = FaceEmbedder()

    def voice_of(picture: Picture) -> Voice:
        return predictor.predict(embedder.embed(picture, find_faces(picture)[0]))

    before = voice_of(portrait)
    for change, changed in CHANGES.items():
        yield change, before, voice_of(changed(portrait))
