"""What the bot needs of a room that others run: who is there, what they show and say, and a place for each voice.

A room brings participants to the bot (``janus``, ``whip``, ``hosted``). Over ``http`` they come by themselves, one
offer each, so there is nobody to ask who is there: that way has no need of this.
"""

import asyncio
from dataclasses import dataclass
from typing import Protocol

from rtc_voice.rtc.link import Ear
from rtc_voice.rtc.tracks import SpeechSource


@dataclass(frozen=True, slots=True)
class Participant:
    """Somebody in the room who sends sound or pictures."""

    id: str  # the room's own
    name: str  # what they call themselves; nobody vouches for it


def voice_name(participant: str) -> str:
    """What the room calls the voice of somebody who calls themselves ``participant``."""
    return f"{participant} · voice"


class Carrier(Protocol):
    """What brings a participant's media, or takes a voice into the room: a ``Link``, or a ``Broadcast``."""

    @property
    def lost(self) -> asyncio.Event:
        """Set when it has failed."""

    async def close(self) -> None:
        """End it; calling it again does nothing more."""


class RoomEvents(Protocol):
    """Who hears of what happens in a room. All are called on the event loop and must return at once."""

    def on_joined(self, participant: Participant) -> None:
        """Somebody began to send; again for the same one when what they send has changed."""

    def on_left(self, participant_id: str) -> None:
        """Somebody has left, or stopped sending."""

    def on_chat(self, participant_id: str, text: str) -> None:
        """Somebody wrote a text, unchecked."""

    def on_away(self) -> None:
        """The room cannot be reached: every link is lost. It is tried again until ``leave``."""

    def on_back(self) -> None:
        """The room has been entered again; those in it are reported next."""


class Signaling(Protocol):
    """A room, entered once and left once."""

    async def join(self, events: RoomEvents) -> None:
        """Enter, and report from now on.

        Raises:
            InputError: there is no such room, or it does not let us in.
            ProtocolError: the server is not what its address says.
        """

    async def subscribe(self, participant_id: str, ear: Ear) -> Carrier:
        """Their sound and pictures, once they come. ProtocolError if that fails."""

    async def publish(self, name: str, source: SpeechSource) -> Carrier:
        """Let ``source`` be heard in the room under ``name``. ProtocolError if that fails."""

    async def retract(self, carrier: Carrier) -> None:
        """Take back what ``subscribe`` or ``publish`` gave, and close it."""

    def chat(self, text: str) -> None:
        """Write to everybody, where the room has a chat."""

    async def leave(self) -> None:
        """Go, taking everything back; the server is told, if it still listens."""
