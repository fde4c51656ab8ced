"""The shipped learned map: what it makes of faces, from faces that nobody has."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.scenes import astronaut, somebody_else
from rtc_voice.faces.embedding import FaceEmbedder
from rtc_voice.faces.tracker import find_faces
from rtc_voice.faces.types import FaceEmbedding, Picture
from rtc_voice.voices.learned import AGES, LearnedPredictor
from rtc_voice.voices.predictor import load_predictor
from rtc_voice.voices.types import Voice
from tests.voices.portraits import voices_of_changed
from tests.voices.signals import random_face


@pytest.fixture(scope="module")
def predictor() -> LearnedPredictor:
    return LearnedPredictor.load()


@pytest.fixture(scope="module")
def portraits() -> list[FaceEmbedding]:
    """Two faces as the embedder sees them."""
    embedder = FaceEmbedder()
    return [embedder.embed(picture, find_faces(picture)[0]) for picture in (astronaut(), somebody_else())]


def semitones(one: Voice, other: Voice) -> float:
    return float(12 * np.log2(one.f0_hz / other.f0_hz))


def like(face: FaceEmbedding, predictor: LearnedPredictor, male: float, rng: np.random.Generator) -> FaceEmbedding:
    """Somebody of an apparent sex, near enough to real faces: the average one, moved."""
    identity = predictor.map.centre[:128] + random_face(rng).identity
    return replace(face, identity=identity.astype(np.float32), male=male)


def test_it_is_the_default() -> None:
    assert isinstance(load_predictor(), LearnedPredictor)
    assert not isinstance(load_predictor("attributes"), LearnedPredictor)


def test_voice_is_a_unit_vector_in_the_speaker_encoders_space(
    predictor: LearnedPredictor, portraits: list[FaceEmbedding]
) -> None:
    for voice in (predictor.predict(portraits[0], draw) for draw in (0, 1, 7)):
        assert voice.embedding.shape == (256,) and voice.embedding.dtype == np.float32
        assert abs(np.linalg.norm(voice.embedding) - 1) < 1e-6
        assert voice.embedding.min() >= 0
        assert 70 <= voice.f0_hz <= 320 and 1 <= voice.f0_range_semitones <= 5 and 0.72 <= voice.tract <= 1.22


def test_the_same_face_always_gets_the_same_voice(portraits: list[FaceEmbedding]) -> None:
    one, other = (LearnedPredictor.load().predict(portraits[0], draw=3) for _ in range(2))
    assert np.array_equal(one.embedding, other.embedding) and one.f0_hz == other.f0_hz


def test_the_first_draw_stays_near_what_the_face_tells_and_others_move_on(
    predictor: LearnedPredictor, portraits: list[FaceEmbedding]
) -> None:
    mean = predictor.map.mean[:256] / np.linalg.norm(predictor.map.mean[:256])
    for face in portraits:
        expected, drawn = predictor.expected(face).embedding - mean, predictor.predict(face).embedding - mean
        assert expected @ drawn / np.linalg.norm(expected) / np.linalg.norm(drawn) > 0.8
        voices = [predictor.predict(face, draw) for draw in range(5)]
        cosines = np.array([[one.embedding @ other.embedding for one in voices] for other in voices])
        assert cosines[np.triu_indices(5, 1)].max() < 0.9


def test_two_faces_that_tell_the_same_get_two_voices(
    predictor: LearnedPredictor, portraits: list[FaceEmbedding], rng: np.random.Generator
) -> None:
    # Moved where the map does not look: what it predicts stays, and only the draw can tell them apart.
    identity = predictor.map.slope[:, :128].astype(np.float64)
    silent = np.linalg.svd(identity)[2][-8:]
    other = replace(portraits[0], identity=(portraits[0].identity + 0.8 * silent[0]).astype(np.float32))
    one, two = predictor.expected(portraits[0]).embedding, predictor.expected(other).embedding
    assert one @ two > 0.99
    assert predictor.predict(portraits[0]).embedding @ predictor.predict(other).embedding < one @ two - 0.003


@pytest.mark.parametrize("portrait", [astronaut(), somebody_else()], ids=["astronaut", "somebody else"])
def test_a_portrait_keeps_its_voice(portrait: Picture, predictor: LearnedPredictor) -> None:
    for change, before, after in voices_of_changed(portrait, predictor):
        assert before.embedding @ after.embedding > 0.97, change
        assert abs(semitones(before, after)) < 0.5, change


def test_men_speak_lower_and_have_longer_tracts(
    predictor: LearnedPredictor, portraits: list[FaceEmbedding], rng: np.random.Generator
) -> None:
    women, men = (
        [predictor.predict(like(portraits[0], predictor, male, rng)) for _ in range(60)] for male in (0.0, 1.0)
    )
    assert np.median([voice.f0_hz for voice in women]) > 1.25 * np.median([voice.f0_hz for voice in men])
    assert np.median([voice.tract for voice in women]) < np.median([voice.tract for voice in men])


def test_children_speak_higher_and_boys_like_girls(
    predictor: LearnedPredictor, portraits: list[FaceEmbedding], rng: np.random.Generator
) -> None:
    face = like(portraits[0], predictor, 0.0, rng)
    woman, girl = (predictor.expected(replace(face, age=age)) for age in (AGES[0], 7.0))
    assert girl.f0_hz > 1.1 * woman.f0_hz and girl.tract < 0.9 * woman.tract
    boy, man = (predictor.expected(replace(face, male=1.0, age=age)) for age in (7.0, 35.0))
    assert boy.f0_hz > 1.5 * man.f0_hz
    assert abs(semitones(boy, girl)) < 4


def test_with_age_a_voice_changes_smoothly(predictor: LearnedPredictor, portraits: list[FaceEmbedding]) -> None:
    for male in (0.0, 1.0):
        face = replace(portraits[0], male=male)
        pitches = [predictor.predict(replace(face, age=age)).f0_hz for age in np.arange(4, 90, 0.5)]
        assert np.abs(12 * np.diff(np.log2(pitches))).max() < 1.6  # a boy's voice breaks within four years


def test_a_face_unlike_those_learnt_from_is_less_sure(
    predictor: LearnedPredictor, portraits: list[FaceEmbedding]
) -> None:
    usual = predictor.f0_error_semitones(portraits[0])
    strange = replace(portraits[0], identity=5 * portraits[0].identity)
    assert 1.5 < usual < 5
    assert predictor.f0_error_semitones(strange) > usual + 0.2
