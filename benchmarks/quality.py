"""How good the voices are: words kept, naturalness, whose voice it is, pitch; of the whole streaming chain.

Clips of speakers that no training has heard go into voices that no training has heard. The voice is taken from the
first half of a speaker's recordings and judged by the second. Typed are the first Harvard sentences (IEEE 1969), which
are in no set that the voice was trained on. A row's figures come with 95 % intervals over its clips.
"""

import argparse
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from rich.progress import Progress

from benchmarks.form import markdown
from benchmarks.judges import Judges
from benchmarks.predicted_voices import predicted_voices
from benchmarks.quality_figures import GROUP, Goal, Outcome, Row, Verdict, gain, many_voices, row, scale
from benchmarks.recordings import Recording, choose_sources, choose_targets, default_manifests
from benchmarks.systems import Samples, System, conversions, copies, texts, voice_changers
from rtc_voice.config import AUDIO
from rtc_voice.errors import AudioError, InputError, RtcVoiceError
from rtc_voice.report import commit, machine
from rtc_voice.speech.text import TextToSpeech
from rtc_voice.voices.recording import voice_of_recording
from rtc_voice.voices.types import Voice

HERE = Path(__file__).parent
SENTENCES = (HERE / "sentences.txt").read_text().splitlines()
ALL, QUICK = (80, 16, 64, 20), (6, 8, 4, 4)  # clips, voices, typed sentences, predicted voices
NOT_QUICK = ("f0_shift", "copy_no_wavenet", "text_no_wavenet")
_MOST_SHOWN_S = 20.0  # of a target's recordings
_EVERY = 1000  # voices: more than there are
NOTES = (
    "wer: share of words that whisper tiny.en gets wrong, over the clips whose text is known; words_changed: against "
    "what it hears in the source.",
    "secs: cosine by a second speaker encoder, which only judges (`benchmarks/assets/second_speaker_encoder.md`); the "
    "rows natural_… show its scale. resemblyzer: by the encoder that the chain is conditioned on, which flatters it.",
    "predicted_voices, recorded_voices: voices from faces, and those of unseen speakers that are least alike, saying "
    "the same sentences; pairwise: cosines of what is heard.",
    "gain_…: the row with the WaveNet less the row without, on the same clips.",
)


@dataclass(frozen=True, slots=True)
class Clip:
    """One recording to be changed."""

    samples: Samples
    text: str
    speaker: str
    voice: Voice  # that it is in
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Target:
    """A voice that is wanted, and what it is judged by."""

    voice: Voice
    goal: Goal


class Measurement:
    """The clips, the voices and the judges; every clip goes through every system in turn."""

    def __init__(self, judges: Judges, clips: Sequence[Clip], targets: Sequence[Target], progress: Progress) -> None:
        self.judges, self.clips, self.targets = judges, clips, targets
        self.goals = [target.goal for target in targets]
        self._progress = progress

    def outcomes(self, name: str, system: System, clips: Sequence[Clip]) -> list[Outcome]:
        """Each clip into one of the voices, in turn, never into its own speaker's."""
        made = []
        for number, clip in enumerate(self._progress.track(clips, description=name)):
            to = next(i for i in self._in_turn(number) if self.goals[i].speaker != clip.speaker)
            verdict = self.judges.judge(system(clip.samples, clip.voice, self.targets[to].voice))
            made.append(Outcome(clip.text, clip.verdict, verdict, None if name.startswith("copy") else to))
        found = row(name, made, self.goals)
        figures = [f"{key} {found[key]:.3f}" for key in ("wer", "dnsmos_ovrl", "secs_target") if key in found]
        self._progress.console.print(f"{name}: {', '.join(figures)}")
        return made

    def natural(self) -> Row:
        """The sources as they are."""
        return row("natural", [Outcome(clip.text, clip.verdict, clip.verdict, None) for clip in self.clips], self.goals)

    def rows(self, systems: dict[str, System], clips: Sequence[Clip]) -> list[Row]:
        """A row for each system, and what the WaveNet is worth where there is one without."""
        outcomes = {name: self.outcomes(name, system, clips) for name, system in systems.items()}
        made = [row(name, of, self.goals) for name, of in outcomes.items()]
        return made + [
            gain(f"gain_wavenet_{name}", of, outcomes[f"{name}_no_wavenet"])
            for name, of in outcomes.items()
            if f"{name}_no_wavenet" in outcomes
        ]

    def _in_turn(self, number: int) -> list[int]:
        return [(number + i) % len(self.goals) for i in range(len(self.goals))]


def main() -> int:
    """Measure, print the table, write the JSON; 0, or 2 where there is nothing to measure on."""
    options = _options()
    torch.set_num_threads(1)
    try:
        found = measure(options.sources, options.targets, options.quick, options.verdicts, options.clips)
    except RtcVoiceError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped; what was judged is kept, the same command goes on from there", file=sys.stderr)
        return 130
    title = "Quality: words, naturalness, similarity"
    result: dict[str, object] = {"title": title, "machine": machine(), "commit": commit(), "torch": torch.__version__}
    result |= {"notes": NOTES, "rows": found}
    print(markdown(result))
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(result, indent=2) + "\n")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    manifest = "CSV with the columns file (relative to a folder above), speaker, and where known sex, seconds, text"
    parser.add_argument("--quick", action="store_true", help="few clips and the main rows: about 3 minutes")
    parser.add_argument(
        "--clips", type=int, help=f"recordings, and sentences at most; {ALL[0]} and {ALL[2]} unless told"
    )
    parser.add_argument("--json", type=Path, help="write the figures there")
    parser.add_argument("--sources", type=Path, nargs="+", help=f"manifests of what is converted: {manifest}")
    parser.add_argument("--targets", type=Path, nargs="+", help="manifests of the voices that are wanted")
    parser.add_argument("--verdicts", type=Path, default=HERE / ".verdicts", help="folder that remembers verdicts")
    return parser.parse_args()


