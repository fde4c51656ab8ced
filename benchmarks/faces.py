"""Whether a face gets the right voice and keeps it, and what watching faces costs."""

import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
from rich.progress import Progress

from benchmarks import face_pairs, face_steady
from benchmarks.form import run
from benchmarks.scenes import astronaut, crossing, two_people
from rtc_voice.faces.embedding import FaceEmbedder
from rtc_voice.faces.quality import USABLE
from rtc_voice.faces.tracker import FaceTracker, find_faces
from rtc_voice.faces.types import Picture
from rtc_voice.faces.worker import APART_MS, GOOD
from rtc_voice.load import Load
from rtc_voice.metrics import summarize
from rtc_voice.training.pairs import fingerprint, measure, read_manifest
from rtc_voice.voices.average import VoiceEstimate
from rtc_voice.voices.learned import LearnedPredictor
from rtc_voice.voices.predictor import Predictor, load_predictor

QUICK_PAIRS, QUICK_PORTRAITS, PORTRAITS = 150, 20, 100
QUICK_RESAMPLES, RESAMPLES = 200, 1000
FRAMES_PER_S = 15
PAIRS = "manifest of pairs: a CSV with the columns file (recording), face (picture) and speaker"
CACHE = "file (.npz) that keeps what was measured on the pairs for next time"

Row = dict[str, object]


def rows(quick: bool, pairs: Path | None, cache: Path | None) -> list[Row]:
    """The rows about voices where pairs are given, then those from synthetic videos."""
    out: list[Row] = []
    if pairs is None:
        print("no --pairs: nothing is said of whether voices fit\n")
    else:
        out = _of_pairs(pairs, cache, quick)
    return [*out, *_costs(FaceEmbedder(), load_predictor(), frames=60 if quick else 300)]


def _of_pairs(manifest: Path, cache: Path | None, quick: bool) -> list[Row]:
    files = read_manifest(manifest)
    if quick:
        files = files[:: max(1, len(files) // QUICK_PAIRS)]
    with Progress() as bar:
        task = bar.add_task("faces and voices", total=len(files))
        measured = measure(files, lambda done, _: bar.update(task, completed=done), cache)
    learned: LearnedPredictor | None = LearnedPredictor.load()
    if LearnedPredictor.trained_on() == fingerprint(read_manifest(manifest)):
        print("The shipped map was made from these people: it is made anew for each fold from the other folds.\n")
        learned = None
    resamples = QUICK_RESAMPLES if quick else RESAMPLES
    matched, predicted = face_pairs.rows(measured, learned, resamples)
    usable = measured.take(measured.qualities >= USABLE)
    seen = face_steady.portraits(files, usable, QUICK_PORTRAITS if quick else PORTRAITS)
    return [*matched, *face_steady.rows(usable, predicted, seen)]


def _costs(embedder: FaceEmbedder, predictor: Predictor, frames: int) -> list[Row]:
    one = np.full((480, 640, 3), 128, np.uint8)
    one[:, 64:576] = astronaut()[:480]
    face = find_faces(one)[0]
    switches = {
        name: _switches(crossing(60, hidden), embedder) for name, hidden in (("crossing", False), ("occlusion", True))
    }
    return [
        {**_tracking("tracking", two_people(), frames, embedder), "id_switches": sum(switches.values()), "faces": 2},
        {**_tracking("tracking_1_face", one, frames, embedder), "faces": 1},
        *({"name": f"id_switches_{name}", "id_switches": count, "n": 60} for name, count in switches.items()),
        _timed("embedding", frames // 6, lambda: embedder.embed(one, face)),
        _timed("time_to_voice", frames // 6, lambda: _first_voice(one, embedder, predictor)),
        *_watching(embedder, predictor, seconds=4 if frames < 100 else 20),
    ]


def _tracking(name: str, picture: Picture, frames: int, embedder: FaceEmbedder) -> Row:
    """Per picture of a camera that is not held still."""
    with FaceTracker(identify=embedder.identify) as tracker:
        pictures = enumerate(_unsteady(picture, frames))

        def track() -> None:
            n, moved = next(pictures)
            tracker.track(moved, 33.0 * n)

        return _timed(name, frames - 3, track)


def _unsteady(picture: Picture, frames: int) -> Iterator[Picture]:
    return (np.roll(picture, round(8 * np.sin(n / 10)), axis=1) for n in range(frames))


def _first_voice(picture: Picture, embedder: FaceEmbedder, predictor: Predictor) -> None:
    """All that a new participant's first picture waits for."""
    with FaceTracker() as tracker:
        predictor.predict(embedder.embed(picture, tracker.track(picture, 0.0)[0]))


def _watching(embedder: FaceEmbedder, predictor: Predictor, seconds: int) -> list[Row]:
    """Processor time of two faces in a call from the first picture on, and whether frozen voices are constant."""
    estimates: dict[int, VoiceEstimate] = {}
    last: dict[int, float] = {}
    frozen: dict[int, np.ndarray] = {}
    spent, change = [], 0.0
    with FaceTracker(identify=embedder.identify) as tracker:
        for n, picture in enumerate(_unsteady(two_people(), seconds * FRAMES_PER_S)):
            started, now_ms = time.process_time(), 1000.0 * n / FRAMES_PER_S
            for face in tracker.track(picture, now_ms):
                estimate = estimates.setdefault(face.id, VoiceEstimate(predictor))
                if (
                    not estimate.frozen
                    and face.quality.score >= GOOD
                    and now_ms - last.get(face.id, -np.inf) >= APART_MS
                ):
                    last[face.id] = now_ms
                    estimate.add(embedder.embed(picture, face), face.quality.score)
                if estimate.frozen and estimate.voice is not None:
                    embedding = frozen.setdefault(face.id, estimate.voice.embedding)
                    change = max(change, float(np.abs(estimate.voice.embedding - embedding).max()))
            spent.append(time.process_time() - started)
    first = 2 * FRAMES_PER_S
    share = 100 * FRAMES_PER_S
    # Once voices are known, a call looks at one picture in so many.
    every = int(np.ceil(Load().picture_interval_s(has_voice=True) * FRAMES_PER_S))
    looked_at = spent[first::every]
    return [
        {"name": "two_faces_15_fps", "core_percent": share * float(np.mean(spent[first:])), "n": len(spent) - first},
        {"name": "two_faces_15_fps_first_2_s", "core_percent": share * float(np.mean(spent[:first])), "n": first},
        {
            "name": "two_known_faces_in_a_call",
            "core_percent": share / every * float(np.mean(looked_at)),
            "pictures_per_s": FRAMES_PER_S / every,
            "n": len(looked_at),
        },
        {"name": "frozen", "max_change": change, "faces": len(frozen), "n": len(spent)},
    ]


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
    run("Faces: the right voice, one voice; and what watching costs", rows, [("pairs", PAIRS), ("cache", CACHE)])
