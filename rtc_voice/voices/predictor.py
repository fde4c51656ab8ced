"""The two maps from face to voice, by their names."""

from typing import Literal, Protocol

from rtc_voice.faces.types import FaceEmbedding
from rtc_voice.voices.attributes import AttributePredictor
from rtc_voice.voices.learned import LearnedPredictor
from rtc_voice.voices.types import Voice

PredictorName = Literal["learned", "attributes"]


class Predictor(Protocol):
    """Whatever makes a voice of a face."""

    def predict(self, face: FaceEmbedding, draw: int = 0) -> Voice:
        """The voice of ``face``; another ``draw`` gives another voice that fits as well."""

    def expected(self, face: FaceEmbedding) -> Voice:
        """The voice of ``face`` as far as the face tells, with nothing drawn."""

    def f0_error_semitones(self, face: FaceEmbedding) -> float:
        """Standard deviation of the true F0 of such faces' owners around the predicted one."""


def load_predictor(name: PredictorName = "learned") -> Predictor:
    """``learned`` from pairs of faces and voices, or ``attributes``: from licensed speech and apparent sex and age."""
    return LearnedPredictor.load() if name == "learned" else AttributePredictor()
