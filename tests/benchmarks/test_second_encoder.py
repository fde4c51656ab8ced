import numpy as np
import pytest
import torch

from benchmarks.second_encoder import CEPSTRA, SecondSpeakerEncoder, features, log_mel
from benchmarks.train_second_encoder import discriminants
from rtc_voice.errors import AudioError
from rtc_voice.selfcall import speech

SAMPLE_RATE = 24_000


@pytest.fixture(scope="module")
def spoken() -> list[np.ndarray]:
    texts = ("The birch canoe slid on the smooth planks.", "Four hours of steady work faced us. Read verse out loud.")
    return [speech(text) for text in texts]


def test_the_same_voice_is_nearer_in_other_words_than_a_smaller_head_in_the_same_words(
    spoken: list[np.ndarray],
) -> None:
    encoder = SecondSpeakerEncoder()
    one, other_words = (encoder.embed(samples, SAMPLE_RATE) for samples in spoken)
    smaller = encoder.embed(spoken[0], SAMPLE_RATE * 5 // 4)  # played faster: higher and from a shorter tract
    assert np.linalg.norm(one) == pytest.approx(1, abs=1e-5)
    assert one @ other_words > one @ smaller + 0.1


def test_a_microphone_and_a_level_change_little(spoken: list[np.ndarray]) -> None:
    encoder = SecondSpeakerEncoder()
    _, longer = spoken
    brighter = np.append(longer[0], longer[1:] - 0.5 * longer[:-1]).astype(np.float32)
    assert encoder.embed(longer, SAMPLE_RATE) @ encoder.embed(0.5 * brighter, SAMPLE_RATE) > 0.9


def test_silence_has_no_speaker() -> None:
    with pytest.raises(AudioError):
        SecondSpeakerEncoder().embed(np.zeros(SAMPLE_RATE, np.float32), SAMPLE_RATE)


def test_features_are_cepstra_that_a_constant_gain_per_band_does_not_change() -> None:
    rows = log_mel(torch.randn(16_000, generator=torch.Generator().manual_seed(0)))
    gain = torch.linspace(-2, 2, rows.shape[1])
    torch.testing.assert_close(features(rows), features(rows + gain), rtol=0, atol=1e-4)
    # A cosine over the bands is one cepstrum; its slope is the change per row.
    bands = torch.cos(torch.pi / 64 * (torch.arange(64) + 0.5) * 3)
    ramp = features(torch.arange(9.0)[:, None] * bands)
    assert ramp[4, CEPSTRA + 2] == pytest.approx(float((32.0) ** 0.5), rel=1e-4)
    assert float(ramp[:, [0, 1, 3, 4]].abs().max()) < 1e-3


def test_discriminants_keep_what_tells_speakers_apart() -> None:
    rng = np.random.default_rng(0)
    speakers = np.repeat(np.arange(50), 20)
    points = rng.normal(size=(1000, 200))
    points[:, 7] = rng.normal(size=50)[speakers] + 0.1 * rng.normal(
        size=1000
    )  # little variance, all of it the speaker's
    points[:, 8] *= 30
    first = discriminants(torch.from_numpy(points.astype(np.float32)), speakers)[:, 0]
    assert int(first.abs().argmax()) == 7
