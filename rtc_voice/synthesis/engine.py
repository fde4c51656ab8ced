"""The engine: one thread that speaks for everybody, a chunk at a time."""

import threading
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Protocol, Self

import numpy as np
import torch
from numpy.typing import NDArray

from rtc_voice.errors import CapacityError, InputError
from rtc_voice.metrics import Metrics
from rtc_voice.synthesis.chain import Heard, VoiceChain
from rtc_voice.synthesis.graphs import GraphRows, rows_of
from rtc_voice.synthesis.mapping import TEXT_VOICE, Speaker
from rtc_voice.synthesis.rows import Rows
from rtc_voice.synthesis.sentence import count_chunks, hear_sentence
from rtc_voice.voices.types import Voice

Samples = NDArray[np.float32]

_MAX_LIVE_CHUNKS = 10  # of live speech that may wait; older is dropped and counted
_SILENCE = 3e-4  # root mean square of a chunk, 70 dB below full scale: a microphone that is muted
SILENT_CHUNKS = 25  # of it in a row (half a second), after which the chain has nothing more to say
_HUNGRY_ROOM = 6  # chunks of room: typed speech that has so little made ahead goes with live speech
_MAX_PASSED_OVER = 3  # ticks that typed speech with more waits for live speech at most
_LOOK_AGAIN_S = 0.004  # a sink that was full does not notify


class ChunkSink(Protocol):
    """Where finished chunks go, and how many it would take now. Thread-safe."""

    expecting: bool  # somebody is speaking: an empty sink is a late chunk
    live: bool  # it is live speech: what waits without need may be cut out

    def push(self, samples: Samples, mark: str | None = None) -> bool:
        """Take the next samples; ``mark`` is reported when their first is played."""

    def room(self) -> int:
        """Chunks that it would take now."""

    def clear(self) -> None:
        """Drop what waits."""


@dataclass(slots=True, eq=False)
class _Sentence:
    chunks: int  # that it has
    id: str
    voice: Voice | None  # None: the stream's own
    begin: str | None = None  # mark of the first sample
    end: str | None = None  # mark behind the last
    heard: deque[Heard] = field(default_factory=deque)  # chunks that wait to be said
    said: int = 0  # chunks


@dataclass(frozen=True, slots=True)
class _Change:
    """What changes in a row of the state before a chunk; None is as it was."""

    is_new: bool
    voice: Voice | None


