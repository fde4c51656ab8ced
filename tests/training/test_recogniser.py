"""Which phone is said where: the likeliest way through what is known, and a recogniser taught by bad timing."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from rtc_voice.speech.analysis import Features
from rtc_voice.speech.envelope import BANDS
from rtc_voice.training.recogniser import SILENCE, UNKNOWN, Said, aligned, around
from rtc_voice.training.train_recogniser import hear_phones, train_recogniser
from rtc_voice.training.voice_data import ROW, Entry, VoiceSet, to_features

CPU = torch.device("cpu")


def log_probabilities(truth: list[int], phones: int, sure: float = 0.6) -> np.ndarray:
    found = np.full((len(truth), phones), (1 - sure) / (phones - 1), np.float32)
    found[np.arange(len(truth)), truth] = sure
    return np.log(found)


def test_rows_belong_to_the_nearest_phone_within_reach() -> None:
    assert around(Said((5, 6), (False, True), (3, 9)), 14, reach=4).tolist() == [5] * 6 + [6] * 7 + [UNKNOWN]


def test_the_way_through_a_sentence_finds_where_its_phones_begin() -> None:
    truth = [0, 0, 1, 1, 1, 2, 2, 0, 0, 3, 3, 1]
    said = Said((1, 2, 3, 1), (False, True, False, True), (2, 5, 9, 11))
    assert aligned(log_probabilities(truth, 4), said).tolist() == truth  # type: ignore[union-attr]


def test_silence_is_only_between_words_and_may_be_missing() -> None:
    said = Said((1, 2), (False, False), (0, 2))
    heard = log_probabilities([1, 0, 0, 2], 3)
    assert SILENCE not in aligned(heard, said)  # type: ignore[operator]
    apart = Said((1, 2), (True, True), (0, 2))
    assert aligned(heard, apart).tolist() == [1, 0, 0, 2]  # type: ignore[union-attr]
    assert aligned(log_probabilities([1, 1, 2, 2], 3), apart).tolist() == [1, 1, 2, 2]  # type: ignore[union-attr]


def test_a_phone_without_a_number_takes_its_place() -> None:
    said = Said((1, UNKNOWN, 2), (False, False, True), (0, 2, 4))
    # In rows 2 and 3 neither known phone is likely.
    heard = np.log(np.array([[0.1, 0.8, 0.1]] * 2 + [[0.98, 0.01, 0.01]] * 2 + [[0.1, 0.1, 0.8]] * 2, np.float32))
    assert aligned(heard, said).tolist() == [1, 1, UNKNOWN, UNKNOWN, 2, 2]  # type: ignore[union-attr]


def test_too_few_rows_cannot_be_aligned() -> None:
    assert aligned(log_probabilities([1, 2], 3), Said((1, 2, 1), (False,) * 3, (0, 0, 1))) is None


def made_set(rng: np.random.Generator) -> tuple[VoiceSet, np.ndarray, list[list[tuple[str, int]]]]:
    """Recordings of two phones, low and high, said in turn for 15 to 30 rows each; they are noted up to 6 rows off."""
    rows, entries = [], []
    truth: list[int] = []
    heard: list[list[tuple[str, int]]] = []
    for number in range(6):
        first = len(truth)
        said: list[tuple[str, int]] = []
        while len(truth) - first < 280:
            phone = len(said) % 2
            at, length = len(truth) - first, int(rng.integers(15, 30))
            said.append(("ai"[phone], at + length // 2 + int(rng.integers(-6, 7))))
            envelope = (
                -3 + (1.5 if phone else -1.5) * np.linspace(-1, 1, BANDS) + 0.3 * rng.normal(size=(length, BANDS))
            )
            rows.append(np.column_stack([envelope, np.full((length, 6), 0.1), np.full(length, 120.0)]))
            truth += [phone + 1] * length
        heard.append([*said, ("<wb>", said[-1][1] + 1)])
        entries.append(Entry(first, len(truth) - first, f"made{number}", "made", 12_000, 0.0, 1.0, ""))
    table = np.concatenate(rows).astype(np.float16)
    assert table.shape[1] == ROW
    sound = np.zeros(len(table) * 240, np.int16)
    return VoiceSet(entries, sound, table, np.full((6, 256), 1 / 16, np.float32)), np.array(truth), heard


def as_said(heard: list[tuple[str, int]]) -> Said:
    phones = [(1 + "ai".index(name), row) for name, row in heard if name != "<wb>"]
    return Said([n for n, _ in phones], [False] * len(phones), [row for _, row in phones])


@pytest.mark.slow
def test_a_recogniser_taught_by_bad_timing_finds_the_right_one(tmp_path: Path) -> None:
    voices, truth, heard = made_set(np.random.default_rng(0))
    lines = tmp_path / "phones.jsonl"
    lines.write_text("".join(json.dumps(one) + "\n" for one in heard))
    reports: list[str] = []
    hearing = train_recogniser(voices, lines, tmp_path, CPU, reports.append, (30, 30))
    names = sorted({int(n) for n in hearing.phones[hearing.phones > SILENCE]})
    right = [np.mean(hearing.phones.numpy() == np.array([0, *order])[truth]) for order in (names, names[::-1])]
    noted = np.concatenate([around(as_said(one), entry.rows) for one, entry in zip(heard, voices.entries, strict=True)])
    before = np.mean(noted == truth)
    assert max(right) > 0.97 > before
    assert reports and "heard right" in reports[0]
    # What says another phone is misheard, and a network that made it would be told.
    places = torch.arange(200).unsqueeze(0)
    spoken = to_features(torch.from_numpy(voices.features(0, 0, 200)).unsqueeze(0))
    envelope = spoken.envelope.clone().requires_grad_()
    wrong = Features(envelope.flip(-1), spoken.f0, spoken.aperiodicity)
    far = hearing.misheard(wrong, places, 30)
    assert hearing.misheard(spoken, places, 30) < 0.3 < far
    far.backward()  # type: ignore[no-untyped-call]
    assert envelope.grad is not None and envelope.grad.abs().sum() > 0
    again = train_recogniser(voices, lines, tmp_path, CPU, reports.append, (30, 30))
    assert len(reports) == 1  # what is there is not made again
    assert torch.equal(again.phones, hearing.phones)


def test_phones_are_heard_in_speech_and_not_twice(tmp_path: Path) -> None:
    from rtc_voice.speech.text import TextToSpeech

    sound = np.concatenate(list(TextToSpeech().sentences("Seven days.")))
    sound = sound[: len(sound) // 240 * 240]
    rows = len(sound) // 240
    entry = Entry(0, rows, "one", "made", 12_000, 0.0, 1.0, "")
    samples = (sound * 20_000).astype(np.int16)
    voices = VoiceSet([entry], samples, np.zeros((rows, ROW), np.float16), np.zeros((1, 256), np.float32))
    output = tmp_path / "phones.jsonl"
    assert list(hear_phones(voices, output)) == [1]
    heard = json.loads(output.read_text())
    assert [name for name, _ in heard if name != "<wb>"][:4] == ["s", "ɛ", "v", "ə"]
    assert [row for _, row in heard] == sorted(row for _, row in heard)
    assert heard[-1][1] < rows
    assert list(hear_phones(voices, output)) == []