def measure(
    sources: Sequence[Path] | None,
    targets: Sequence[Path] | None,
    quick: bool,
    verdicts: Path,
    most: int | None = None,
) -> list[Row]:
    """All rows.

    Args:
        sources: manifests; None for the shared sets.
        targets: as ``sources``.
        quick: few clips, and no rows but the main ones.
        verdicts: folder of the judges' memory.
        most: recordings and sentences, instead of the usual number.

    Raises:
        InputError: no recordings, or none of speakers that no training has heard.
    """
    clips, voices, sentences, predicted = QUICK if quick else ALL
    clips, sentences = (clips, sentences) if most is None else (most, min(most, sentences))
    judges = Judges(verdicts)
    with Progress(transient=True) as progress:
        wanted = _chosen_targets(targets, voices)
        into = list(_targets(judges, progress.track(wanted, description="voices")))
        chosen = choose_sources(_manifests(sources, "--sources"), clips)
        if not chosen:
            raise InputError("no recording to convert: none is long enough, or training has heard all speakers")
        heard = list(_clips(judges, progress.track(chosen, description="natural")))
        all_of = Measurement(judges, heard, into, progress)
        speaker = TextToSpeech()
        typed = [_typed(judges, speaker, text) for text in progress.track(SENTENCES[:sentences], description="typed")]
        kept = [
            {name: system for name, system in group.items() if not (quick and name in NOT_QUICK)}
            for group in (copies(), voice_changers(), conversions(), texts())
        ]
        return [
            all_of.natural(),
            *scale(all_of.goals),
            *(made for group in kept[:3] for made in all_of.rows(group, heard)),
            row("text_source", [Outcome(c.text, c.verdict, c.verdict, None) for c in typed], all_of.goals),
            *all_of.rows(kept[3], typed),
            _many(judges, speaker, "predicted_voices", predicted_voices(predicted), progress),
            _many(
                judges, speaker, "recorded_voices", _far_apart(_manifests(targets, "--targets"), predicted), progress
            ),
        ]


def _manifests(given: Sequence[Path] | None, option: str) -> list[Path]:
    found = list(given) if given else default_manifests()
    if not found:
        raise InputError("no recordings: the shared sets are not at ../shared/data", f"name manifests with {option}")
    return found


def _chosen_targets(given: Sequence[Path] | None, count: int) -> list[list[Recording]]:
    found = choose_targets(_manifests(given, "--targets"), count)
    if len(found) < 2:
        raise InputError("fewer than two voices to convert to", "4 s of a speaker are needed, unheard in training")
    return found[: len(found) // GROUP * GROUP] if len(found) > GROUP else found


def _targets(judges: Judges, speakers: Iterable[Sequence[Recording]]) -> Iterator[Target]:
    """Those with enough speech in both halves."""
    for recordings in speakers:
        try:
            yield _target(judges, recordings)
        except AudioError:
            print(f"left out, too little speech: {recordings[0].speaker}", file=sys.stderr)


def _target(judges: Judges, recordings: Sequence[Recording]) -> Target:
    speech = _speech(recordings)
    shown, kept = np.split(speech, [len(speech) // 2])
    voice, first = voice_of_recording(shown, AUDIO.sample_rate), recordings[0]
    return Target(voice, Goal(first.speaker, first.sex, voice.f0_hz, judges.embed(shown), judges.embed(kept)))


def _speech(recordings: Sequence[Recording]) -> Samples:
    """What is heard of a target, ``[T]``."""
    speech = np.concatenate([one.load(AUDIO.sample_rate) for one in recordings])
    return speech[: round(_MOST_SHOWN_S * AUDIO.sample_rate)]


def _clips(judges: Judges, recordings: Iterable[Recording]) -> Iterator[Clip]:
    for one in recordings:
        samples = one.load(AUDIO.sample_rate)
        try:
            voice = voice_of_recording(samples, AUDIO.sample_rate)
        except AudioError as error:
            print(f"left out {one.path.name}: {error}", file=sys.stderr)
            continue
        yield Clip(samples, one.text, one.speaker, voice, judges.judge(samples))


def _typed(judges: Judges, speaker: TextToSpeech, text: str) -> Clip:
    samples = np.concatenate(list(speaker.sentences(text)))
    return Clip(samples, text, "", voice_of_recording(samples, AUDIO.sample_rate), judges.judge(samples))


def _far_apart(manifests: Sequence[Path], count: int) -> list[tuple[str, Voice]]:
    """Of all voices that no training has heard ``count``, each the least like those before it."""
    found = [
        (one[0].sex, voice_of_recording(_speech(one), AUDIO.sample_rate)) for one in choose_targets(manifests, _EVERY)
    ]
    embeddings = np.stack([voice.embedding for _, voice in found])
    chosen = [0]
    while len(chosen) < min(count, len(found)):
        nearest = (embeddings @ embeddings[chosen].T).max(axis=1)
        chosen.append(int(nearest.argmin()))
    return [found[i] for i in chosen]


def _many(
    judges: Judges, speaker: TextToSpeech, name: str, voices: Sequence[tuple[str, Voice]], progress: Progress
) -> Row:
    """Different voices saying the same sentences."""
    said, say = SENTENCES[-2:], texts()["text"]
    spoken = [np.concatenate(list(speaker.sentences(text))) for text in said]
    made = [
        [judges.judge(say(samples, voice, voice)) for samples in spoken]
        for _, voice in progress.track(voices, description=name)
    ]
    return many_voices(name, made, said, [sex for sex, _ in voices])


if __name__ == "__main__":
    sys.exit(main())
