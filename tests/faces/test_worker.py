import logging
import os
import sys
import threading
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from benchmarks.scenes import astronaut, two_people
from rtc_voice.faces import worker as worker_module
from rtc_voice.faces.types import Picture, SeenFace
from rtc_voice.faces.worker import ENOUGH, NICENESS, FaceStream, FaceWorker
from rtc_voice.metrics import Metrics

PATIENCE_S = 30


@pytest.fixture
def worker() -> Iterator[FaceWorker]:
    with FaceWorker(Metrics()) as running:
        yield running


def watch(stream: FaceStream, pictures: list[Picture], step_ms: float = 150) -> list[list[SeenFace]]:
    """Hand the pictures over one by one, each after the last one's result."""
    results: list[list[SeenFace]] = []
    for n, picture in enumerate(pictures):
        done = threading.Event()

        def take(seen: list[SeenFace], done: threading.Event = done) -> None:
            results.append(seen)
            done.set()

        stream.submit(picture, n * step_ms, take)
        assert done.wait(PATIENCE_S)
    return results


class Gate:
    """An ``on_result`` that holds the worker's thread until it is opened."""

    def __init__(self) -> None:
        self.reached, self.opened = threading.Event(), threading.Event()

    def __call__(self, seen: list[SeenFace]) -> None:
        self.reached.set()
        self.opened.wait(PATIENCE_S)


def collect(into: list[int], mark: int, done: threading.Event) -> Callable[[list[SeenFace]], None]:
    def take(seen: list[SeenFace]) -> None:
        into.append(mark)
        done.set()

    return take


def test_each_face_gets_its_embeddings_and_then_only_tracking(worker: FaceWorker) -> None:
    results = watch(worker.open("ann"), [two_people()] * 20)
    for id in (0, 1):
        mine = [one for seen in results for one in seen if one.face.id == id]
        assert len(mine) == 20
        assert [one.embedding is not None for one in mine] == [True] * ENOUGH + [False] * (20 - ENOUGH)


def test_embeddings_are_a_tenth_of_a_second_apart(worker: FaceWorker) -> None:
    results = watch(worker.open("ann"), [astronaut()] * 11, step_ms=20)
    assert [n for n, seen in enumerate(results) if seen[0].embedding is not None] == [0, 5, 10]


def test_a_much_better_picture_is_embedded_even_then(worker: FaceWorker) -> None:
    far = np.full((480, 640, 3), 128, np.uint8)
    far[100:300, 200:400] = np.ascontiguousarray(astronaut()[:400:2, 50:450:2])
    results = watch(worker.open("ann"), [far] * 12 + [astronaut()])
    embedded = [seen[0].embedding is not None for seen in results]
    assert embedded == [True] * ENOUGH + [False] * (12 - ENOUGH) + [True]


def test_a_bad_picture_is_tracked_and_not_embedded(worker: FaceWorker) -> None:
    dark = (astronaut() * 0.12).astype(np.uint8)
    ((one,),) = watch(worker.open("ann"), [dark])
    assert one.embedding is None


def test_only_the_newest_waiting_picture_is_looked_at(worker: FaceWorker) -> None:
    stream, gate, done = worker.open("ann"), Gate(), threading.Event()
    order: list[int] = []
    stream.submit(astronaut(), 0, gate)
    assert gate.reached.wait(PATIENCE_S)
    for n in range(1, 6):
        stream.submit(astronaut(), 33 * n, collect(order, n, done))
    gate.opened.set()
    assert done.wait(PATIENCE_S)
    assert order == [5]
    assert worker.metrics.counters["pictures_dropped"] == 4


def test_a_busy_participant_does_not_starve_another(worker: FaceWorker) -> None:
    ann, ben, gate, done = worker.open("ann"), worker.open("ben"), Gate(), threading.Event()
    order: list[int] = []
    ann.submit(astronaut(), 0, gate)
    assert gate.reached.wait(PATIENCE_S)
    ben.submit(astronaut(), 0, collect(order, 2, threading.Event()))
    for n in range(3):
        ann.submit(astronaut(), 33 + n, collect(order, 1, done))
    gate.opened.set()
    assert done.wait(PATIENCE_S)
    assert order == [2, 1]


def test_participants_have_ids_of_their_own(worker: FaceWorker) -> None:
    for name in ("ann", "ben"):
        ((one,),) = watch(worker.open(name), [astronaut()])
        assert one.face.id == 0


def test_a_failing_picture_is_counted_logged_once_and_survived(
    worker: FaceWorker, caplog: pytest.LogCaptureFixture
) -> None:
    stream = worker.open("ann")
    broken = np.zeros((0, 0, 3), np.uint8)

    def fail(seen: list[SeenFace]) -> None:
        raise RuntimeError("the receiver broke")

    with caplog.at_level(logging.ERROR):
        for n in range(3):
            stream.submit(broken if n else astronaut(), n, fail)
            watch(worker.open("ben"), [astronaut()])  # after it in the queue
    assert worker.metrics.counters["face_errors"] == 3
    assert len([record for record in caplog.records if "ann" in record.getMessage()]) == 1
    assert len(watch(stream, [astronaut()])) == 1


def test_a_hung_picture_is_given_up(worker: FaceWorker, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Gate()
    stream = worker.open("ann")
    stream.submit(astronaut(), 0, gate)
    assert gate.reached.wait(PATIENCE_S)
    monkeypatch.setattr(worker_module, "HUNG_S", 0.0)
    stream.submit(astronaut(), 33, lambda seen: None)
    monkeypatch.undo()
    assert len(watch(worker.open("ben"), [astronaut()])) == 1
    assert worker.metrics.counters["face_errors"] == 1
    gate.opened.set()


def test_a_closed_stream_takes_nothing_more(worker: FaceWorker) -> None:
    stream = worker.open("ann")
    watch(stream, [astronaut()])
    stream.close()
    stream.close()
    late: list[int] = []
    stream.submit(astronaut(), 500, collect(late, 1, threading.Event()))
    watch(worker.open("ben"), [astronaut()])  # after it in the queue
    assert late == []
    assert len(worker.metrics.times["face_track_ms"]) == 2  # so it was not even looked at


def test_a_picture_in_work_when_its_stream_is_closed_gives_no_result(worker: FaceWorker) -> None:
    stream, gate = worker.open("ann"), Gate()
    late: list[int] = []

    def picture() -> Picture:
        gate([])
        return astronaut()

    stream.submit(picture, 0, collect(late, 1, threading.Event()))
    assert gate.reached.wait(PATIENCE_S)
    stream.close()
    gate.opened.set()
    watch(worker.open("ben"), [astronaut()])  # after it in the queue
    assert late == []


@pytest.mark.skipif(sys.platform != "linux", reason="a thread has a niceness of its own on Linux only")
def test_speech_comes_before_pictures(worker: FaceWorker) -> None:
    found, done = [], threading.Event()

    def take(seen: list[SeenFace]) -> None:
        found.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))
        done.set()

    worker.open("someone").submit(np.zeros((48, 64, 3), np.uint8), 0, take)
    assert done.wait(10)
    assert found == [min(os.getpriority(os.PRIO_PROCESS, 0) + NICENESS, 19)]


def test_leaving_the_worker_ends_its_thread() -> None:
    with FaceWorker(Metrics()) as worker:
        worker.open("ann")
        assert any(thread.name == "faces" for thread in threading.enumerate())
    assert not any(thread.name == "faces" and thread.is_alive() for thread in threading.enumerate())
