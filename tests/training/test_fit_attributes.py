from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from rtc_voice.training.fit_attributes import MeasuredSpeech, fit_arrays
from rtc_voice.training.speech_sets import SPEECH_SETS
from rtc_voice.voices.attributes import AttributePredictor
from tests.voices.signals import random_face


@pytest.fixture(scope="module")
def measured() -> MeasuredSpeech:
    """Made-up voices: two sexes around two means, F0 and tract written along directions of their own."""
    rng = np.random.default_rng(3)
    count = 300
    males = rng.integers(0, 2, count).astype(np.float64)
    means = np.maximum(rng.standard_normal((2, 256)), 0)
    embeddings = means[males.astype(int)] + rng.standard_normal((count, 40)) @ rng.standard_normal((40, 256)) * 0.09
    embeddings = np.maximum(embeddings, 0)
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    directions = rng.standard_normal((256, 3)) / 16
    log_traits = np.log([150, 3, 1 / 1000]) + embeddings @ directions
    log_traits[:, 0] -= males * 0.5
    log_traits[:, 2] += males * 0.15
    sources = np.array(SPEECH_SETS)[np.arange(count) % 3]
    return MeasuredSpeech(
        embeddings, log_traits, males, sources, np.array([f"s{i // 2 * 2 + males[i]}" for i in range(count)])
    )


def test_what_is_fitted_is_what_the_predictor_reads(measured: MeasuredSpeech, tmp_path: Path) -> None:
    arrays, figures = fit_arrays(measured)
    out = tmp_path / "fitted.safetensors"
    save_file({name: array.astype(np.float32) for name, array in arrays.items()}, out)
    predictor = AttributePredictor(out)
    speakers = measured.per_speaker()
    rng = np.random.default_rng(5)
    for sex in (0, 1):
        # Far apart, so that their individual parts are independent.
        faces = [random_face(rng, male=float(sex)) for _ in range(2000)]
        voices = [predictor.predict(replace(face, identity=4 * face.identity)) for face in faces]
        real = speakers.embeddings[speakers.males == sex]
        mean = np.mean([voice.embedding for voice in voices], axis=0)
        assert mean @ real.mean(axis=0) / np.linalg.norm(mean) / np.linalg.norm(real.mean(axis=0)) > 0.998
        assert np.linalg.norm(mean) == pytest.approx(np.linalg.norm(real.mean(axis=0)), abs=0.025)
        log_f0 = np.mean(np.log([voice.f0_hz for voice in voices]))
        assert log_f0 == pytest.approx(measured.log_traits[measured.males == sex, 0].mean(), abs=0.03)
    assert figures["f0_hz_r2"] > 0.9 and figures["tract_r2"] > 0.7


def test_a_tract_of_one_lies_between_women_and_men(measured: MeasuredSpeech) -> None:
    arrays, _ = fit_arrays(measured)
    log_tract = measured.embeddings @ arrays["trait_weights"][2] + arrays["trait_bias"][2]
    women, men = (log_tract[measured.males == sex].mean() for sex in (0, 1))
    assert women < 0 < men and women + men == pytest.approx(0, abs=0.02)


def test_speakers_count_once_however_often_recorded(measured: MeasuredSpeech) -> None:
    speakers = measured.per_speaker()
    assert len(speakers.males) == len(set(measured.speakers.tolist())) == len(speakers.embeddings)
    one = measured.speakers == speakers.speakers[0]
    mean = measured.embeddings[one].mean(axis=0)
    np.testing.assert_allclose(speakers.embeddings[0], mean / np.linalg.norm(mean))
    np.testing.assert_allclose(speakers.log_traits[0], measured.log_traits[one].mean(axis=0))
    assert speakers.males[0] == measured.males[one][0]


def test_fitting_again_gives_the_same_arrays(measured: MeasuredSpeech) -> None:
    one, other = fit_arrays(measured)[0], fit_arrays(measured)[0]
    assert all(np.array_equal(one[name], other[name]) for name in one)
