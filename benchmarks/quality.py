"""How good the voices are: words kept, naturalness, whose voice it is, pitch; of the whole streaming chain."""

import argparse
import csv
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.form import markdown
from benchmarks.judges import Judges, Verdict, word_errors
from benchmarks.systems import System, systems
from rtc_voice.config import AUDIO
from rtc_voice.report import commit, machine
from rtc_voice.speech.formants import tract_length
from rtc_voice.speech.text import TextToSpeech
from rtc_voice.training.speech_sets import load_audio
from rtc_voice.training.voice_data import is_test_speaker
from rtc_voice.training.voice_labels import voiced_f0
from rtc_voice.voices.speaker_encoder import SpeakerEncoder
from rtc_voice.voices.types import Voice

Samples = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Clip:
    """One recording of a manifest."""

    samples: Samples
    speaker: str
    text: str


@dataclass(frozen=True, slots=True)
class Target:
    """A voice taken from the first half of a recording, judged against the second."""

    voice: Voice
    reference: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Outcome:
    """One converted clip, what was converted, and into whom."""

    clip: Clip
    source: Verdict
    made: Verdict
    target: int


def main() -> None:
    """Measure, print the table, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="8 clips and 4 targets")
    parser.add_argument("--json", type=Path, help="write the figures there")
    parser.add_argument("--sources", type=Path, required=True, help="manifest of recordings with their text")
    parser.add_argument("--targets", type=Path, required=True, nargs="+", help="manifests of voices")
    parser.add_argument("--clips", type=int, default=64)
    parser.add_argument("--all-speakers", action="store_true", help="the manifests hold no speaker of the training")
    options = parser.parse_args()
    torch.set_num_threads(1)
    count, voices = (8, 4) if options.quick else (options.clips, 16)
    each = voices // len(options.targets)
    known = {path: speakers(path, options.all_speakers) for path in [options.sources, *options.targets]}
    wanted = [clips for path in options.targets for clips in known[path][:each]]
    taken = {clips[0]["speaker"] for clips in wanted}
    others = [clips for clips in known[options.sources] if clips[0]["speaker"] not in taken]
    in_turn = [clips[turn] for turn in range(count) for clips in others if turn < len(clips)]
    sources = [read(row, options.sources) for row in in_turn[:count]]
    targets = [target([read(row, path) for row in rows]) for path in options.targets for rows in known[path][:each]]
    title = "Quality: words, naturalness, similarity"
    result: dict[str, object] = {"title": title, "machine": machine(), "commit": commit(), "torch": torch.__version__}
    result["rows"] = rows(sources, targets)
    print(markdown(result))
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n")


def speakers(manifest: Path, is_any_speaker: bool) -> list[list[dict[str, str]]]:
    """The rows of each speaker that no training has heard, women and men in turn."""
    by_speaker: dict[str, list[dict[str, str]]] = {}
    with manifest.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if is_any_speaker or is_test_speaker(row["speaker"]):
                by_speaker.setdefault(row["speaker"], []).append(row)
    long_enough = [rows for rows in by_speaker.values() if sum(float(row["seconds"]) for row in rows) > 4]
    men = [rows for rows in long_enough if _is_man(rows[0])]
    women = [rows for rows in long_enough if not _is_man(rows[0])]
    return [rows for pair in zip(women, men, strict=False) for rows in pair]


def read(row: dict[str, str], manifest: Path) -> Clip:
    """The recording of a manifest's row; its path is relative to a folder above the manifest."""
    folder = next(parent for parent in manifest.resolve().parents if (parent / row["file"]).is_file())
    return Clip(load_audio(folder / row["file"], AUDIO.sample_rate), row["speaker"], row.get("text", ""))