class VoiceStream:
    """One live voice: what is given to ``speak`` or ``hear`` comes out of its sink in that voice.

    Typed speech goes first: live speech that arrives meanwhile is dropped. All methods may be called from any thread.
    """

    def __init__(self, engine: "Engine", row: int, voice: Voice, sink: ChunkSink, metrics: Metrics) -> None:
        self.row = row
        self.metrics = metrics
        self._engine = engine
        self._sink = sink
        self._voice = voice
        self._set: Voice | None = None  # the voice that the engine's row has
        self._sentences: deque[_Sentence] = deque()
        self._live: Samples = np.zeros(0, np.float32)
        self._unfinished: str | None = None  # the text whose sentences are still being made
        self._silent = 0  # chunks of live speech in a row, up to now, in which nothing was to be heard
        self._passed_over = 0  # ticks

    def set_voice(self, voice: Voice) -> None:
        """Speak in ``voice`` from the next chunk on."""
        with self._engine.changed:
            self._voice = voice

    def speak(self, samples: Samples, id: str, voice: Voice | None = None, speaker: Speaker = TEXT_VOICE) -> None:
        """Say a whole sentence of the text ``id`` after those that wait, in ``voice`` if not in the stream's own.

        ``speaker`` is whose speech ``samples`` are. The sink reports ``begin:ID`` when the text's first sentence is
        heard; see ``finish``. Not for the event loop: it is heard here, 20 ms for a second.
        """
        chain = self._engine.chain
        with self._engine.changed:
            is_first = all(s.id != id for s in self._sentences) and id != self._unfinished
            self._unfinished = id
            begin = f"begin:{id}" if is_first else None
            sentence = _Sentence(count_chunks(len(samples), chain), id, voice, begin)
            self._sentences.append(sentence)
            self._live = self._live[:0]
        for heard in hear_sentence(torch.from_numpy(samples), speaker, chain):
            with self._engine.changed:
                if sentence not in self._sentences:
                    return
                sentence.heard.append(heard)
                self._engine.changed.notify()

    def finish(self, id: str) -> None:
        """The text ``id`` has no more sentences: the sink reports ``end:ID`` behind its last."""
        with self._engine.changed:
            self._unfinished = None
            if self._sentences and self._sentences[-1].id == id:
                self._sentences[-1].end = f"end:{id}"
            else:
                self._sink.push(np.zeros(0, np.float32), f"end:{id}")

    def hear(self, samples: Samples) -> None:
        """Convert the next samples of live speech, any number of them."""
        chunk = self._engine.chunk_samples
        with self._engine.changed:
            if self._sentences:
                return
            self._live = np.concatenate([self._live, samples])
            excess = len(self._live) - _MAX_LIVE_CHUNKS * chunk
            if excess > 0:
                self._live = self._live[excess:]
                self.metrics.count("dropped_live_chunks", -(-excess // chunk))
            self._engine.changed.notify()

    def stop_hearing(self) -> None:
        """Live speech ends here; what of it waits is dropped."""
        with self._engine.changed:
            self._live = self._live[:0]
            self._sink.expecting = any(s.said for s in self._sentences)
            self._sink.live = False

    def cancel(self, id: str | None = None) -> None:
        """Stop the text ``id`` at once, or everything that is typed; other texts go on."""
        with self._engine.changed:
            is_heard = bool(self._sentences) and self._sentences[0].said > 0 and id in (None, self._sentences[0].id)
            self._sentences = deque(s for s in self._sentences if id is not None and s.id != id)
            if id in (None, self._unfinished):
                self._unfinished = None
            if is_heard:
                self._sink.expecting = False
                self._sink.clear()

    def close(self) -> None:
        """Leave the engine and free the place. May be called twice."""
        self._engine.leave(self)

    @property
    def is_speaking(self) -> bool:
        """Whether sentences wait or are being said."""
        return bool(self._sentences)

    def waits(self) -> bool:
        """Whether there is something to say. The engine's lock must be held."""
        return bool(self._sentences) or len(self._live) >= self._engine.chunk_samples

    def is_ready(self) -> bool:
        """Whether a chunk can be made now. The engine's lock must be held."""
        is_heard = not self._sentences or bool(self._sentences[0].heard)
        return is_heard and self.waits() and self._sink.room() > 0

    def goes_first(self) -> bool:
        """Whether, being ready, it takes part in a tick with live speech; asked once a tick. The lock must be held.

        Live speech is heard as it is made; typed speech is made ahead, and may wait while it has chunks in reserve.
        """
        is_first = not self._sentences or self._sink.room() >= _HUNGRY_ROOM or self._passed_over >= _MAX_PASSED_OVER
        self._passed_over = 0 if is_first else self._passed_over + 1
        return is_first

    @property
    def is_silent(self) -> bool:
        """Whether live speech has been silent for so long that its chunks are, too, without the chain's doing."""
        return self._silent > SILENT_CHUNKS

    def take_change(self) -> "_Change":
        """What to set in the row before the next chunk. The lock must be held."""
        voice = (self._sentences[0].voice if self._sentences else None) or self._voice
        change = _Change(is_new=self._set is None, voice=None if self._set is voice else voice)
        self._set = voice
        return change

    def take_chunk(self) -> tuple[Samples | Heard, _Sentence | None]:
        """The next chunk of live speech, or of a sentence with the sentence. The lock must be held."""
        if self._sentences:
            self._silent = 0
            return self._sentences[0].heard.popleft(), self._sentences[0]
        size = self._engine.chunk_samples
        chunk, self._live = self._live[:size], self._live[size:]
        self._silent = self._silent + 1 if float(np.dot(chunk, chunk)) < _SILENCE**2 * size else 0
        return chunk, None

    def give(self, samples: Samples, sentence: _Sentence | None) -> None:
        """Hand a finished chunk to the sink unless it was cancelled meanwhile. The lock must be held."""
        if sentence is None:
            if not self._sentences:
                self._sink.push(samples)
                self._sink.expecting = self._sink.live = True
            return
        if not self._sentences or self._sentences[0] is not sentence:
            return
        self._sink.live = False
        self._sink.push(samples, sentence.begin)
        sentence.begin = None
        sentence.said += 1
        self._sink.expecting = True
        if sentence.said == sentence.chunks:
            self._sentences.popleft()
            self._sink.expecting = bool(self._sentences)
            if sentence.end is not None:
                self._sink.push(samples[:0], sentence.end)


class Engine:
    """Speaks for up to ``slots`` voices in one thread; use as a context manager.

    Each tick makes one chunk for every stream that has something to say and room for it, in one batch, but for typed
    speech that can wait for live speech. Streams with nothing to say cost nothing, and those whose microphone is muted
    next to nothing. Entering loads and warms up, so the first chunk is as fast as any; on a GPU with ``fuse`` (see
    ``GraphRows``) for a minute.
    """

    def __init__(self, chain: VoiceChain, *, slots: int = 8, fuse: bool = False) -> None:
        if fuse and chain.device.type == "cpu":
            raise InputError("fuse is for a GPU", "leave it out, or take the device cuda")
        self.chain = chain.eval()
        self.slots = slots
        self._fuse = fuse
        self.sample_rate = chain.config.sample_rate
        self.chunk_samples = chain.config.chunk_samples
        self.metrics = Metrics()
        self.changed = threading.Condition()
        self._streams: dict[int, VoiceStream] = {}
        self._stopping = False
        self._is_warm = threading.Event()
        self._thread = threading.Thread(target=self._run, name="synthesis", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._is_warm.wait()
        return self

    def __exit__(self, *_: object) -> None:
        with self.changed:
            self._stopping = True
            self.changed.notify()
        self._thread.join()

    def open(self, voice: Voice, sink: ChunkSink, metrics: Metrics | None = None) -> VoiceStream:
        """A place for one more voice.

        Raises:
            CapacityError: all places are taken.
        """
        with self.changed:
            free = sorted(set(range(self.slots)) - set(self._streams))
            if not free:
                raise CapacityError(f"all {self.slots} voices are in use", "try again when someone has left")
            stream = VoiceStream(self, free[0], voice, sink, metrics or Metrics())
            self._streams[free[0]] = stream
            return stream

    def leave(self, stream: VoiceStream) -> None:
        """Free the place of ``stream``."""
        with self.changed:
            if self._streams.get(stream.row) is stream:
                del self._streams[stream.row]

    @property
    def voices(self) -> int:
        """Places taken."""
        return len(self._streams)

    @torch.inference_mode()
    def _run(self) -> None:
        rows = rows_of(self.chain, self.slots, fuse=self._fuse)
        rows.warm_up()
        for _ in hear_sentence(torch.zeros(self.sample_rate), TEXT_VOICE, self.chain):
            pass
        self._is_warm.set()
        while True:
            with self.changed:
                ready = self._wait()
                if not ready:
                    return
                changes = [(s.row, s.take_change()) for s in ready]
                taken = [(s, *s.take_chunk()) for s in ready]
                for stream in ready:
                    if stream.is_silent:
                        stream.give(np.zeros(self.chunk_samples, np.float32), None)
                work = [one for one in taken if not one[0].is_silent]
            for row, change in changes:
                _apply(rows, row, change)
            if work:
                self._tick(work, rows)

    def _wait(self) -> list[VoiceStream]:
        """The streams of the next tick, when there are any; none when the engine shall stop. The lock must be held."""
        while not self._stopping:
            ready = [s for s in self._streams.values() if s.is_ready()]
            if ready:
                return [s for s in ready if s.goes_first()] or ready
            self.changed.wait(timeout=_LOOK_AGAIN_S if any(s.waits() for s in self._streams.values()) else None)
        return []

    def _tick(self, work: list[tuple[VoiceStream, Samples | Heard, _Sentence | None]], rows: Rows | GraphRows) -> None:
        live = [(stream, chunk, None) for stream, chunk, _ in work if not isinstance(chunk, Heard)]
        typed = [(stream, heard, sentence) for stream, heard, sentence in work if isinstance(heard, Heard)]
        started = time.perf_counter()
        made: list[Samples] = []
        if live:
            made += [*rows.step([stream.row for stream, _, _ in live], np.stack([chunk for _, chunk, _ in live]))]
        if typed:
            made += [*rows.say([stream.row for stream, _, _ in typed], [heard for _, heard, _ in typed])]
        took_ms = 1000 * (time.perf_counter() - started)
        self.metrics.record("tick_ms", took_ms)
        self.metrics.count("ticks")
        self.metrics.count("work_us", int(1000 * took_ms))
        with self.changed:
            for (stream, _, sentence), samples in zip([*live, *typed], made, strict=True):
                if self._streams.get(stream.row) is stream:
                    stream.metrics.record("chunk_ms", took_ms)
                    stream.give(samples, sentence)


def _apply(rows: Rows | GraphRows, row: int, change: _Change) -> None:
    if change.is_new:
        rows.reset(row)
    if change.voice is not None:
        rows.set_voice(row, change.voice)
