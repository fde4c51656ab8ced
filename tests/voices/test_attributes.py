from dataclasses import replace

import numpy as np
import pytest

from benchmarks.scenes import astronaut, somebody_else
from rtc_voice.faces.types import FaceEmbedding, Picture
from rtc_voice.voices.attributes import AttributePredictor
from rtc_voice.voices.types import Voice
from tests.voices.portraits import voices_of_changed
from tests.voices.signals import random_face


@pytest.fixture(scope="module")
def predictor() -> AttributePredictor:
    return AttributePredictor()


def moved(face: FaceEmbedding, distance: float, rng: np.random.Generator) -> FaceEmbedding:
    """The same person a little otherwise: a mirror image lies about 0.07 away, half the light 0.11."""
    step = rng.standard_normal(128)
    return replace(face, identity=(face.identity + distance * step / np.linalg.norm(step)).astype(np.float32))


def semitones(one: Voice, other: Voice) -> float:
    return float(abs(12 * np.log2(one.f0_hz / other.f0_hz)))


def test_voice_is_a_unit_vector_in_the_speaker_encoders_space(
    predictor: AttributePredictor, rng: np.random.Generator
) -> None:
    for male in (0.0, 0.5, 1.0):
        voice = predictor.predict(random_face(rng, male))
        assert voice.embedding.shape == (256,) and voice.embedding.dtype == np.float32
        assert abs(np.linalg.norm(voice.embedding) - 1) < 1e-6
        assert voice.embedding.min() >= 0
        assert 70 <= voice.f0_hz <= 320 and 1 <= voice.f0_range_semitones <= 5 and 0.72 <= voice.tract <= 1.22


def test_the_same_face_always_gets_the_same_voice(rng: np.random.Generator) -> None:
    face = random_face(rng)
    one, other = AttributePredictor().predict(face, draw=3), AttributePredictor().predict(face, draw=3)
    assert np.array_equal(one.embedding, other.embedding) and one.f0_hz == other.f0_hz


@pytest.mark.parametrize("male", [0.02, 0.98])
def test_two_people_of_one_sex_get_voices_as_different_as_real_ones(
    predictor: AttributePredictor, rng: np.random.Generator, male: float
) -> None:
    embeddings = np.array([predictor.predict(random_face(rng, male)).embedding for _ in range(60)])
    cosines = (embeddings @ embeddings.T)[np.triu_indices(60, 1)]
    # LibriSpeech's readers of one sex: 5 % to 95 % are 0.50 to 0.74.
    assert 0.5 < np.median(cosines) < 0.8
    assert np.quantile(cosines, 0.99) < 0.9


@pytest.mark.parametrize("male", [0.02, 0.98])
def test_another_picture_of_the_same_face_keeps_the_voice(
    predictor: AttributePredictor, rng: np.random.Generator, male: float
) -> None:
    faces = [random_face(rng, male) for _ in range(60)]
    pairs = [(predictor.predict(face), predictor.predict(moved(face, 0.075, rng))) for face in faces]
    assert min(float(one.embedding @ other.embedding) for one, other in pairs) > 0.97
    median, ninth = np.quantile([semitones(one, other) for one, other in pairs], (0.5, 0.9))
    assert median < 0.3 and ninth < 0.6


@pytest.mark.parametrize("male", [0.0, 0.2, 0.9, 1.0])
def test_a_clear_score_of_sex_may_wander(predictor: AttributePredictor, rng: np.random.Generator, male: float) -> None:
    face = random_face(rng, male)
    nearer_the_middle = replace(face, male=male + (0.03 if male < 0.5 else -0.03))
    assert semitones(predictor.predict(face), predictor.predict(nearer_the_middle)) < 0.3


@pytest.mark.parametrize("portrait", [astronaut(), somebody_else()], ids=["astronaut", "somebody else"])
def test_a_portrait_keeps_its_voice(portrait: Picture, predictor: AttributePredictor) -> None:
    for change, before, after in voices_of_changed(portrait, predictor):
        assert before.embedding @ after.embedding > 0.99, change
        assert semitones(before, after) < 0.4, change


def test_men_speak_lower_and_have_longer_tracts_than_women(
    predictor: AttributePredictor, rng: np.random.Generator
) -> None:
    women, men = ([predictor.predict(random_face(rng, male)) for _ in range(80)] for male in (0.0, 1.0))
    assert 180 < np.median([voice.f0_hz for voice in women]) < 215
    assert 105 < np.median([voice.f0_hz for voice in men]) < 130
    assert max(voice.f0_hz for voice in men) < 185 and min(voice.f0_hz for voice in women) > 130
    assert np.mean([voice.tract for voice in men]) / np.mean([voice.tract for voice in women]) == pytest.approx(
        1.14, abs=0.05
    )


def test_between_the_sexes_the_voice_changes_smoothly(predictor: AttributePredictor, rng: np.random.Generator) -> None:
    face = random_face(rng)
    pitches = [predictor.predict(replace(face, male=male)).f0_hz for male in np.linspace(0, 1, 101)]
    steps = 12 * np.log2(np.array(pitches[1:]) / pitches[:-1])
    assert np.abs(steps).max() < 0.6
    assert pitches[0] > pitches[50] > pitches[-1]


def test_each_draw_is_another_fitting_voice(predictor: AttributePredictor, rng: np.random.Generator) -> None:
    face = random_face(rng, male=0.0)
    voices = [predictor.predict(face, draw) for draw in range(6)]
    cosines = np.array([[one.embedding @ other.embedding for one in voices] for other in voices])
    assert cosines[np.triu_indices(6, 1)].max() < 0.9
    assert all(140 < voice.f0_hz < 260 for voice in voices)


def test_children_speak_higher_and_boys_like_girls(predictor: AttributePredictor, rng: np.random.Generator) -> None:
    face = random_face(rng)
    girl, boy = (predictor.predict(replace(face, male=male, age=7.0)) for male in (0.0, 1.0))
    woman = predictor.predict(replace(face, male=0.0, age=30.0))
    assert girl.f0_hz == boy.f0_hz > woman.f0_hz * 1.1
    assert girl.tract < woman.tract * 0.9
