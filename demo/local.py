"""The face before your camera, or in a picture, says what you type: ``python demo/local.py [PICTURE]``."""

import asyncio
import sys

import av
import numpy as np
import sounddevice

from rtc_voice import Voice
from rtc_voice.faces.picture import read_picture
from rtc_voice.faces.types import Picture
from rtc_voice.rtc.camera import open_camera


async def snapshot() -> Picture:
    """What the camera sees after half a second, in which it finds the light."""
    camera = open_camera()
    frames = [await camera.recv() for _ in range(15)]
    camera.stop()
    assert isinstance(frames[-1], av.VideoFrame)
    return np.asarray(frames[-1].to_ndarray(format="rgb24"), np.uint8)


async def main() -> None:
    """Say line by line, until Ctrl-D."""
    picture = read_picture(sys.argv[1]) if len(sys.argv) > 1 else await snapshot()
    with sounddevice.OutputStream(samplerate=24_000, channels=1, dtype="int16") as speakers:
        async with Voice.from_photo(picture) as voice:
            print(f"A voice of {voice.properties.f0_hz:.0f} Hz. Type, and Enter speaks it; Ctrl-D ends.")
            while line := await asyncio.to_thread(sys.stdin.readline):
                async for frame in voice.say(line):
                    await asyncio.to_thread(speakers.write, frame.to_ndarray().T.copy())


asyncio.run(main())
