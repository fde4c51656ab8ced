"""Parallel speech: rows that say the same find each other, however fast each voice speaks."""

import numpy as np
import torch

from rtc_voice.synthesis.content import ContentEncoder
from rtc_voice.training.parallel import ParallelSpeech
from rtc_voice.training.segments import Segments
from rtc_voice.training.voice_data import ROW, Entry, VoiceSet

SLOWER = 3  # rows of the spoken for two of the typed


def voices(text: str = "a text") -> VoiceSet:
    """One sentence typed, and spoken half as slow again."""
    rng = np.random.default_rng(0)
    typed = np.repeat(rng.normal(-4, 1.5, (40, ROW)), 4, axis=0)  # 40 sounds of four rows
    spoken = typed[np.arange(240) * 2 // SLOWER]
    rows = np.concatenate([typed, spoken]).astype(np.float16)
    rows[:, -1] = 120
    entries = [
        Entry(0, 160, "hibari", "speech_hibari", 12_000, 0.5, 1.0, "a text"),
        Entry(160, 240, "somebody", "speech_other", 12_000, 0.5, 1.0, text),
    ]
    return VoiceSet(entries, np.zeros(400 * 240, np.int16), rows, np.ones((2, 256), np.float32))


def parallel(text: str = "a text") -> ParallelSpeech:
    torch.manual_seed(0)
    made = voices(text)
    return ParallelSpeech(made, Segments(made, [0, 1], torch.device("cpu")), ContentEncoder())


def test_rows_that_say_the_same_find_each_other() -> None:
    typed, spoken, at = parallel().draw(8, 60, 100, np.random.default_rng(1))
    assert not typed.recording.any()
    assert spoken.recording.all()
    expected = (spoken.start.unsqueeze(1) + torch.arange(60)) * 2 / SLOWER
    assert float((typed.start.unsqueeze(1) + at - expected).abs().mean()) < 2


def test_only_what_is_the_same_sentence_and_long_enough_is_paired() -> None:
    assert parallel().has(200)
    assert not parallel().has(240)
    assert not parallel("another text").has(1)


def test_a_segment_beyond_the_last_recording_repeats_its_last_row() -> None:
    made = voices()
    segments = Segments(made, [0, 1], torch.device("cpu"))
    place = segments.draw(1, 230, np.random.default_rng(0))
    features = segments.features(place, 400)
    assert torch.equal(features.envelope[0, -1], torch.from_numpy(made.rows[-1, :80].astype(np.float32)))
    assert segments.sound(place, 10).shape == (1, 2400)
