"""One thread that watches the faces of all participants, so that the event loop never has to."""

import logging
import os
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from rtc_voice.faces.embedding import FaceEmbedder
from rtc_voice.faces.tracker import MAX_FACES, FaceTracker
from rtc_voice.faces.types import Face, FaceEmbedding, Picture, SeenFace
from rtc_voice.metrics import Metrics

logger = logging.getLogger(__name__)

OnResult = Callable[[list[SeenFace]], None]
"""Takes the faces of one picture, on the worker's thread."""

ENOUGH = 8  # embeddings per face: their mean is at .998 of the mean of all
GOOD = 0.25  # quality from which an embedding is worth its time
BETTER = 1.25  # after that only a frame this much better than the worst kept one is worth it
APART_MS = 100.0  # embeddings closer in time say the same again
NICENESS = 5  # more than the program's own: a picture may wait where speech may not, but not until a voice is missed
HUNG_S = 10.0  # a picture that takes longer is given up, and its thread with it


class FaceWorker:
    """Tracks and embeds faces on a thread of its own; use it as a context manager.

    Entering loads the networks, which takes seconds: do it before a call is answered. Each participant has one waiting
    picture at most: a newer one replaces it, and ``pictures_dropped`` counts the loss.

    Args:
        metrics: gets ``pictures_dropped``, ``face_errors`` and the times ``face_track_ms`` and ``face_embed_ms``.

    Raises:
        MissingPartError: on entering, when mediapipe or a system library it needs is not installed.
    """

    def __init__(self, metrics: Metrics) -> None:
        self.metrics = metrics
        self._changed = threading.Condition()
        self._waiting: dict[FaceStream, _Job | None] = {}  # in the order of arrival; None frees the stream
        self._thread: threading.Thread | None = None
        self._current: FaceStream | None = None
        self._current_since = 0.0  # s, monotonic
        self._streams: set[FaceStream] = set()
        self._embedder: FaceEmbedder

    def open(self, participant: str, max_faces: int = MAX_FACES) -> "FaceStream":
        """A new video to watch; ``participant`` names it in the log."""
        stream = FaceStream(self, participant, max_faces)
        self._streams.add(stream)
        return stream

    def queue(self, stream: "FaceStream", job: "_Job | None") -> None:
        """Put a stream's newest picture, or None to free the stream, in the place of the one that waits."""
        with self._changed:
            if self._waiting.get(stream):
                self.metrics.count("pictures_dropped")
            if job is None:
                self._streams.discard(stream)
            self._waiting[stream] = job
            self._replace_hung_thread()
            self._changed.notify()

    def __enter__(self) -> Self:
        self._embedder = FaceEmbedder()
        FaceTracker(1).close()  # a missing library is found here, not in the first call
        self._start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._changed:
            thread, self._thread = self._thread, None
            self._changed.notify_all()
        if thread:
            thread.join(HUNG_S)
        # Those that were closed just now wait for the thread to free them, which it no longer will.
        for stream in self._streams | set(self._waiting):
            stream.work(None, self._embedder)
        self._streams.clear()

    def _start(self) -> None:
        # A daemon: a picture that hangs in native code must not keep the program from ending.
        self._thread = threading.Thread(target=self._run, name="faces", daemon=True)
        self._thread.start()

    def _replace_hung_thread(self) -> None:
        if self._current and time.monotonic() - self._current_since > HUNG_S:
            logger.error("a picture of %s takes more than %.0f s: going on without it", self._current, HUNG_S)
            self.metrics.count("face_errors")
            self._current.abandon()
            self._current = None
            self._start()

    def _run(self) -> None:
        me = threading.current_thread()
        _yield_to_speech()
        while True:
            with self._changed:
                if self._thread is me:
                    self._current = None
                self._changed.wait_for(lambda: self._waiting or self._thread is not me)
                if self._thread is not me:
                    return
                stream = next(iter(self._waiting))
                job = self._waiting.pop(stream)
                self._current, self._current_since = stream, time.monotonic()
            stream.work(job, self._embedder)


