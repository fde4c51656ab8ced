"""A face's voice in a few lines: text or a track in, frames or a track out.

All voices of a process share one engine, which starts with the first and ends with the last. It is fastest with
``torch.set_num_threads(1)``.
"""

import asyncio
import itertools
import threading
from collections.abc import AsyncGenerator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import av
import numpy as np
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack

from rtc_voice import offline
from rtc_voice.config import AUDIO
from rtc_voice.faces.picture import read_picture
from rtc_voice.faces.types import Picture
from rtc_voice.metrics import Metrics
from rtc_voice.rtc.playout import ChunkQueue, Samples
from rtc_voice.rtc.tracks import SpeechTrack, audio_frame
from rtc_voice.speech.audio_file import read_audio
from rtc_voice.speech.engines import DEFAULT, TextEngines
from rtc_voice.synthesis.chain import load_chain
from rtc_voice.synthesis.engine import Engine, VoiceStream
from rtc_voice.synthesis.mapping import known_speaker
from rtc_voice.timing import MonotonicClock
from rtc_voice.voices.predictor import PredictorName
from rtc_voice.voices.recording import voice_of_recording
from rtc_voice.voices.types import Voice as Properties

MAX_STREAMS = 8  # texts and tracks of one process that sound at the same time
_AHEAD_CHUNKS = 10  # made before they are asked for


class Voice:
    """One voice; use it as an async context manager, which loads what it needs.

    Made by ``from_photo`` or ``from_recording``. A file that cannot be used raises on entering.

    Args:
        find: what finds the voice.
        text_engines: ``NAME`` or ``NAME:MODEL`` of those who speak texts, in the order in which they are asked, as
            ``--text-engine`` takes them; one that cannot be had raises on entering.
    """

    def __init__(self, find: Callable[[], Properties], text_engines: Sequence[str] = DEFAULT) -> None:
        self._find = find
        self._text_engines = tuple(text_engines)
        self._properties: Properties | None = None
        self._shared: _Shared | None = None

    @classmethod
    def from_photo(
        cls,
        photo: str | Path | Picture,
        predictor: PredictorName = "learned",
        *,
        text_engines: Sequence[str] = DEFAULT,
    ) -> Self:
        """The voice of the largest face in a picture: a file, or RGB ``[H, W, 3]``.

        Raises (on entering):
            PictureError: the file is no picture.
            NoFaceError: nobody can be seen well enough.
            InputError: there is no such text engine.
        """

        def find() -> Properties:
            picture = photo if isinstance(photo, np.ndarray) else read_picture(photo)
            return offline.voice_of(picture, predictor)

        return cls(find, text_engines)

    @classmethod
    def from_recording(cls, path: str | Path, *, text_engines: Sequence[str] = DEFAULT) -> Self:
        """The voice of whoever speaks in a recording, 3 s or more.

        Raises (on entering):
            AudioError: no recording, or hardly any speech in it.
            InputError: there is no such text engine.
        """
        return cls(lambda: voice_of_recording(read_audio(path, AUDIO.sample_rate), AUDIO.sample_rate), text_engines)

    async def __aenter__(self) -> Self:
        self._properties = await asyncio.to_thread(self._find)
        self._shared = await asyncio.to_thread(_Shared.take, self._text_engines)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.to_thread(_Shared.give_back)
        self._shared = None

    @property
    def properties(self) -> Properties:
        """Its embedding, pitch and vocal tract."""
        assert self._properties is not None, "enter the voice first"
        return self._properties

    @property
    def languages(self) -> list[str]:
        """What its text engines speak, ISO 639-1."""
        return self._parts.text_of(self._text_engines).languages

    async def say(self, text: str, language: str | None = None) -> AsyncGenerator[av.AudioFrame, None]:
        """``text`` in this voice: frames of s16 mono, 24 kHz, up to 20 ms each, as soon as they are made.

        Leaving the loop stops the speech.

        Args:
            text: what is to be said.
            language: ISO 639-1; None goes by the text's letters.

        Raises:
            TextError: nothing in ``text`` can be spoken, or no engine speaks its language.
            CapacityError: ``MAX_STREAMS`` are in use.
        """
        outlet = Outlet()
        stream = self.open_stream(outlet)
        place, is_wanted = 0, True
        try:
            speaking = self.speak(stream, text, "text", lambda: is_wanted, language=language)
            while (samples := await outlet.next()) is not None:
                yield audio_frame(samples, place, AUDIO.sample_rate)
                place += samples.size
            await speaking
        finally:
            is_wanted = False
            stream.close()

    def convert(self, track: MediaStreamTrack) -> "VoiceTrack":
        """What is said on ``track`` in this voice, live; the new track ends when ``track`` does.

        Raises:
            CapacityError: ``MAX_STREAMS`` are in use.
        """
        converted = VoiceTrack(self)
        converted.listen_to(track)
        return converted

    # For the tracks of this module, and for adapters

    def open_stream(self, sink: "ChunkQueue | Outlet", metrics: Metrics | None = None) -> VoiceStream:
        """A place in the engine."""
        return self._parts.engine.open(self.properties, sink, metrics)

    def speak(
        self, stream: VoiceStream, text: str, id: str, is_wanted: Callable[[], bool], *, language: str | None = None
    ) -> "asyncio.Future[None]":
        """Begin to say ``text`` on a stream while ``is_wanted``; done when the engine has all of it."""
        shared = self._parts
        engines = shared.text_of(self._text_engines)

        def work() -> None:
            try:
                engine, spoken = engines.choose(text, language)
                for sentence in engine.sentences(text, spoken):
                    stream.speak(sentence, id, speaker=known_speaker(engine.f0))
                    if not is_wanted():  # looked at behind, lest a sentence slip past whoever cancels meanwhile
                        stream.cancel(id)
                        return
            finally:
                stream.finish(id)

        return asyncio.get_running_loop().run_in_executor(shared.pool, work)

    @property
    def _parts(self) -> "_Shared":
        assert self._shared is not None, "enter the voice first"
        return self._shared


