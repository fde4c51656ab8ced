"""One participant in one call: what they show, say and type becomes speech in their face's voice."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Protocol

import av
import numpy as np

from rtc_voice.errors import CapacityError, ConsentError, ProtocolError, RtcVoiceError
from rtc_voice.faces.types import Face, Picture, SeenFace
from rtc_voice.faces.worker import FaceStream, FaceWorker
from rtc_voice.load import Load
from rtc_voice.metrics import Metrics
from rtc_voice.rtc import protocol
from rtc_voice.rtc.playout import ChunkQueue, Samples
from rtc_voice.speech.engines import TextEngines
from rtc_voice.synthesis.engine import Engine, VoiceStream
from rtc_voice.synthesis.mapping import known_speaker
from rtc_voice.timing import Clock
from rtc_voice.voices import knobs
from rtc_voice.voices.average import VoiceEstimate
from rtc_voice.voices.cache import VoiceCache
from rtc_voice.voices.predictor import Predictor
from rtc_voice.voices.recording import voice_of_recording
from rtc_voice.voices.types import Knobs, Voice

logger = logging.getLogger(__name__)

DISCLOSURE = "This voice is synthetic. It was made from a face by rtc_voice and is nobody's recording."
RECORDED_DISCLOSURE = (
    "This voice is synthetic. rtc_voice made it after a recording that the participant gave as theirs."
)
MAX_WAITING_TEXTS = 20
_AHEAD_CHUNKS = 10  # of typed speech made before they are heard: 200 ms that nobody waits for
_STATE_INTERVAL_S = 0.1
_METRICS_INTERVAL_S = 1.0
_PATIENCE_S = 5.0  # that a text waits for a voice before the participant is told why
_FORGET_FACE_S = 1.5  # a face not seen for so long is no longer shown
_SAME_PERSON = 0.8  # cosine between a remembered voice and the one that today's face would get
_NO_FACE = -1  # the id of a participant who has a recorded voice and has shown no face; the tracker counts from 0


@dataclass(slots=True)
class Parts:
    """What all calls of one bot share."""

    engine: Engine
    faces: FaceWorker
    predictor: Predictor
    cache: VoiceCache
    text: TextEngines
    text_pool: ThreadPoolExecutor  # one thread: text to speech and the cache's file are kept off the event loop
    recording_pool: ThreadPoolExecutor  # one thread: a recording takes seconds, and no sentence is to wait for it
    clock: Clock
    load: Load = field(default_factory=Load)


class Line(Protocol):
    """How a call reaches its participant: takes messages, and carries what the call queues as speech."""

    def send(self, text: str) -> bool:
        """Send a message of the data channel's protocol; False if it was dropped."""

    async def close(self) -> None:
        """End it; calling it again does nothing more."""


@dataclass(slots=True, eq=False)
class _Person:
    """One face of the participant's picture."""

    estimate: VoiceEstimate
    knobs: Knobs = field(default_factory=Knobs)
    remembered: Voice | None = None  # from an earlier call; stands in for the estimate's voice
    recorded: Voice | None = None  # from a recording of their own; goes before all others
    stored: bool = False
    seen: Face | None = None
    seen_s: float = 0.0

    @property
    def voice(self) -> Voice | None:
        """What this face speaks with now; None until it has been seen well once, or heard in a recording."""
        kept = self.remembered if self.remembered and not self.knobs.redraw else self.estimate.voice
        made = self.recorded or kept
        return None if made is None else knobs.apply(made, self.knobs)


@dataclass(slots=True, eq=False)
class _Text:
    message: protocol.Say
    received_s: float
    started: bool = False
    cancelled: bool = False


