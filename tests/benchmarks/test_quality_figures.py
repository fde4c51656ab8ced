import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.quality_figures import Goal, Outcome, Verdict, gain, many_voices, row, scale

Embeddings = dict[str, NDArray[np.float32]]


def pointing(angle: float) -> Embeddings:
    vector = np.array([np.cos(angle), np.sin(angle)], np.float32)
    return {"second": vector, "resemblyzer": vector[::-1]}


def verdict(words: str, ovrl: float = 3.0, f0_hz: float = 100.0, angle: float = 0.0) -> Verdict:
    return Verdict(words, ovrl, ovrl + 1, f0_hz, pointing(angle))


def goal(speaker: str, sex: str, angle: float, f0_hz: float = 100.0) -> Goal:
    return Goal(speaker, sex, f0_hz, shown=pointing(angle), kept=pointing(angle + 0.1))


GOALS = [goal("a", "f", 0.0), goal("b", "m", 0.5), goal("c", "m", 1.5)]


def test_a_row_compares_what_was_made_with_the_source_and_with_the_goal() -> None:
    outcomes = [
        Outcome("a small step", verdict("a small step", 3.4, angle=1.5), verdict("a tall step", 3.0, 200, 0.5), 1),
        Outcome("", verdict("no text at all", 3.0, angle=1.5), verdict("no text tall", 2.8, 100, 0.5), 0),
    ]
    made = row("conversion", outcomes, GOALS)
    assert made["wer"] == made["wer_added"] == pytest.approx(1 / 3)
    assert made["words_changed"] == pytest.approx(3 / 7)
    assert made["dnsmos_ovrl"] == pytest.approx(2.9)
    assert made["dnsmos_ovrl_drop"] == pytest.approx(0.3)
    assert made["plcmos"] == pytest.approx(3.9)
    assert made["secs_target"] == pytest.approx((np.cos(0.1) + np.cos(0.4)) / 2)
    assert made["secs_source"] == made["resemblyzer_secs_source"] == pytest.approx(np.cos(1.0))
    assert made["secs_same_speaker"] == pytest.approx(np.cos(0.1))
    assert made["right_target_of_3"] == 0.5
    assert made["f0_error_semitones"] == pytest.approx(6.0)
    assert (made["n"], made["n_with_text"]) == (2, 1)


def test_a_copy_has_no_target_and_clips_without_text_have_no_word_errors() -> None:
    made = row("copy", [Outcome("", verdict("a"), verdict("b"), None)], GOALS)
    assert not {"wer", "wer_added", "secs_target", "f0_error_semitones"} & made.keys()


def test_an_interval_holds_its_figure_and_narrows_with_more_clips() -> None:
    outcomes = [Outcome("", verdict("a"), verdict("a", ovrl), None) for ovrl in (2.6, 3.4) * 80]
    few, many = (row("copy", outcomes[:count], GOALS) for count in (10, 160))
    widths = []
    for made in (few, many):
        interval = made["dnsmos_ovrl_ci95"]
        assert isinstance(interval, list)
        assert interval[0] < made["dnsmos_ovrl"] < interval[1]
        widths.append(interval[1] - interval[0])
    assert widths[1] == pytest.approx(widths[0] / 4, rel=0.2)


def test_the_right_target_is_looked_for_among_eight() -> None:
    goals = [goal(str(i), "f", 0.15 * i) for i in range(8)] + [goal("8", "f", 0.0)]  # the ninth is like the first
    first = [Outcome("", verdict("a"), verdict("a", angle=0.1), 0)]
    assert row("conversion", first, goals)["right_target_of_8"] == 1.0


def test_the_scale_compares_halves_of_one_speaker_and_of_two() -> None:
    rows = {str(one["name"]): one for one in scale(GOALS)}
    assert rows["natural_same_speaker"]["secs_target"] == pytest.approx(np.cos(0.1))
    same_sex = rows["natural_other_speaker_same_sex"]
    assert same_sex["secs_target"] == pytest.approx((np.cos(1.1) + np.cos(0.9)) / 2)
    assert same_sex["n"] == 2
    assert rows["natural_other_speaker_other_sex"]["n"] == 4


def test_a_gain_is_of_the_same_clips() -> None:
    source = verdict("red fox")
    with_part = [Outcome("red fox", source, verdict("red fox", 3.2), 0), Outcome("", source, verdict("x", 3.0), 0)]
    without = [Outcome("red fox", source, verdict("red", 3.0), 0), Outcome("", source, verdict("x", 2.9), 0)]
    made = gain("gain", with_part, without)
    assert made["dnsmos_ovrl"] == made["plcmos"] == pytest.approx(0.15)
    assert made["wer"] == pytest.approx(-0.5)
    assert made["n"] == 2


def test_many_voices_are_compared_in_pairs() -> None:
    texts = ["red fox", "three"]
    voices = [
        [verdict("red fox", angle=angle, f0_hz=f0), verdict("tree", angle=angle, f0_hz=f0)]
        for angle, f0 in ((0.0, 200), (0.2, 220), (1.5, 100))
    ]
    made = many_voices("predicted", voices, texts, ["f", "f", "m"])
    assert made["pairwise_max"] == pytest.approx(np.cos(0.2))
    assert made["pairs_below_0_75"] == pytest.approx(2 / 3)
    assert made["wer"] == pytest.approx(1 / 3)
    assert (made["f0_hz_f"], made["f0_hz_m"], made["n"]) == (pytest.approx(210), 100, 3)