def _yield_to_speech() -> None:
    """Let the calling thread, and those it starts from now on, come after all others of this program. On Linux only."""
    if sys.platform == "linux":  # elsewhere a thread has no niceness of its own
        nice = os.getpriority(os.PRIO_PROCESS, 0)
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), min(nice + NICENESS, 19))


@dataclass(frozen=True, slots=True)
class _Job:
    """One picture to look at."""

    picture: Picture | Callable[[], Picture]
    time_ms: float
    on_result: OnResult


@dataclass(slots=True)
class _Kept:
    """The qualities of the best pictures of one face that have been embedded, and when the last was."""

    scores: list[float] = field(default_factory=list)
    time_ms: float = -float("inf")

    def wants(self, score: float, time_ms: float) -> bool:
        """Whether a picture of this quality tells something new."""
        if score < GOOD or time_ms - self.time_ms < APART_MS:
            return False
        return len(self.scores) < ENOUGH or score > BETTER * self.scores[0]

    def add(self, score: float, time_ms: float) -> None:
        """Keep it, and no more than the best."""
        self.scores = sorted([*self.scores, score])[-ENOUGH:]
        self.time_ms = time_ms


class FaceStream:
    """One participant's video in a ``FaceWorker``: made by ``FaceWorker.open``, ended by ``close``."""

    def __init__(self, worker: FaceWorker, participant: str, max_faces: int) -> None:
        self._worker = worker
        self._participant = participant
        self._max_faces = max_faces
        self._tracker: FaceTracker | None = None
        self._kept: defaultdict[int, _Kept] = defaultdict(_Kept)
        self._has_failed = False
        self._is_closed = False

    def submit(self, picture: Picture | Callable[[], Picture], time_ms: float, on_result: OnResult) -> None:
        """Queue the newest picture; returns at once.

        Args:
            picture: RGB, or what makes it, called on the worker's thread; must not be written to afterwards.
            time_ms: of the picture; must not go back.
            on_result: gets all faces of the picture on the worker's thread, unless the picture is replaced before its
                turn or cannot be worked on.
        """
        if not self._is_closed:
            self._worker.queue(self, _Job(picture, time_ms, on_result))

    def close(self) -> None:
        """Stop: no further result comes, but for one that is being handed over now. Closing twice is fine."""
        if not self._is_closed:
            self._is_closed = True
            self._worker.queue(self, None)

    def work(self, job: _Job | None, embedder: FaceEmbedder) -> None:
        """Do one job on the calling thread; whatever goes wrong is counted, and logged the first time."""
        try:
            if job is None:
                self._free()
            else:
                picture = job.picture() if callable(job.picture) else job.picture
                seen = self._see(picture, job.time_ms, embedder)
                if not self._is_closed:
                    job.on_result(seen)
        except Exception:
            self._worker.metrics.count("face_errors")
            if not self._has_failed:
                logger.exception("a picture of %s failed; further ones are only counted", self)
            self._has_failed = True

    def abandon(self) -> None:
        """Leave a tracker that hangs to itself; the next picture gets a new one."""
        self._tracker = None

    def __str__(self) -> str:
        return self._participant

    def _see(self, picture: Picture, time_ms: float, embedder: FaceEmbedder) -> list[SeenFace]:
        if self._tracker is None:
            self._tracker = FaceTracker(self._max_faces, embedder.identify)
        start = time.perf_counter()
        faces = self._tracker.track(picture, time_ms)
        tracked = time.perf_counter()
        seen = [SeenFace(face, self._embedding(picture, face, time_ms, embedder)) for face in faces]
        self._worker.metrics.record("face_track_ms", 1000 * (tracked - start))
        if any(one.embedding for one in seen):
            self._worker.metrics.record("face_embed_ms", 1000 * (time.perf_counter() - tracked))
        return seen

    def _embedding(self, picture: Picture, face: Face, time_ms: float, embedder: FaceEmbedder) -> FaceEmbedding | None:
        kept = self._kept[face.id]
        if not kept.wants(face.quality.score, time_ms):
            return None
        kept.add(face.quality.score, time_ms)
        return embedder.embed(picture, face)

    def _free(self) -> None:
        if self._tracker:
            self._tracker.close()
        self._tracker = None
        self._kept.clear()
