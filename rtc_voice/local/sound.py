"""Microphones and speakers: devices of this machine through PortAudio, or files in their place."""

import asyncio
import wave
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, Protocol

import numpy as np

from rtc_voice.config import AUDIO
from rtc_voice.errors import AudioError, MissingPartError
from rtc_voice.metrics import Metrics
from rtc_voice.output import check_place
from rtc_voice.rtc.playout import Samples
from rtc_voice.rtc.tracks import FilledSpeech, Pacer, SpeechSource, SpeechTrack
from rtc_voice.timing import Clock

TAIL_S = 0.6  # of silence behind a file, in which the end of the converted speech comes out

OnSound = Callable[[Samples, float], None]
"""Takes sound, 24 kHz mono ``[T]``, and when its first sample was in the air, on the clock of the call."""


class Microphone(Protocol):
    """Where live speech comes from."""

    async def hear(self, on_sound: OnSound) -> None:
        """Hand on sound as it comes, on the event loop, until there is no more."""


class Speakers(Protocol):
    """Where the voice is heard."""

    async def play(self, source: SpeechSource, on_sound: OnSound) -> None:
        """Play what the source holds, and tell of it on the event loop, until cancelled."""


@dataclass(frozen=True, slots=True)
class SoundDevice:
    """A device of this machine that records or plays."""

    name: str
    system: str  # the sound system that it belongs to: ALSA, Core Audio …
    inputs: int  # channels
    outputs: int


def list_sound_devices() -> list[SoundDevice]:
    """All that PortAudio finds.

    Raises:
        MissingPartError: PortAudio is not installed.
    """
    sound = _portaudio()
    systems = [str(api["name"]) for api in sound.query_hostapis()]
    return [
        SoundDevice(d["name"], systems[d["hostapi"]], d["max_input_channels"], d["max_output_channels"])
        for d in sound.query_devices()
    ]


class DeviceMicrophone:
    """A microphone of this machine: the default one, or the one whose name contains ``name``.

    Raises:
        AudioError: there is no such device, or it does not record 24 kHz.
    """

    def __init__(self, name: str | None, *, clock: Clock, metrics: Metrics) -> None:
        self._device = _find(name, "input")
        self._clock = clock
        self._metrics = metrics

    async def hear(self, on_sound: OnSound) -> None:
        """Hand on what it hears, for ever.

        Raises:
            AudioError: another program has it, or it was unplugged.
        """
        loop = asyncio.get_running_loop()

        def take(data: Any, frames: int, times: Any, status: Any) -> None:
            if status.input_overflow:
                self._metrics.count("input_overflows")
            heard_s = self._clock.now() - (times.currentTime - times.inputBufferAdcTime)
            loop.call_soon_threadsafe(on_sound, data[:, 0].copy(), heard_s)

        await _stream(_portaudio().InputStream, self._device, take)


class DeviceSpeakers:
    """Speakers of this machine: the default ones, or those whose name contains ``name``.

    Raises:
        AudioError: there is no such device, or it does not play 24 kHz.
    """

    def __init__(self, name: str | None, *, clock: Clock, metrics: Metrics) -> None:
        self._device = _find(name, "output")
        self._clock = clock
        self._metrics = metrics

    async def play(self, source: SpeechSource, on_sound: OnSound) -> None:
        """Play what the source holds, for ever; it is pulled on the sound card's own clock.

        Raises:
            AudioError: another program has them, or they were unplugged.
        """
        loop = asyncio.get_running_loop()
        speech = FilledSpeech(source, self._metrics)

        def give(out: Any, frames: int, times: Any, status: Any) -> None:
            if status.output_underflow:
                self._metrics.count("output_underflows")
            heard_s = self._clock.now() + (times.outputBufferDacTime - times.currentTime)
            samples = speech.next(frames, heard_s)
            out[:, 0] = samples
            loop.call_soon_threadsafe(on_sound, samples, heard_s)

        await _stream(_portaudio().OutputStream, self._device, give)


class FileMicrophone:
    """A recording as if it were spoken now.

    Args:
        samples: 24 kHz mono ``[T]``.
    """

    def __init__(self, samples: Samples, *, clock: Clock, metrics: Metrics) -> None:
        self._samples = np.pad(samples, (0, int(TAIL_S * AUDIO.sample_rate)))
        self._clock = clock
        self._pacer = Pacer(AUDIO.chunk_ms / 1000, clock, metrics)

    async def hear(self, on_sound: OnSound) -> None:
        """Hand on the whole recording at its own pace; after a stall, what was missed at once."""
        size, sent = AUDIO.chunk_samples, 0
        while sent < len(self._samples):
            end = (await self._pacer.wait() + 1) * size
            on_sound(self._samples[sent:end], self._clock.now())
            sent = end


class FileSpeakers:
    """A WAV file that gets what would be heard.

    Raises:
        AudioError: it cannot be written.
    """

    def __init__(self, path: Path, *, clock: Clock, metrics: Metrics) -> None:
        check_place(path, ".wav", AudioError)
        self._path = path
        self._clock = clock
        self._metrics = metrics

    async def play(self, source: SpeechSource, on_sound: OnSound) -> None:
        """Write what the source holds, at the pace of a sound card, until cancelled."""
        track = SpeechTrack(source, self._clock, self._metrics)
        with wave.open(str(self._path), "wb") as file:
            file.setparams((1, 2, source.sample_rate, 0, "NONE", ""))
            frames = 0
            while True:
                samples, number = await track.next()
                file.writeframes(bytes(2 * samples.size * (number - frames)))  # after a stall: the time line stays
                frames = number + 1
                file.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
                on_sound(samples, self._clock.now())


def _portaudio() -> ModuleType:
    try:
        import sounddevice
    except OSError as error:
        remedy = "apt-get install libportaudio2, or give --audio FILE and --out FILE"
        raise MissingPartError("PortAudio is not installed", remedy) from error
    return sounddevice  # type: ignore[no-any-return]


def _find(name: str | None, kind: Literal["input", "output"]) -> int:
    sound = _portaudio()
    instead = "--audio FILE" if kind == "input" else "--out FILE.wav"
    known = [d.name for d in list_sound_devices() if (d.inputs if kind == "input" else d.outputs)]
    if not known:
        raise AudioError(f"PortAudio finds no sound {kind}", f"connect one, or give {instead}")
    try:
        device = int(sound.query_devices(name, kind)["index"])
    except ValueError as error:
        raise AudioError(f"not one sound {kind} {name!r}", f"known: {', '.join(known)}") from error
    check = sound.check_input_settings if kind == "input" else sound.check_output_settings
    try:
        check(device=device, channels=1, dtype="float32", samplerate=AUDIO.sample_rate)
    except sound.PortAudioError as error:
        remedy = f"choose one that converts rates, such as `default` or `pulse`; known: {', '.join(known)}"
        raise AudioError(f"the sound {kind} {name or known[0]!r} cannot be used: {error}", remedy) from error
    return device


async def _stream(kind: Any, device: int, callback: Callable[..., None]) -> None:
    loop, gone = asyncio.get_running_loop(), asyncio.Event()
    try:
        stream = kind(
            samplerate=AUDIO.sample_rate,
            blocksize=AUDIO.chunk_samples,
            device=device,
            channels=1,
            dtype="float32",
            latency="low",
            callback=callback,
            finished_callback=lambda: loop.call_soon_threadsafe(gone.set),
        )
    except _portaudio().PortAudioError as error:
        raise AudioError(f"a sound device cannot be opened: {error}", "close other programs that use it") from error
    with stream:
        await gone.wait()
    raise AudioError("a sound device is gone", "connect it again, and start again")