class Call:
    """Wires one participant's line to the shared parts; handles every message of the data channel.

    All methods run on the event loop. No picture is looked at before consent, and taking consent back forgets the face.
    """

    def __init__(
        self,
        call_id: str,
        parts: Parts,
        *,
        connect: Callable[["Call"], Line],
        on_gone: Callable[["Call"], None] = lambda _: None,
    ) -> None:
        self.id = call_id
        self.metrics = Metrics()
        self.name: str | None = None  # without one nothing is remembered: nobody could ask to have it forgotten
        self._parts = parts
        self._on_gone = on_gone
        self.queue = ChunkQueue(
            parts.engine.sample_rate, max_chunks=_AHEAD_CHUNKS, metrics=self.metrics, clock=parts.clock
        )
        self.queue.on_mark = self._on_mark
        self._line = connect(self)
        self._mode: protocol.Mode = "text"
        self._face_stream: FaceStream | None = None
        self._people: dict[int, _Person] = {}
        self._own: int | None = None  # the face whose voice the participant speaks with
        self._stream: VoiceStream | None = None
        self._picture_size = (1, 1)
        self._looked_s: float | None = None  # when the last picture was looked at
        self._picture_s: float | None = None  # when the first picture after consent came
        self._texts: dict[str, _Text] = {}
        self._to_say: asyncio.Queue[_Text] = asyncio.Queue()
        self._voice_ready = asyncio.Event()
        self._is_told_full = False
        self._state_due = asyncio.Event()
        self._is_draining = False
        self._drained = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()
        for work in (self._say_in_turn(), self._send_states(), self._send_metrics()):
            self._start(work)

    async def drain(self) -> None:
        """Return when what is being heard has been said; what waits is cancelled, and nothing new is taken."""
        self._is_draining = True
        for id in [id for id, text in self._texts.items() if not text.started]:
            self._cancel(id)
        self._end_if_drained()
        await self._drained.wait()

    def _end_if_drained(self) -> None:
        if self._is_draining and not self._texts:
            self._drained.set()

    async def close(self) -> None:
        """Hang up and free everything; calling it again does nothing more."""
        tasks = self._tasks - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._stop_looking()
        if self._stream is not None:
            self._stream.close()
        await self._line.close()

    def _start(self, work: Coroutine[object, object, None]) -> None:
        task = self._loop.create_task(work, name=f"call {self.id}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # What the peer reports

    def on_connected(self) -> None:
        """Tell the participant what the others should know, what they may type in, and where things stand."""
        self._disclose()
        self._send(protocol.Languages(self._parts.text.languages))
        self._state_due.set()

    def on_gone(self) -> None:
        """The participant is gone without a word."""
        self._on_gone(self)

    def on_samples(self, samples: Samples) -> None:
        """The participant speaks: convert it live, if they want that and have a voice."""
        if self._mode == "convert" and self._stream is not None:
            self._stream.hear(samples)

    def on_pause(self) -> None:
        """The participant's microphone is off: nothing is late now."""
        if self._mode == "convert" and self._stream is not None:
            self._stream.stop_hearing()

    def on_picture(self, frame: av.VideoFrame, time_ms: float) -> None:
        """The participant's newest picture: looked at only with consent."""
        if self._face_stream is None:
            return
        now = self._parts.clock.now()
        own = self._own_person
        interval_s = self._parts.load.picture_interval_s(has_voice=own is not None and own.estimate.frozen)
        if self._looked_s is not None and now - self._looked_s < interval_s:
            self.metrics.count("skipped_pictures")
            return
        self._looked_s = now
        if self._picture_s is None:
            self._picture_s = now
        self._picture_size = (frame.width, frame.height)
        # Turned into RGB on the worker's thread: it costs milliseconds.
        self._face_stream.submit(lambda: _rgb(frame), time_ms, self._on_faces_seen)

    def on_video_ended(self) -> None:
        """The camera is off: what was learned stays, but without a face there is no voice to wait for."""
        if self._face_stream is not None and self._own is None:
            hint = "turn the camera on and call again"
            self._send(protocol.ErrorMessage("video-ended", "the video ended before a face was seen", hint))

    def on_message(self, text: str | bytes) -> None:
        """Do what a message asks for, or say why not."""
        text_id: str | None = None
        try:
            message = protocol.parse(text)
            text_id = message.id if isinstance(message, protocol.Say) else None
            self._obey(message)
        except RtcVoiceError as error:
            self.metrics.count("errors_sent")
            self._send(protocol.ErrorMessage.of(error, text_id))

    def _obey(self, message: protocol.Inbound) -> None:
        match message:
            case protocol.Hello(name):
                self.name = name
            case protocol.Consent(granted):
                self._consent(granted)
            case protocol.Say():
                self._say(message)
            case protocol.Cancel(id):
                self._cancel(id)
            case protocol.SetMode(mode):
                self._set_mode(mode)
            case protocol.SetVoice():
                self._turn_knobs(message)
            case protocol.Forget():
                self._forget()
        self._state_due.set()

    def _send(self, message: protocol.Outbound) -> None:
        self._line.send(protocol.dump(message))

    # Consent and faces

    def _consent(self, granted: bool) -> None:
        if not granted:
            self._stop_looking()
        elif self._face_stream is None:
            self._face_stream = self._parts.faces.open(self.id)
            self._disclose()  # a recording that was used before is so no more

    def _stop_looking(self) -> None:
        """Stop looking at pictures and drop what they told; speech in the old voice ends too."""
        if self._face_stream is not None:
            self._face_stream.close()
            self._face_stream = None
        self._lose_voice()
        self._people.clear()
        self._own = self._picture_s = None

    def _lose_voice(self) -> None:
        self._cancel(None)
        if self._stream is not None:
            self._stream.stop_hearing()
            self._stream.close()
            self._stream = None
        self._voice_ready.clear()

    def _forget(self) -> None:
        self._stop_looking()
        if self.name is not None:
            self._parts.text_pool.submit(self._parts.cache.forget, self.name)

    def _on_faces_seen(self, seen: list[SeenFace]) -> None:
        """Called on the face worker's thread."""
        stream = self._face_stream
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._on_faces, seen, stream)

    def _on_faces(self, seen: list[SeenFace], stream: FaceStream | None) -> None:
        if stream is None or stream is not self._face_stream:
            return  # consent was taken back while the picture was looked at
        now = self._parts.clock.now()
        for one in seen:
            person = self._people.setdefault(one.face.id, _Person(VoiceEstimate(self._parts.predictor)))
            person.seen, person.seen_s = one.face, now
            if one.embedding is not None and not person.estimate.frozen:
                before = person.voice
                person.estimate.add(one.embedding, one.face.quality.score)
                if before is None and person.voice is not None:
                    self._keep_apart(person)
                    self._remember(one.face.id, person)
        self._choose_own()
        self._state_due.set()

    def _keep_apart(self, person: _Person) -> None:
        """Draw again for a new face until no other of this call has its voice."""
        voices = (other.voice for other in self._people.values() if other is not person)
        person.estimate.keep_apart([voice for voice in voices if voice is not None])

    def _remember(self, face_id: int, person: _Person) -> None:
        """Give someone who was here before the very voice they had, if it still fits their face."""
        made, name, cache = person.estimate.voice, self.name, self._parts.cache
        assert made is not None
        if name is None:
            return

        def look_up() -> None:
            kept = cache.get(name, face_id)
            if kept is not None and float(kept.embedding @ made.embedding) > _SAME_PERSON:
                self._loop.call_soon_threadsafe(self._restore, person, kept)

        self._parts.text_pool.submit(look_up)

    def _restore(self, person: _Person, kept: Voice) -> None:
        person.remembered = kept
        self._apply_voice()

    @property
    def _own_person(self) -> _Person | None:
        """Whose voice the participant speaks with."""
        return self._people.get(self._own) if self._own is not None else None

    def _choose_own(self) -> None:
        """The first face with a voice, the largest if there are several, speaks for the participant."""
        if self._own in (None, _NO_FACE):
            ready = [(id, p.seen) for id, p in self._people.items() if p.voice is not None and p.seen is not None]
            if not ready:
                return
            self._own = max(ready, key=lambda entry: _area(entry[1]))[0]
            faceless = self._people.pop(_NO_FACE, None)
            if faceless is not None:
                self._people[self._own].recorded, self._people[self._own].knobs = faceless.recorded, faceless.knobs
            if self._picture_s is not None:
                self.metrics.record("time_to_voice_ms", 1000 * (self._parts.clock.now() - self._picture_s))
        self._apply_voice()

    def _apply_voice(self) -> None:
        """Let the stream speak in the participant's voice as it is now; the first time, take a place in the engine."""
        if self._own is None:
            return
        person = self._people[self._own]
        voice = person.voice
        if voice is None:
            return
        try:
            if self._stream is None:
                self._stream = self._parts.engine.open(voice, self.queue, self.metrics)
            self._stream.set_voice(voice)
        except CapacityError as error:
            if not self._is_told_full:  # it is tried again at every picture
                self._send(protocol.ErrorMessage.of(error))
            self._is_told_full = True
            return
        self._is_told_full = False
        self._voice_ready.set()
        made = person.estimate.voice
        if self.name and made and person.estimate.frozen and not (person.remembered or person.stored):
            person.stored = True
            self._parts.text_pool.submit(self._parts.cache.put, self.name, self._own, made)

    def _disclose(self) -> None:
        own = self._own_person
        self._send(protocol.Disclosure(RECORDED_DISCLOSURE if own is not None and own.recorded else DISCLOSURE))

    # A recording instead of the face

    async def use_recording(self, samples: Samples, sample_rate: int) -> None:
        """Speak in the voice of a recording of the participant's own, for as long as this call and consent last.

        Args:
            samples: mono, peak 1, ``[T]``.
            sample_rate: Hz.

        Raises:
            ConsentError: there is no consent, or it is taken back while the recording is measured.
            AudioError: there is hardly any speech in it.
        """
        consented = self._face_stream
        if consented is None:
            raise ConsentError("no recording may be used yet", "send consent first")
        voice = await self._loop.run_in_executor(self._parts.recording_pool, voice_of_recording, samples, sample_rate)
        if self._face_stream is not consented:
            raise ConsentError("consent was taken back", "agree again, then send the recording again")
        if self._own is None:
            self._own = _NO_FACE
            self._people[_NO_FACE] = _Person(VoiceEstimate(self._parts.predictor))
        self._people[self._own].recorded = voice
        self._disclose()
        self._apply_voice()
        self._state_due.set()

    def drop_recording(self) -> None:
        """Speak in the voice of the face again; where none was seen there is no voice then."""
        person = self._own_person
        if person is None or person.recorded is None:
            return
        person.recorded = None
        self._disclose()
        if person.voice is None:
            self._lose_voice()
            self._people.pop(_NO_FACE, None)
            self._own = None
        self._apply_voice()
        self._state_due.set()

    # Speech

    def _say(self, message: protocol.Say) -> None:
        if self._face_stream is None:
            raise ConsentError("no face may be used yet", "send consent first")
        if self._is_draining:
            raise CapacityError("the bot is leaving", "call again later")
        if self._mode == "off":
            raise RtcVoiceError("the voice is switched off", "set the mode to text or convert")
        if message.id in self._texts:
            raise ProtocolError(f"the id {message.id[:40]!r} is being said", "use a new id for each text")
        if len(self._texts) >= MAX_WAITING_TEXTS:
            raise CapacityError(f"{MAX_WAITING_TEXTS} texts are waiting", "wait until some have been said, or cancel")
        if message.face is not None and message.face not in self._people:
            raise RtcVoiceError(f"no face {message.face} is in the picture", "leave face out, or send a face of state")
        text = _Text(message, self._parts.clock.now())
        self._texts[message.id] = text
        self._to_say.put_nowait(text)

    async def _say_in_turn(self) -> None:
        while True:
            text = await self._to_say.get()
            await self._wait_for_voice(text)
            if text.cancelled:
                continue
            try:
                await self._loop.run_in_executor(self._parts.text_pool, self._speak, text)
            except RtcVoiceError as error:
                self._texts.pop(text.message.id, None)
                self._send(protocol.ErrorMessage.of(error, text.message.id))
                self._end_if_drained()

    async def _wait_for_voice(self, text: _Text) -> None:
        try:
            async with asyncio.timeout(_PATIENCE_S):
                await self._voice_ready.wait()
        except TimeoutError:
            if not (text.cancelled or self._is_told_full):
                hint = "turn the camera on and face it; the text is said then"
                self._send(protocol.ErrorMessage("no-voice", "no face has been seen well yet", hint))
            await self._voice_ready.wait()

    def _speak(self, text: _Text) -> None:
        """Runs in the text thread."""
        stream = self._stream
        other = self._people.get(text.message.face) if text.message.face is not None else None
        engine, language = self._parts.text.choose(text.message.text, text.message.language)
        speaker = known_speaker(engine.f0)
        for samples in engine.sentences(text.message.text, language):
            if stream is None or text.cancelled:
                return
            stream.speak(samples, text.message.id, other.voice if other else None, speaker)
        if stream is not None and not text.cancelled:
            stream.finish(text.message.id)

    def _on_mark(self, mark: str, time_s: float) -> None:
        """A text begins or has ended in the outgoing track."""
        event, _, id = mark.partition(":")
        text = self._texts.get(id)
        if text is None:
            return
        if event == "begin":
            text.started = True
            first_audio_ms = 1000 * (time_s - text.received_s)
            self.metrics.record("text_first_audio_ms", first_audio_ms)
            self._send(protocol.SpeechEvent(id, "started", round(first_audio_ms, 1)))
        else:
            del self._texts[id]
            self._send(protocol.SpeechEvent(id, "ended"))
            self._end_if_drained()

    def _cancel(self, id: str | None) -> None:
        for key in [key for key in self._texts if id in (None, key)]:
            self._texts.pop(key).cancelled = True
            self._send(protocol.SpeechEvent(key, "cancelled"))
        self._end_if_drained()
        if self._stream is not None:
            self._stream.cancel(id)

    def _set_mode(self, mode: protocol.Mode) -> None:
        if mode == "convert" and self._face_stream is None:
            raise ConsentError("no face may be used yet", "send consent first")
        self._mode = mode
        if mode == "off":
            self._cancel(None)
        if mode != "convert" and self._stream is not None:
            self._stream.stop_hearing()

    def _turn_knobs(self, message: protocol.SetVoice) -> None:
        face = self._own if message.face is None else message.face
        person = self._people.get(face) if face is not None else None
        if person is None:
            raise RtcVoiceError("there is no voice to change yet", "show your face first")
        old = person.knobs
        person.knobs = Knobs(
            pitch_semitones=old.pitch_semitones if message.pitch is None else message.pitch,
            size=old.size if message.size is None else message.size,
            brightness_db=old.brightness_db if message.brightness is None else message.brightness,
            redraw=old.redraw if message.redraw is None else message.redraw,
        )
        if message.redraw is not None:
            person.estimate.redraw(message.redraw)
        self._apply_voice()

    # Reports

    def state(self) -> protocol.State:
        """What the participant's page shows."""
        now = self._parts.clock.now()
        width, height = self._picture_size
        shown = {i: p for i, p in self._people.items() if p.seen is not None and now - p.seen_s < _FORGET_FACE_S}
        own = self._own_person
        return protocol.State(
            faces=[_describe_face(i, p, i == self._own, width, height) for i, p in shown.items()],
            voice=_describe_voice(own) if own is not None else None,
            consent=self._face_stream is not None,
            mode=self._mode,
        )

    async def _send_states(self) -> None:
        while True:
            await self._state_due.wait()
            self._state_due.clear()
            self._send(self.state())
            await asyncio.sleep(_STATE_INTERVAL_S)

    async def _send_metrics(self) -> None:
        while True:
            await asyncio.sleep(_METRICS_INTERVAL_S)
            self._send(protocol.MetricsMessage(self.metrics.snapshot()))


