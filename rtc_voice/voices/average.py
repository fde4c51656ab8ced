"""One voice from many frames: averaged while the face is new, then frozen, so that turning the head changes nothing."""

import numpy as np

from rtc_voice.errors import InputError
from rtc_voice.faces.types import FaceEmbedding
from rtc_voice.voices.predictor import Predictor
from rtc_voice.voices.types import Voice

_ALIKE = 0.95  # cosine from which two voices would be taken for each other
_DRAWS = 10


class VoiceEstimate:
    """The voice of one face in one call.

    Frames count by their quality. After ``good_frames`` of them the estimate is frozen: later frames change nothing,
    only ``redraw`` and ``reset`` do. (Frame by frame a prediction wanders by up to 1.5 semitones; the mean of 8 has a
    cosine of 0.998 to that of all frames.) For one thread.
    """

    def __init__(self, predictor: Predictor, good_frames: int = 8, min_quality: float = 0.2) -> None:
        if good_frames < 1:
            raise InputError(f"good_frames is {good_frames}", "allowed: 1 or more")
        self._predictor = predictor
        self._good_frames = good_frames
        self._min_quality = min_quality
        self._draw = 0
        self.reset()

    def reset(self) -> None:
        """Forget the face; the number of the draw stays."""
        self._frames = 0
        self._weight = 0.0
        self._sums = np.zeros(0)  # identity, male, age, each times the quality
        self._voice: Voice | None = None

    @property
    def frozen(self) -> bool:
        """Whether enough good frames were seen; nothing they say changes the voice any more."""
        return self._frames >= self._good_frames

    @property
    def face(self) -> FaceEmbedding | None:
        """The averaged face; None before the first good frame."""
        if not self._frames:
            return None
        mean = self._sums / self._weight
        return FaceEmbedding(mean[:-2].astype(np.float32), male=float(mean[-2]), age=float(mean[-1]))

    @property
    def voice(self) -> Voice | None:
        """The voice as far as the frames tell; None before the first good frame."""
        face = self.face
        if self._voice is None and face is not None:
            self._voice = self._predictor.predict(face, self._draw)
        return self._voice

    def add(self, embedding: FaceEmbedding, quality: float) -> None:
        """Take one more frame into account, unless it is poor or the voice is frozen.

        Args:
            embedding: what the networks say of the face in this frame.
            quality: 0 to 1, ``Quality.score``.
        """
        if self.frozen or quality < self._min_quality:
            return
        values = np.array([*embedding.identity, embedding.male, embedding.age], dtype=np.float64)
        self._sums = quality * values + (self._sums if self._frames else 0.0)
        self._weight += quality
        self._frames += 1
        self._voice = None

    def keep_apart(self, others: list[Voice]) -> None:
        """Draw again, a few times, until the voice is unlike all ``others``: two faces are not to share one."""
        for draw in range(self._draw + 1, self._draw + _DRAWS):
            voice = self.voice
            if voice is None or all(float(voice.embedding @ other.embedding) < _ALIKE for other in others):
                return
            self.redraw(draw)

    def redraw(self, draw: int) -> None:
        """Take draw number ``draw`` of the voices that fit the face, frozen or not."""
        self._draw = draw
        self._voice = None