class VoiceTrack(MediaStreamTrack):
    """A track for ``RTCPeerConnection.addTrack`` of aiortc that speaks in a voice; silent when there is nothing to say.

    Frames of s16 mono, 24 kHz, 20 ms, each at its time.

    Raises:
        CapacityError: ``MAX_STREAMS`` are in use.
    """

    kind = "audio"

    def __init__(self, voice: Voice) -> None:
        super().__init__()
        self.metrics = Metrics()
        clock = MonotonicClock()
        self._voice = voice
        self._queue = ChunkQueue(AUDIO.sample_rate, _AHEAD_CHUNKS, self.metrics, clock)
        self._queue.on_mark = self._on_mark
        self._stream = voice.open_stream(self._queue, self.metrics)
        self._speech = SpeechTrack(self._queue, clock, self.metrics)
        self._ids = itertools.count()
        self._unsaid: set[str] = set()
        self._all_said = asyncio.Event()
        self._all_said.set()
        self._listening: asyncio.Task[None] | None = None

    async def recv(self) -> av.AudioFrame:
        """The next frame, at its time."""
        if self.readyState != "live":
            raise MediaStreamError
        return await self._speech.recv()

    async def say(self, text: str, language: str | None = None) -> None:
        """Say ``text`` after what waits; returns when it is on its way, which is before it is heard.

        Args:
            text: what is to be said.
            language: ISO 639-1; None goes by the text's letters.

        Raises:
            TextError: nothing in ``text`` can be spoken, or no engine speaks its language.
        """
        id = str(next(self._ids))
        self._unsaid.add(id)
        self._all_said.clear()
        try:
            await self._voice.speak(self._stream, text, id, lambda: id in self._unsaid, language=language)
        except BaseException:
            self._over(id)
            raise

    def clear_queue(self) -> None:
        """Stop at once, and drop all that waits."""
        self._unsaid.clear()
        self._stream.cancel()
        self._queue.clear()
        self._all_said.set()

    async def wait_for_playout(self) -> None:
        """Return when all texts have been played or dropped. Somebody must be receiving the track."""
        await self._all_said.wait()

    def listen_to(self, track: MediaStreamTrack) -> None:
        """Convert what is said on ``track`` until it ends, and end with it."""
        self._listening = asyncio.get_running_loop().create_task(self._listen(track))

    def stop(self) -> None:
        """End the track and free its place in the engine."""
        super().stop()
        if self._listening is not None:
            self._listening.cancel()
        self.clear_queue()
        self._stream.close()

    async def _listen(self, track: MediaStreamTrack) -> None:
        resampler = av.AudioResampler(format="flt", layout="mono", rate=AUDIO.sample_rate)
        try:
            while True:
                frame = await track.recv()
                assert isinstance(frame, av.AudioFrame)
                for part in resampler.resample(frame):
                    self._stream.hear(part.to_ndarray()[0].astype(np.float32, copy=False))
        except MediaStreamError:
            self.stop()

    def _on_mark(self, mark: str, time_s: float) -> None:
        event, _, id = mark.partition(":")
        if event == "end":
            self._over(id)

    def _over(self, id: str) -> None:
        self._unsaid.discard(id)
        if not self._unsaid:
            self._all_said.set()


