from dataclasses import replace

import numpy as np
import pytest

from rtc_voice.errors import InputError
from rtc_voice.faces.types import FaceEmbedding
from rtc_voice.voices.attributes import AttributePredictor
from rtc_voice.voices.average import VoiceEstimate
from tests.voices.signals import random_face


@pytest.fixture(scope="module")
def predictor() -> AttributePredictor:
    return AttributePredictor()


@pytest.fixture
def frames(rng: np.random.Generator) -> list[FaceEmbedding]:
    """Twenty frames of one face, as a video shows it."""
    face = random_face(rng, male=0.9)
    noise = rng.normal(0, 0.1 / np.sqrt(128), (20, 128)).astype(np.float32)
    return [replace(face, identity=face.identity + step) for step in noise]


def test_no_voice_before_the_first_good_frame(predictor: AttributePredictor, frames: list[FaceEmbedding]) -> None:
    estimate = VoiceEstimate(predictor)
    assert estimate.voice is None and estimate.face is None and not estimate.frozen
    estimate.add(frames[0], quality=0.1)
    assert estimate.voice is None
    estimate.add(frames[0], quality=0.9)
    assert estimate.voice is not None and not estimate.frozen


def test_one_frame_gives_that_frames_voice(predictor: AttributePredictor, frames: list[FaceEmbedding]) -> None:
    estimate = VoiceEstimate(predictor)
    estimate.add(frames[0], quality=0.5)
    assert estimate.voice is not None
    np.testing.assert_allclose(estimate.voice.embedding, predictor.predict(frames[0]).embedding, atol=1e-6)


def test_frames_count_by_their_quality(predictor: AttributePredictor, frames: list[FaceEmbedding]) -> None:
    estimate = VoiceEstimate(predictor)
    estimate.add(replace(frames[0], age=20.0), quality=0.9)
    estimate.add(replace(frames[1], age=60.0), quality=0.3)
    assert estimate.face is not None and estimate.face.age == pytest.approx(30.0)
    np.testing.assert_allclose(estimate.face.identity, 0.75 * frames[0].identity + 0.25 * frames[1].identity, atol=1e-6)


def test_after_eight_good_frames_nothing_changes_any_more(
    predictor: AttributePredictor, frames: list[FaceEmbedding], rng: np.random.Generator
) -> None:
    estimate = VoiceEstimate(predictor, good_frames=8)
    voices = []
    for frame in frames[:8]:
        assert not estimate.frozen
        estimate.add(frame, quality=0.8)
        voices.append(estimate.voice)
    assert estimate.frozen and voices[6] is not voices[7]
    for frame in [*frames[8:], random_face(rng, male=0.0)]:
        estimate.add(frame, quality=1.0)
        assert estimate.voice is voices[7]


def test_averaging_brings_the_voice_nearer_to_that_of_all_frames(
    predictor: AttributePredictor, frames: list[FaceEmbedding]
) -> None:
    whole, first_eight = VoiceEstimate(predictor, good_frames=20), VoiceEstimate(predictor)
    for frame in frames:
        whole.add(frame, quality=0.7)
        first_eight.add(frame, quality=0.7)
    assert whole.voice is not None and first_eight.voice is not None
    alone = [float(predictor.predict(frame).embedding @ whole.voice.embedding) for frame in frames]
    assert first_eight.voice.embedding @ whole.voice.embedding > max(alone)


def test_another_draw_of_a_frozen_voice_and_back(predictor: AttributePredictor, frames: list[FaceEmbedding]) -> None:
    estimate = VoiceEstimate(predictor, good_frames=1)
    estimate.add(frames[0], quality=1.0)
    first = estimate.voice
    estimate.redraw(2)
    second = estimate.voice
    assert first is not None and second is not None and first.embedding @ second.embedding < 0.9
    estimate.redraw(0)
    assert estimate.voice is not None and np.array_equal(estimate.voice.embedding, first.embedding)
    assert estimate.frozen


def test_reset_starts_over(predictor: AttributePredictor, frames: list[FaceEmbedding]) -> None:
    estimate = VoiceEstimate(predictor, good_frames=1)
    estimate.add(frames[0], quality=1.0)
    estimate.reset()
    assert estimate.voice is None and not estimate.frozen


def test_an_average_over_no_frames_is_refused(predictor: AttributePredictor) -> None:
    with pytest.raises(InputError):
        VoiceEstimate(predictor, good_frames=0)


def test_two_faces_that_would_share_a_voice_do_not(predictor: AttributePredictor, frames: list[FaceEmbedding]) -> None:
    first, twin, other = (VoiceEstimate(predictor) for _ in range(3))
    for estimate in (first, twin, other):
        estimate.add(frames[0], quality=0.9)
    assert first.voice is not None and twin.voice is not None
    assert first.voice.embedding @ twin.voice.embedding > 0.99
    twin.keep_apart([first.voice])
    other.keep_apart([first.voice, twin.voice])
    assert other.voice is not None
    voices = np.array([one.embedding for one in (first.voice, twin.voice, other.voice)])
    assert (voices @ voices.T)[np.triu_indices(3, 1)].max() < 0.95
    before = twin.voice
    twin.keep_apart([first.voice, other.voice])  # they are apart: nothing changes
    assert twin.voice is before