def _rgb(frame: av.VideoFrame) -> Picture:
    return frame.to_ndarray(format="rgb24").astype(np.uint8, copy=False)


def _area(face: Face) -> float:
    left, top, right, bottom = face.box
    return (right - left) * (bottom - top)


def _describe_face(id: int, person: _Person, is_own: bool, width: int, height: int) -> dict[str, object]:
    assert person.seen is not None
    left, top, right, bottom = person.seen.box
    return {
        "id": id,
        "box": [round(v, 4) for v in (left / width, top / height, right / width, bottom / height)],
        "quality": round(person.seen.quality.score, 3),
        "own": is_own,
        "voice_ready": person.voice is not None,
        "f0_hz": None if person.voice is None else round(person.voice.f0_hz, 1),
    }


def _describe_voice(person: _Person) -> dict[str, object] | None:
    voice = person.voice
    if voice is None:
        return None
    return {
        "ready": True,
        "source": "face" if person.recorded is None else "recording",
        "frozen": person.estimate.frozen or person.recorded is not None,
        "f0_hz": round(voice.f0_hz, 1),
        "f0_range_semitones": round(voice.f0_range_semitones, 2),
        "tract": round(voice.tract, 3),
        "tilt_db": round(voice.tilt_db, 1),
        "redraw": person.knobs.redraw,
    }