class Outlet:
    """Takes an engine's chunks of one text for a coroutine, no more of them than asked for and a few."""

    def __init__(self) -> None:
        self.expecting = self.live = False
        self._loop = asyncio.get_running_loop()
        self._chunks: asyncio.Queue[Samples | None] = asyncio.Queue()

    def push(self, samples: Samples, mark: str | None = None) -> bool:
        """Take the next samples, or the mark of the end."""
        if samples.size:
            self._put(samples)
        if mark is not None and mark.startswith("end:"):
            self._put(None)
        return True

    def room(self) -> int:
        """Chunks that it would take now; those on their way to the event loop are not counted yet."""
        return _AHEAD_CHUNKS - self._chunks.qsize()

    def clear(self) -> None:
        """Nothing is cancelled here: whoever wants no more closes the stream."""

    async def next(self) -> Samples | None:
        """The next chunk; None at the end of the text."""
        return await self._chunks.get()

    def _put(self, samples: Samples | None) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._chunks.put_nowait, samples)


class _Shared:
    """What all voices of a process speak with."""

    _lock = threading.Lock()
    _users = 0
    _current: "_Shared | None" = None

    def __init__(self) -> None:
        self._texts: dict[tuple[str, ...], TextEngines] = {}
        with ExitStack() as stack:
            self.pool = stack.enter_context(ThreadPoolExecutor(1, "text"))
            self.engine = stack.enter_context(Engine(load_chain(), slots=MAX_STREAMS))
            self._stack = stack.pop_all()

    def text_of(self, names: tuple[str, ...]) -> TextEngines:
        """The text engines of these names, which all voices that name the same ones share."""
        if names not in self._texts:
            self._texts[names] = TextEngines(names)
        return self._texts[names]

    @classmethod
    def take(cls, text_engines: tuple[str, ...]) -> "_Shared":
        """For one more user, with their text engines loaded.

        Raises:
            InputError: there is no such text engine.
        """
        with cls._lock:
            cls._users += 1
            try:
                cls._current = cls._current or cls()
                cls._current.text_of(text_engines)
                return cls._current
            except BaseException:
                cls._leave()
                raise

    @classmethod
    def give_back(cls) -> None:
        """One user less; the last ends it."""
        with cls._lock:
            cls._leave()

    @classmethod
    def _leave(cls) -> None:
        cls._users -= 1
        if cls._users == 0 and cls._current is not None:
            cls._current._stack.close()
            cls._current = None
