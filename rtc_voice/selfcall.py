"""A real call with a participant made of code: shows a portrait, types, speaks, listens and measures."""

import asyncio
import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from rtc_voice.config import AUDIO
from rtc_voice.errors import NoFaceError, RtcVoiceError
from rtc_voice.faces.picture import read_picture
from rtc_voice.faces.tracker import find_faces
from rtc_voice.faces.types import Picture
from rtc_voice.metrics import Metrics
from rtc_voice.rtc.protocol import Consent, Hello, Say, SetMode
from rtc_voice.rtc.remote import Caller, OpenCall
from rtc_voice.speech.text import TextToSpeech
from rtc_voice.timing import MonotonicClock

PORTRAIT = Path(__file__).parent / "assets" / "portraits" / "astronaut.jpg"
TYPED = "Hello, this is the voice of my face. I typed this sentence, and you can hear it in the call."
SPOKEN = "And now I speak myself, and my words come back to you in the same voice."

_AUDIBLE = 0.01  # of full scale: speech, not the noise of the codec
_VIEW = (640, 480)  # px, the camera's picture
_WINDOW_S = 0.005
_MAX_DELAY_S = 0.6
# How alike is the loudness of what was said and what is heard: .90 to .96 after conversion, to .64 at another delay.
_ALIKE, _APART, _APART_S = 0.75, 0.1, 0.05

Samples = NDArray[np.float32]
Span = tuple[float, float]


@dataclass(frozen=True, slots=True)
class SelfCall:
    """What was heard and measured in one call with itself."""

    portrait: Path
    recording: Samples  # 24 kHz mono: the typed speech, then the converted speech
    text_said: str
    text_spoken: str
    text_span_s: Span  # of ``recording``
    converted_span_s: Span
    faces_found: int
    time_to_voice_ms: float  # first picture after consent to a voice that can speak
    text_first_audio_ms: float  # message sent to first audible sample received
    conversion_delay_ms: float | None  # sample sent to the same moment of the converted speech heard; None: not found
    rtf: float  # time to make a chunk over its length, median
    late_chunks: int
    frame_spacing_p99_ms: float  # how far outgoing frames stray from 20 ms
    voice: Mapping[str, object]
    face_box: tuple[float, ...]  # left, top, right, bottom in 0..1 of the picture


async def call_oneself(open_call: OpenCall, portrait: Path = PORTRAIT, text: str = TYPED) -> SelfCall:
    """Call the bot behind ``open_call``, type, speak, hang up, and report.

    Raises:
        NoFaceError: the portrait shows none.
        RtcVoiceError: the bot gave no voice in time.
    """
    clock, metrics = MonotonicClock(), Metrics()
    picture = read_picture(portrait)
    pictures = await asyncio.to_thread(pan, picture)
    spoken = await asyncio.to_thread(speech, SPOKEN)
    async with Caller(open_call, clock=clock, metrics=metrics, pictures=pictures) as caller:
        participant = Participant(caller, clock)
        voice, face = await participant.get_voice()
        typed = await participant.type(text)
        converted = await participant.speak(spoken)
        figures = await participant.figures()
    recording = np.concatenate([typed.samples, converted.samples])
    shift = typed.samples.size / AUDIO.sample_rate
    return SelfCall(
        portrait=portrait,
        recording=recording,
        text_said=text,
        text_spoken=SPOKEN,
        text_span_s=typed.span_s,
        converted_span_s=(converted.span_s[0] + shift, converted.span_s[1] + shift),
        faces_found=participant.faces_found,
        time_to_voice_ms=_figure(figures, "time_to_voice_ms", "p50"),
        text_first_audio_ms=round(typed.delay_ms, 1),
        conversion_delay_ms=None if np.isnan(converted.delay_ms) else round(converted.delay_ms, 1),
        rtf=round(_figure(figures, "chunk_ms", "p50") / AUDIO.chunk_ms, 3),
        late_chunks=int(str(figures.get("late_chunks", 0))),
        frame_spacing_p99_ms=_figure(figures, "frame_spacing_error_ms", "p99"),
        voice=voice,
        face_box=face,
    )


def pan(picture: Picture) -> Iterator[Picture]:
    """A camera's endless view of a portrait, drifting slowly as a sitting person does.

    Raises:
        NoFaceError: the portrait shows none.
    """
    faces = find_faces(picture)
    if not faces:
        raise NoFaceError("no face in the portrait", "use one that shows a face from the front")
    return drift(picture, faces[0].box)


def drift(picture: Picture, box: tuple[float, float, float, float]) -> Iterator[Picture]:
    """Endless views of ``picture`` around ``box`` (left, top, right, bottom in px)."""
    width, height = _VIEW
    wider = _fit(picture, box, width + 40, height + 30)
    for n in itertools.count():
        left = 20 + round(18 * np.sin(2 * np.pi * n / 60))
        top = 15 + round(12 * np.sin(2 * np.pi * n / 97))
        yield np.ascontiguousarray(wider[top : top + height, left : left + width])