def target(clips: Sequence[Clip]) -> Target:
    """The voice of a speaker from the first half of their speech, and the second half to judge by."""
    encoder, speech = SpeakerEncoder(), np.concatenate([clip.samples for clip in clips])
    known, rest = np.split(speech, [len(speech) // 2])
    return Target(voice_of(known), encoder.embed(rest, AUDIO.sample_rate))


def voice_of(speech: Samples) -> Voice:
    """The voice of a recording at 24 kHz."""
    f0, times = voiced_f0(speech, AUDIO.sample_rate)
    log_f0 = np.log2(f0)
    tract = tract_length(speech, AUDIO.sample_rate, times)
    embedding = SpeakerEncoder().embed(speech, AUDIO.sample_rate)
    return Voice(embedding, float(2 ** log_f0.mean()), float(12 * log_f0.std()), tract)


def rows(sources: Sequence[Clip], targets: Sequence[Target]) -> list[dict[str, object]]:
    """The natural sources, each system on the same pairs of source and target, and the same words typed."""
    judges, known = Judges(), systems()
    natural = [judges.judge(clip.samples) for clip in sources]
    own = [voice_of(clip.samples) for clip in sources]
    unchanged = [Outcome(c, v, v, i % len(targets)) for i, (c, v) in enumerate(_pairs(sources, natural))]
    made = [row("natural", unchanged, targets)]
    for name, system in known.items():
        outcomes = _outcomes(judges, system, _pairs(sources, natural), own, targets)
        made.append(row(name, outcomes, targets))
    text = TextToSpeech()
    spoken = [Clip(np.concatenate(list(text.sentences(clip.text))), "text", clip.text) for clip in sources if clip.text]
    plain = [judges.judge(clip.samples) for clip in spoken]
    outcomes = _outcomes(judges, known["conversion"], _pairs(spoken, plain), own, targets)
    return [*made, row("text", outcomes, targets)]


def _pairs(clips: Sequence[Clip], verdicts: Sequence[Verdict]) -> list[tuple[Clip, Verdict]]:
    return list(zip(clips, verdicts, strict=True))


def _outcomes(
    judges: Judges,
    system: System,
    sources: Sequence[tuple[Clip, Verdict]],
    own: Sequence[Voice],
    targets: Sequence[Target],
) -> list[Outcome]:
    """Each source into one target, in turn."""
    outcomes = []
    for i, (clip, verdict) in enumerate(sources):
        to = i % len(targets)
        made = judges.judge(system(clip.samples, own[i], targets[to].voice))
        outcomes.append(Outcome(clip, verdict, made, to))
    return outcomes


def row(name: str, outcomes: Sequence[Outcome], targets: Sequence[Target]) -> dict[str, object]:
    """The figures of one system."""
    wer = _wer(outcomes, lambda o: o.made)
    references = np.stack([t.reference for t in targets])
    to_targets = np.stack([o.made.embedding for o in outcomes]) @ references.T
    own = np.array([o.target for o in outcomes])
    f0 = np.array([12 * np.log2(o.made.f0_hz / targets[o.target].voice.f0_hz) for o in outcomes])
    drop = np.array([o.source.dnsmos_ovrl - o.made.dnsmos_ovrl for o in outcomes])
    return {
        "name": name,
        "wer": wer,
        "wer_added": wer - _wer(outcomes, lambda o: o.source),
        "dnsmos_ovrl": float(np.mean([o.made.dnsmos_ovrl for o in outcomes])),
        "dnsmos_ovrl_drop": float(drop.mean()),
        "dnsmos_drop_error": float(drop.std() / np.sqrt(len(drop))),
        "secs_target": float(to_targets[np.arange(len(own)), own].mean()),
        "secs_source": float(np.mean([o.made.embedding @ o.source.embedding for o in outcomes])),
        "secs_same_speaker": float(np.mean([t.reference @ t.voice.embedding for t in targets])),
        "right_target": float((to_targets.argmax(axis=1) == own).mean()),
        "f0_error_semitones": float(np.nanmean(np.abs(f0))),
        "n": len(outcomes),
    }


def _wer(outcomes: Sequence[Outcome], verdict: Callable[[Outcome], Verdict]) -> float:
    errors, words = np.sum([word_errors(o.clip.text, verdict(o).words) for o in outcomes if o.clip.text], axis=0)
    return float(errors / words)


def _is_man(entry: dict[str, str]) -> bool:
    return entry.get("sex") == "m" or float(entry.get("male_weight") or 0) > 0.5


if __name__ == "__main__":
    main()
