"""Whether one face keeps one voice and two people get two, and what watching faces costs."""

import csv
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.form import run
from benchmarks.scenes import astronaut, crossing, two_people
from rtc_voice.faces.embedding import FaceEmbedder
from rtc_voice.faces.picture import read_picture
from rtc_voice.faces.tracker import FaceTracker, find_faces
from rtc_voice.faces.types import Picture
from rtc_voice.faces.worker import GOOD
from rtc_voice.metrics import summarize
from rtc_voice.voices.predictor import AttributePredictor
from rtc_voice.voices.types import Voice

SAME_COSINE, SAME_SEMITONES = 0.95, 0.5  # within these a voice is the same
OTHER_COSINE = 0.9  # above it two people sound alike
QUICK_PORTRAITS = 60
PAIRS = "manifest of portraits: a CSV with the columns face and speaker, paths relative to its folder's parent"

Array = NDArray[np.floating]
Row = dict[str, object]


def _half_size(picture: Picture) -> Picture:
    height, width = picture.shape[:2]
    return cv2.resize(picture, (width // 2, height // 2), interpolation=cv2.INTER_AREA)  # type: ignore[return-value]


CHANGES: dict[str, Callable[[Picture], Picture]] = {
    "mirrored": lambda picture: np.ascontiguousarray(picture[:, ::-1]),
    "darker": lambda picture: (picture * (2 / 3)).astype(np.uint8),
    "half_size": _half_size,
}


@dataclass(frozen=True, slots=True)
class Portrait:
    """The voices of one portrait: as it is, and after each change; None where no face is found any more."""

    speaker: str
    is_male: bool
    voice: Voice
    changed: dict[str, Voice | None]


class VoiceMaker:
    """From a picture to a voice, as the program does it."""

    def __init__(self) -> None:
        self.embedder = FaceEmbedder()
        self.predictor = AttributePredictor()

    def portrait(self, picture: Picture, speaker: str) -> Portrait | None:
        """The voices of a picture; None when it shows no face, or none good enough to be used in a call."""
        faces = find_faces(picture)
        if not faces or faces[0].quality.score < GOOD:
            return None
        seen = self.embedder.embed(picture, faces[0])
        changed = {name: self.voice(change(picture)) for name, change in CHANGES.items()}
        return Portrait(speaker, seen.male > 0.5, self.predictor.predict(seen), changed)

    def voice(self, picture: Picture) -> Voice | None:
        """The voice of the largest face."""
        faces = find_faces(picture)
        return self.predictor.predict(self.embedder.embed(picture, faces[0])) if faces else None


def rows(quick: bool, pairs: Path | None) -> list[Row]:
    """The rows from portraits where a manifest is given, then those from synthetic videos."""
    maker = VoiceMaker()
    out: list[Row] = []
    if pairs is None:
        print("no --pairs: without portraits, nothing is said of the same and of different people\n")
    else:
        portraits = list(read_portraits(pairs, maker, QUICK_PORTRAITS if quick else None))
        out = [*(same(name, portraits) for name in CHANGES), different(portraits)]
    return [*out, *_costs(maker, frames=60 if quick else 300), *_id_switches(maker.embedder)]


def read_portraits(pairs: Path, maker: VoiceMaker, most: int | None) -> Iterable[Portrait]:
    """The voices of the portraits in a manifest, or of about ``most`` of them, evenly picked."""
    with pairs.open(newline="", encoding="utf-8") as file:
        entries = list(csv.DictReader(file))
    step = max(1, len(entries) // most) if most else 1
    for entry in entries[::step]:
        portrait = maker.portrait(read_picture(pairs.parent.parent / entry["face"]), entry["speaker"])
        if portrait is not None:
            yield portrait


def same(change: str, portraits: list[Portrait]) -> Row:
    """How far a change of the picture moves the voice; a face that is lost counts as a failure."""
    kept = [(one.voice, voice) for one in portraits if (voice := one.changed[change])]
    cosines = np.array([one.embedding @ other.embedding for one, other in kept])
    shifts = np.array([abs(12 * np.log2(one.f0_hz / other.f0_hz)) for one, other in kept])
    within = np.sum((cosines >= SAME_COSINE) & (shifts <= SAME_SEMITONES))
    return {
        "name": f"same_portrait_{change}",
        "share_within": float(within / len(portraits)),
        **_quantiles("cosine", cosines, p05=0.05, p50=0.5),
        **_quantiles("f0_shift_semitones", shifts, p50=0.5, p95=0.95),
        "n": len(portraits),
    }


def different(portraits: list[Portrait]) -> Row:
    """How alike the voices of different people are, and how far their F0 is spread within an apparent sex."""
    first, second = np.triu_indices(len(portraits), 1)
    speakers, males = (np.array([getattr(one, name) for one in portraits]) for name in ("speaker", "is_male"))
    embeddings = np.array([one.voice.embedding for one in portraits])
    others = speakers[first] != speakers[second]
    cosines = (embeddings @ embeddings.T)[first, second]
    of_one_sex = cosines[others & (males[first] == males[second])]
    semitones = 12 * np.log2([one.voice.f0_hz for one in portraits])
    spreads = [semitones[males == sex].std() for sex in (False, True)]
    return {
        "name": "different_people",
        **_quantiles("cosine", cosines[others], p50=0.5, p95=0.95, p99=0.99),
        "share_above_0_9": float(np.mean(cosines[others] > OTHER_COSINE)),
        "same_sex_share_above_0_9": float(np.mean(of_one_sex > OTHER_COSINE)),
        "f0_sd_women_semitones": float(spreads[0]),
        "f0_sd_men_semitones": float(spreads[1]),
        "n": len(portraits),
    }


def _quantiles(name: str, values: Array, **quantiles: float) -> Row:
    return {f"{name}_{key}": round(float(np.quantile(values, share)), 4) for key, share in quantiles.items()}


def _costs(maker: VoiceMaker, frames: int) -> list[Row]:
    one = np.full((480, 640, 3), 128, np.uint8)
    one[:, 64:576] = astronaut()[:480]
    two = two_people()
    face = find_faces(one)[0]
    return [
        _tracking("tracking_1_face", one, frames, maker.embedder),
        _tracking("tracking_2_faces", two, frames, maker.embedder),
        _timed("embedding", frames // 6, lambda: maker.embedder.embed(one, face)),
        _timed("first_frame_to_voice", frames // 6, lambda: _first_voice(one, maker)),
    ]


def _tracking(name: str, picture: Picture, frames: int, embedder: FaceEmbedder) -> Row:
    """Per picture of a camera that is not held still."""
    moved = [np.roll(picture, round(8 * np.sin(n / 10)), axis=1) for n in range(frames)]
    with FaceTracker(identify=embedder.identify) as tracker:
        numbers = iter(range(frames))

        def track() -> None:
            n = next(numbers)
            tracker.track(moved[n], 33.0 * n)

        return _timed(name, frames - 3, track)


def _first_voice(picture: Picture, maker: VoiceMaker) -> None:
    """All that a new participant's first picture waits for."""
    with FaceTracker() as tracker:
        maker.predictor.predict(maker.embedder.embed(picture, tracker.track(picture, 0.0)[0]))


def _timed(name: str, times: int, work: Callable[[], object]) -> Row:
    for _ in range(3):
        work()
    taken = []
    for _ in range(times):
        started = time.perf_counter()
        work()
        taken.append(1000 * (time.perf_counter() - started))
    figures = summarize(taken, digits=1)
    return {"name": name, "p50_ms": figures["p50"], "p95_ms": figures["p95"], "n": times}


def _id_switches(embedder: FaceEmbedder) -> list[Row]:
    return [
        {"name": f"id_switches_{name}", "switches": _switches(crossing(60, occluder), embedder), "n": 60}
        for name, occluder in (("crossing", False), ("occlusion", True))
    ]


def _switches(video: Iterable[tuple[Picture, int, int]], embedder: FaceEmbedder) -> int:
    """How often one of the two heads is seen under another id than before."""
    last: dict[bool, int] = {}
    switches = 0
    with FaceTracker(identify=embedder.identify) as tracker:
        for n, (picture, x_front, x_back) in enumerate(video):
            for face in tracker.track(picture, 33.0 * n):
                x = (face.box[0] + face.box[2]) / 2
                is_front = abs(x - x_front) < abs(x - x_back)
                switches += last.get(is_front, face.id) != face.id
                last[is_front] = face.id
    return switches


if __name__ == "__main__":
    run("Faces: one portrait, one voice; and what watching costs", rows, [("pairs", PAIRS)])
