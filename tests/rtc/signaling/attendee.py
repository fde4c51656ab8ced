"""Somebody whom a room reports to, and who hears."""

import asyncio
from collections.abc import Callable

import av
import numpy as np

from rtc_voice.rtc.playout import ChunkQueue, Samples
from rtc_voice.rtc.signaling.room import Participant

TONE = (0.5 * np.sin(2 * np.pi * 440 * np.arange(1_200) / 24_000)).astype(np.float32)
PATIENCE_S = 60.0  # for a busy machine; each step takes some hundred milliseconds


class Attendee:
    """Keeps what a room reports, and what comes of a participant."""

    def __init__(self) -> None:
        self.queue = ChunkQueue(24_000, 1_000)
        self.there: dict[str, str] = {}  # id by name
        self.told: list[str] = []
        self.texts: list[tuple[str, str]] = []
        self.loudest = 0.0
        self.pictures = 0

    def on_joined(self, participant: Participant) -> None:
        self.there[participant.name] = participant.id

    def on_left(self, participant_id: str) -> None:
        self.there = {name: id for name, id in self.there.items() if id != participant_id}

    def on_chat(self, participant_id: str, text: str) -> None:
        self.texts.append((participant_id, text))

    def on_away(self) -> None:
        self.told.append("away")
        self.there.clear()

    def on_back(self) -> None:
        self.told.append("back")

    def on_samples(self, samples: Samples) -> None:
        self.loudest = max(self.loudest, float(np.abs(samples).max()))

    def on_pause(self) -> None:
        """Nothing to do."""

    def on_picture(self, frame: av.VideoFrame, time_ms: float) -> None:
        self.pictures += 1

    def on_video_ended(self) -> None:
        """Nothing to do."""


async def until(is_so: Callable[[], object], meanwhile: Callable[[], object] = lambda: None) -> None:
    """Return when ``is_so``, doing ``meanwhile`` again and again."""
    async with asyncio.timeout(PATIENCE_S):
        while not is_so():
            meanwhile()
            await asyncio.sleep(0.02)
