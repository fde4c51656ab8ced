"""One participant at this machine: the bot's call, over devices instead of a network."""

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import av
import numpy as np
from aiortc.mediastreams import MediaStreamTrack

from rtc_voice.bot import Bot
from rtc_voice.call import Call
from rtc_voice.config import AUDIO
from rtc_voice.errors import RtcVoiceError
from rtc_voice.local.levels import Level
from rtc_voice.local.sound import Microphone, Speakers
from rtc_voice.rtc.playout import Samples
from rtc_voice.rtc.protocol import Cancel, Consent, Inbound, Say, SetMode, dump
from rtc_voice.rtc.receive import receive_video
from rtc_voice.selfcall import delay_s

VOICE_TIMEOUT_S = 30.0
_KEPT = 1000  # frames of both sides to measure the delay with: 20 s
_AUDIBLE = 0.01  # of full scale
STOP = "/stop"


@dataclass(frozen=True, slots=True)
class Devices:
    """What the participant is seen, heard and spoken to with."""

    camera: MediaStreamTrack
    microphone: Microphone | None
    speakers: Speakers


class LocalCall:
    """Wires devices to a call of ``bot``; starting it is the participant's consent. Everything runs on the event loop.

    Args:
        tell: takes lines for the participant to read.
        is_talking: whether the microphone is open from the start.
    """

    def __init__(self, bot: Bot, devices: Devices, *, tell: Callable[[str], None], is_talking: bool = False) -> None:
        self.spoken, self.played = Level(), Level()
        self.picture: av.VideoFrame | None = None  # the camera's newest
        self.seen: list[dict[str, object]] = []  # the faces in it, as a state describes them
        self.f0_hz: float | None = None  # of the voice; None until there is one
        self.first_audio_ms: float | None = None  # of the last text
        self.is_talking = is_talking
        self.metrics = bot.metrics
        self._bot = bot
        self._devices = devices
        self._tell = tell
        self._loop = asyncio.get_running_loop()
        self._sounds: deque[tuple[float, Samples]] = deque(maxlen=_KEPT)
        self._heard: deque[tuple[float, Samples]] = deque(maxlen=_KEPT)
        self._waiting: set[str] = set()  # texts that have not been said
        self._texts = 0
        self._disclosed = ""
        self._voice_ready, self._all_said = asyncio.Event(), asyncio.Event()
        self._all_said.set()
        self._call = bot.open_line(self._connect)

    async def run(self, lines: AsyncIterator[str] | None) -> None:
        """Speak what is typed and said until the lines end, or without any, the microphone's sound does.

        Args:
            lines: what is typed. An empty one opens or closes the microphone, ``/stop`` ends what is being said.

        Raises:
            RtcVoiceError: a device fails, or nobody is seen in time.
        """
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self._bot.close_call, self._call.id)
            stack.callback(self._devices.camera.stop)
            self._call.on_connected()
            self._ask(Consent(True))
            self._ask(SetMode("convert"))
            try:
                async with asyncio.TaskGroup() as group:
                    watching = group.create_task(self._watch())
                    await self._wait_for_voice()
                    playing, hearing = (group.create_task(work) for work in (self._play(), self._hear()))
                    await asyncio.sleep(0)  # so that there is a recording even of nothing
                    await (self._read(lines) if lines is not None else hearing)
                    for task in (watching, playing, hearing):
                        task.cancel()
            except ExceptionGroup as errors:  # not except*, which would wrap what is raised in a group again
                known = errors.subgroup(RtcVoiceError)
                raise known.exceptions[0] if known else errors from None

    def delay_ms(self) -> float | None:
        """How much later the last speech came out converted, microphone to speakers; None if that cannot be told."""
        if not self._sounds or not self._heard:
            return None
        start = self._sounds[0][0]
        said, heard = (_on_one_line(list(kept), start) for kept in (self._sounds, self._heard))
        if min(np.abs(said).max(initial=0), np.abs(heard).max(initial=0)) < _AUDIBLE:
            return None
        delay = 1000 * delay_s(said, heard)
        return None if np.isnan(delay) else delay

    # What the call sends to its participant

    def send(self, text: str) -> bool:
        """A message of the data channel's protocol."""
        message = json.loads(text)
        match message["type"]:
            case "state":
                self._on_state(message)
            case "speech":
                self._on_speech(message)
            case "disclosure":
                if message["text"] != self._disclosed:  # consent brings it again
                    self._disclosed = message["text"]
                    self._tell(message["text"])
            case "error":
                self._over(message.get("id"))
                self._tell(f"{message['message']} ({message['hint']})")
        return True

    async def close(self) -> None:
        """Nothing of its own to end."""

    def _connect(self, call: Call) -> "LocalCall":
        on_mark = call.queue.on_mark
        assert on_mark is not None

        def on_loop(mark: str, time_s: float) -> None:  # marks pass on the sound card's thread
            self._loop.call_soon_threadsafe(on_mark, mark, time_s)

        call.queue.on_mark = on_loop
        return self

    def _on_state(self, message: dict[str, Any]) -> None:
        self.seen = message["faces"]
        if message["voice"] is not None:
            self.f0_hz = message["voice"]["f0_hz"]
            self._voice_ready.set()

    def _on_speech(self, message: dict[str, Any]) -> None:
        if message["event"] == "started":
            self.first_audio_ms = message["first_audio_ms"]
        else:
            self._over(message["id"])

    def _over(self, id: str | None) -> None:
        """A text has been said, or will not be."""
        if id in self._waiting:
            self._waiting.remove(id)
            if not self._waiting:
                self._all_said.set()

    # What the participant does

    async def _wait_for_voice(self) -> None:
        try:
            async with asyncio.timeout(VOICE_TIMEOUT_S):
                await self._voice_ready.wait()
        except TimeoutError as error:
            remedy = "look into the camera in good light, or show a clearer video"
            raise RtcVoiceError(f"no face was seen well enough in {VOICE_TIMEOUT_S:.0f} s", remedy) from error

    async def _read(self, lines: AsyncIterator[str]) -> None:
        async for line in lines:
            if line == STOP:
                self._ask(Cancel())
            elif line:
                self._say(line)
            else:
                self._toggle_talk()
        await self._all_said.wait()

    def _say(self, text: str) -> None:
        self._texts += 1
        self._all_said.clear()
        self._waiting.add(str(self._texts))
        self._ask(Say(str(self._texts), text))

    def _toggle_talk(self) -> None:
        self.is_talking = not self.is_talking and self._devices.microphone is not None
        if self.is_talking:
            self._sounds.clear()
            self._heard.clear()
        else:
            self._call.on_pause()

    def _ask(self, message: Inbound) -> None:
        self._call.on_message(dump(message))

    async def _watch(self) -> None:
        await receive_video(self._devices.camera, self._on_picture, self.metrics, self._bot.clock)
        self._call.on_video_ended()

    def _on_picture(self, frame: av.VideoFrame, time_ms: float) -> None:
        self.picture = frame
        self._call.on_picture(frame, time_ms)

    async def _hear(self) -> None:
        if self._devices.microphone is not None:
            await self._devices.microphone.hear(self._on_sound)

    async def _play(self) -> None:
        await self._devices.speakers.play(self._call.queue, self._on_played)

    def _on_sound(self, samples: Samples, time_s: float) -> None:
        self.spoken.add(samples)
        if self.is_talking:
            self._sounds.append((time_s, samples))
            self._call.on_samples(samples)

    def _on_played(self, samples: Samples, time_s: float) -> None:
        self.played.add(samples)
        self._heard.append((time_s, samples))


def _on_one_line(kept: list[tuple[float, Samples]], start_s: float) -> Samples:
    """What was kept, one sound behind the other, from ``start_s`` on."""
    first_s = kept[0][0]
    samples = np.concatenate([samples for _, samples in kept])
    lead = round((first_s - start_s) * AUDIO.sample_rate)
    return np.pad(samples, (max(0, lead), 0))[max(0, -lead) :]