def delay_s(sent: Samples, heard: Samples) -> float:
    """How much later ``heard`` says what ``sent`` said, both ``[T]`` at 24 kHz on one time line, by their loudness.

    Conversion changes the waveform but not when it is loud: found within 5 ms after it. NaN where no delay up to 0.6 s
    fits, or more than one does.
    """
    window = int(_WINDOW_S * AUDIO.sample_rate)
    a, b = (_loudness(x, window) for x in (sent, heard))
    size = min(len(a), len(b))
    lags = range(min(int(_MAX_DELAY_S / _WINDOW_S), size // 2))
    with np.errstate(invalid="ignore"):  # silence is like nothing
        found = [float(np.corrcoef(a[: size - lag], b[lag:size])[0, 1]) for lag in lags]
    scores = [float(score) for score in np.nan_to_num(found)]
    best = int(np.argmax(scores))
    others = [score for lag, score in enumerate(scores) if abs(lag - best) * _WINDOW_S > _APART_S]
    if scores[best] < _ALIKE or scores[best] < max(others, default=0.0) + _APART:
        return float("nan")
    if 0 < best < len(scores) - 1:
        before, at, after = scores[best - 1 : best + 2]
        return (best + 0.5 * (before - after) / (before - 2 * at + after)) * _WINDOW_S
    return best * _WINDOW_S


@dataclass(frozen=True, slots=True)
class Passage:
    """Something that was said and heard: the recording of the time, where in it the speech is, and how late it came."""

    samples: Samples
    span_s: Span
    delay_ms: float


class Participant:
    """What the person at the other end does, over a caller's connection."""

    def __init__(self, caller: Caller, clock: MonotonicClock) -> None:
        self._caller = caller
        self._clock = clock
        self.faces_found = 0

    async def get_voice(self) -> tuple[Mapping[str, object], tuple[float, ...]]:
        """Consent, look into the camera, wait for the voice to be frozen."""
        self._caller.send(Hello("self-call"))
        self._caller.send(Consent(True))
        try:
            async with asyncio.timeout(15):
                while True:
                    state = await self._caller.message("state")
                    faces, voice = state["faces"], state["voice"]
                    assert isinstance(faces, list)
                    self.faces_found = max(self.faces_found, len(faces))
                    if isinstance(voice, dict) and voice["frozen"] and faces:
                        return voice, tuple(faces[0]["box"])
        except TimeoutError as error:
            remedy = "use a portrait from the front; `rtc-voice doctor` checks the rest"
            raise RtcVoiceError("no voice within 15 s", remedy) from error

    async def type(self, text: str) -> Passage:
        """Type a text and listen until it has been said."""
        first = len(self._caller.heard)
        sent_s = self._clock.now()
        self._caller.send(Say("typed", text))
        async with asyncio.timeout(60):
            while (await self._caller.message("speech", 60))["event"] != "ended":
                pass
            await asyncio.sleep(0.3)
        heard = list(self._caller.heard)[first:]
        samples = np.concatenate([h.samples for h in heard])
        span = _audible_span(samples)
        onset = next(h.time_s for h in heard if np.abs(h.samples).max() > _AUDIBLE)
        return Passage(samples, span, 1000 * (onset - sent_s))

    async def figures(self) -> Mapping[str, object]:
        """What the bot has measured until now, not what it sent while nobody asked."""
        while not self._caller.messages.empty():
            self._caller.messages.get_nowait()
        return await self._caller.message("metrics")

    async def speak(self, words: Samples) -> Passage:
        """Speak into the microphone with live conversion on, and listen."""
        self._caller.send(SetMode("convert"))
        await asyncio.sleep(0.2)
        started: list[float] = []
        self._caller.microphone.on_mark = lambda mark, time_s: started.append(time_s)
        first = len(self._caller.heard)
        self._caller.microphone.push(words, "speech")
        await asyncio.sleep(words.size / AUDIO.sample_rate + 0.8)
        self._caller.send(SetMode("text"))
        heard = list(self._caller.heard)[first:]
        samples = np.concatenate([h.samples for h in heard])
        lead = int((heard[0].time_s - started[0]) * AUDIO.sample_rate)
        aligned = np.pad(samples, (max(0, lead), 0))[max(0, -lead) :]
        return Passage(samples, _audible_span(samples), 1000 * delay_s(words, aligned))


def speech(text: str) -> Samples:
    """Somebody saying ``text``, 24 kHz mono, peak 1, ``[T]``."""
    return np.concatenate(list(TextToSpeech().sentences(text, seed=1)))


def _figure(figures: Mapping[str, object], name: str, quantile: str) -> float:
    summary = figures.get(name)
    return float(summary[quantile]) if isinstance(summary, dict) else float("nan")


def _loudness(samples: Samples, window: int) -> NDArray[np.float64]:
    whole = samples[: len(samples) // window * window].reshape(-1, window).astype(np.float64)
    rms: NDArray[np.float64] = np.sqrt(np.mean(whole**2, axis=1))
    return np.log10(rms + 1e-3)


def _audible_span(samples: Samples) -> Span:
    audible = np.flatnonzero(np.abs(samples) > _AUDIBLE)
    if not audible.size:
        raise RtcVoiceError("nothing was heard in the call", "run `rtc-voice doctor`")
    margin = 0.1
    start, end = audible[0] / AUDIO.sample_rate - margin, audible[-1] / AUDIO.sample_rate + margin
    return round(max(0.0, start), 3), round(min(len(samples) / AUDIO.sample_rate, end), 3)


def _fit(picture: Picture, box: tuple[float, float, float, float], width: int, height: int) -> Picture:
    """The picture scaled to cover ``width`` x ``height`` and cut to it, with ``box`` as near the middle as it goes."""
    tall, wide = picture.shape[:2]
    scale = max(width / wide, height / tall)
    centre = ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)
    spare = (wide - width / scale, tall - height / scale)
    wanted = (centre[0] - width / scale / 2, centre[1] - height / scale / 2)
    x, y = (min(1.0, max(0.0, w / s)) if s > 0 else 0.5 for w, s in zip(wanted, spare, strict=True))
    return np.array(ImageOps.fit(Image.fromarray(picture), (width, height), centering=(x, y)))
