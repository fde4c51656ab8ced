"""The local mode from its options to its end."""

import asyncio
import contextlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from aiortc.mediastreams import MediaStreamTrack

from rtc_voice import offline
from rtc_voice.bot import Bot, BotConfig
from rtc_voice.errors import AudioError, MissingPartError
from rtc_voice.faces.picture import is_picture, read_picture
from rtc_voice.local.call import Devices, LocalCall
from rtc_voice.local.preview import previewed
from rtc_voice.local.sound import DeviceMicrophone, DeviceSpeakers, FileMicrophone, FileSpeakers, Microphone
from rtc_voice.local.terminal import Screen, typed_lines
from rtc_voice.metrics import Metrics
from rtc_voice.rtc.camera import open_camera, open_video
from rtc_voice.rtc.tracks import PictureTrack
from rtc_voice.selfcall import pan
from rtc_voice.timing import Clock

_FPS = 15
_HELP = "Type, and Enter speaks it. Enter alone opens and closes the microphone; /stop ends a text; Ctrl-D leaves."
_ECHO = "The microphone is closed, so that it does not hear the voice; with headphones, --headphones opens it."


@dataclass(frozen=True, slots=True)
class Places:
    """Devices by a part of their names, or files in their place; None is the default device."""

    camera: str | None = None
    microphone: str | None = None
    speakers: str | None = None
    video: Path | None = None
    audio: Path | None = None
    out: Path | None = None
    headphones: bool = False  # the microphone may be open while the voice is heard
    preview: bool = False  # a page of this machine shows the camera's picture


async def run(places: Places, config: BotConfig) -> None:
    """Speak in the voice of the face before the camera, until the lines or the recording end.

    Raises:
        RtcVoiceError: a device or file cannot be used, or nobody is seen.
    """
    bot, screen = Bot(config), Screen()
    devices = open_devices(places, bot.clock, bot.metrics, screen.tell)
    screen.tell("loading models …")
    async with bot:
        is_file = places.audio is not None
        call = LocalCall(bot, devices, tell=screen.tell, is_talking=is_file or places.headphones)
        if not is_file:
            screen.tell(_HELP if places.headphones or devices.microphone is None else f"{_HELP}\n{_ECHO}")
        levels = asyncio.create_task(screen.show_levels(call))
        try:
            async with contextlib.AsyncExitStack() as stack:
                if places.preview:
                    screen.tell(f"Preview: {await stack.enter_async_context(previewed(call))}")
                await call.run(None if is_file else typed_lines(sys.stdin))
        finally:
            levels.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await levels
        screen.tell(await asyncio.to_thread(summary, call))


def open_devices(places: Places, clock: Clock, metrics: Metrics, tell: Callable[[str], None]) -> Devices:
    """What ``places`` names, opened. Without a microphone one can still type.

    Raises:
        InputError: a file or a device that was named cannot be used, or there is no camera or no speakers.
        MissingPartError: a device is needed, and PortAudio is not installed.
    """
    speakers = (
        DeviceSpeakers(places.speakers, clock=clock, metrics=metrics)
        if places.out is None
        else FileSpeakers(places.out, clock=clock, metrics=metrics)
    )
    microphone = _open_microphone(places, clock, metrics, tell)
    return Devices(_open_camera(places, clock, metrics), microphone, speakers)


def summary(call: LocalCall) -> str:
    """What was measured, in a line. Not for the event loop."""
    figures = [f"voice of about {call.f0_hz:.0f} Hz"]
    if call.first_audio_ms is not None:
        figures.append(f"typed to heard {call.first_audio_ms:.0f} ms")
    delay_ms = call.delay_ms()
    if delay_ms is not None:
        figures.append(f"spoken to heard {delay_ms:.0f} ms")
    return ", ".join(figures)


def _open_microphone(places: Places, clock: Clock, metrics: Metrics, tell: Callable[[str], None]) -> Microphone | None:
    if places.audio is not None:
        return FileMicrophone(offline.read_source(places.audio), clock=clock, metrics=metrics)
    try:
        return DeviceMicrophone(places.microphone, clock=clock, metrics=metrics)
    except (AudioError, MissingPartError) as error:
        if places.microphone is not None or places.headphones:
            raise
        tell(f"Typing only: {error}")
        return None


def _open_camera(places: Places, clock: Clock, metrics: Metrics) -> MediaStreamTrack:
    if places.video is None:
        return open_camera(places.camera)
    if is_picture(places.video):
        return PictureTrack(pan(read_picture(places.video)), _FPS, clock, metrics)
    return open_video(places.video)
