"""The bot in a room that others run: a call for each participant, their consent, and their voice in the room."""

import asyncio
import json
import logging
import secrets
from collections.abc import Callable, Coroutine
from dataclasses import dataclass

from rtc_voice.bot import Bot
from rtc_voice.call import Call
from rtc_voice.errors import RtcVoiceError
from rtc_voice.rtc.mix import Mix
from rtc_voice.rtc.protocol import Cancel, Consent, ErrorMessage, Forget, Hello, Inbound, Say, SetMode, dump
from rtc_voice.rtc.signaling.room import Carrier, Participant, Signaling, voice_name
from rtc_voice.rtc.tracks import SpeechSource

logger = logging.getLogger(__name__)

GREETING_AFTER_S = 2.0  # by then a newcomer reads the chat
GRACE_S = 60.0  # how long a call waits for its participant after the room itself was lost
FIRST_PAUSE_S, LAST_PAUSE_S = 0.5, 8.0  # between tries to reach one participant
TELL_AFTER = 2  # tries that failed, before the one whose failure the participant is told

HELP = (
    "I give consenting people a synthetic voice made from their face. Write `voice yes` to allow it; then what you "
    "write here is spoken. `voice live` speaks as you speak, `voice text` what you write, `voice off` nothing, "
    "`voice stop` ends a sentence, `voice no` takes consent back, `voice forget` deletes what is known of you."
)
COMMANDS: dict[str, Inbound] = {
    "yes": Consent(True),
    "no": Consent(False),
    "live": SetMode("convert"),
    "text": SetMode("text"),
    "off": SetMode("off"),
    "stop": Cancel(),
    "forget": Forget(),
}


@dataclass(frozen=True, slots=True)
class RoomConfig:
    """How the bot behaves in a room."""

    consented: frozenset[str] = frozenset()  # names whose consent the operator answers for
    mix: bool = False  # one track for all voices, instead of one each


class RoomBot:
    """Wires a room to a bot: enter with ``join``, go with ``leave``. Everything runs on the event loop.

    Nobody is listened to or looked at without consent: their media is not even subscribed to. What a participant
    writes in the chat, or on the page behind their link, counts for that participant alone.
    """

    def __init__(
        self,
        bot: Bot,
        signaling: Signaling,
        config: RoomConfig = RoomConfig(),  # noqa: B008 - frozen
    ) -> None:
        self.members: dict[str, Member] = {}
        self.on_newcomer: Callable[[Member], None] = lambda _: None
        self._bot = bot
        self._signaling = signaling
        self._config = config
        self._mix: _MixedVoice | None = None
        self._missing: dict[Member, float] = {}  # since when; after the room was lost
        self._tasks: set[asyncio.Task[None]] = set()
        self._greeting: asyncio.Task[None] | None = None

    async def join(self) -> None:
        """Enter the room; see ``Signaling.join``."""
        await self._signaling.join(self)
        if self._config.mix:
            self._mix = _MixedVoice(self._bot, self._signaling)

    async def leave(self) -> None:
        """Close every call and go."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        members = [*self.members.values(), *self._missing]
        await asyncio.gather(*(self._bot.close_call(member.call.id) for member in members))
        if self._mix is not None:
            await self._mix.close()
        await self._signaling.leave()

    def member_of(self, token: str) -> "Member | None":
        """Whose link holds ``token``."""
        return next(
            (m for m in self.members.values() if secrets.compare_digest(m.token.encode(), token.encode())), None
        )

    # What the room reports

    def on_joined(self, participant: Participant) -> None:
        """Somebody is there, or sends something else than before."""
        member = self.members.get(participant.id)
        if member is not None:
            member.reconnect()
            return
        member = self._recover(participant)
        if member is None:
            member = Member(participant, self._bot, self._signaling, self._mix)
            self.on_newcomer(member)
        member.participant = participant
        self.members[participant.id] = member
        if participant.name in self._config.consented:
            member.obey(Consent(True))
        member.reconnect()
        logger.info("%s is in the room", participant.name)
        if self._greeting is None or self._greeting.done():  # one for all who come together
            self._greeting = self._start(self._greet())

    def on_left(self, participant_id: str) -> None:
        """Somebody is gone: with them go their consent and their voice in the room."""
        member = self.members.pop(participant_id, None)
        if member is not None:
            logger.info("%s has left", member.participant.name)
            self._start(self._bot.close_call(member.call.id))

    def on_chat(self, participant_id: str, text: str) -> None:
        """A command, a message of the protocol, or words to be spoken."""
        member = self.members.get(participant_id)
        if member is not None:
            member.read(text.strip())

    def on_away(self) -> None:
        """The room is lost: calls keep their faces and voices for those who come back."""
        now = self._bot.clock.now()
        self._missing |= dict.fromkeys(self.members.values(), now)
        for member in self.members.values():
            member.disconnect()
        self.members.clear()

    def on_back(self) -> None:
        """The room is there again: who does not come back within the grace is gone."""
        self._start(self._give_up_missing())

    def _recover(self, participant: Participant) -> "Member | None":
        """Their call from before the room was lost: by id, or by name where only one has that name."""
        found = [m for m in self._missing if m.participant.id == participant.id]
        found = found or [m for m in self._missing if m.participant.name == participant.name]
        if len(found) != 1:
            return None
        del self._missing[found[0]]
        return found[0]

    async def _give_up_missing(self) -> None:
        await self._bot.clock.sleep_until(self._bot.clock.now() + GRACE_S)
        limit = self._bot.clock.now() - GRACE_S
        gone = [member for member, since in self._missing.items() if since <= limit]
        for member in gone:
            del self._missing[member]
            await self._bot.close_call(member.call.id)

    async def _greet(self) -> None:
        await self._bot.clock.sleep_until(self._bot.clock.now() + GREETING_AFTER_S)
        self._signaling.chat(HELP)

    def _start(self, work: Coroutine[object, object, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


class Member:
    """One participant of the room: the line of their call, which listens and speaks once they have consented."""

    def __init__(
        self, participant: Participant, bot: Bot, signaling: Signaling, mix: "_MixedVoice | None" = None
    ) -> None:
        self.participant = participant
        self.token = secrets.token_urlsafe(18)  # of their own link
        self.listeners: set[Callable[[str | None], None]] = set()  # pages that take the bot's messages; None ends them
        self._bot = bot
        self._signaling = signaling
        self._mix = mix
        self._texts = 0
        self._staying: asyncio.Task[None] | None = None
        self.call: Call = bot.open_line(lambda call: self)

    @property
    def name(self) -> str:
        """What they call themselves."""
        return self.participant.name

    def greet(self) -> None:
        """Send how things stand."""
        self.call.on_connected()

    def send(self, text: str) -> bool:
        """Hand a message of the call to the participant's pages; where there is none, errors go to the chat."""
        for listener in list(self.listeners):
            listener(text)
        message = json.loads(text)
        if message["type"] == "error" and not self.listeners:
            hint = f" ({message['hint']})" if message.get("hint") else ""
            self._signaling.chat(f"{self.name}: {message['message']}{hint}")
        return True

    async def close(self) -> None:
        """Stop listening and speaking, for good."""
        for listener in list(self.listeners):
            listener(None)
        staying, self._staying = self._staying, None
        if staying is not None:
            staying.cancel()
            await asyncio.gather(staying, return_exceptions=True)

    def read(self, text: str) -> None:
        """Do what a text of the chat asks for."""
        word, _, rest = text.partition(" ")
        if text.casefold() in ("voice", "voice help"):
            self._signaling.chat(HELP)
        elif word.casefold() == "voice" and rest.strip().casefold() in COMMANDS:
            self.obey(COMMANDS[rest.strip().casefold()])
        elif text.startswith("{"):
            self.take(text)
        elif text and self.call.state().consent and self.call.state().mode != "off":
            self._texts += 1
            self.obey(Say(f"chat-{self._texts}", text))

    def obey(self, message: Inbound) -> None:
        """Do what a message asks for; what is wrong with it is answered."""
        self.take(dump(message))

    def take(self, text: str) -> None:
        """A message of the data channel's protocol, unchecked."""
        before = self.call.state().consent
        self.call.on_message(text)
        after = self.call.state().consent
        if after and not before:
            self.call.on_message(dump(Hello(self.participant.name)))
            self._signaling.chat(
                f"{self.participant.name} has agreed. Their voice here is synthetic: made from their face by rtc_voice."
            )
        if after != before:
            self.reconnect()

    def reconnect(self) -> None:
        """Listen and speak afresh if there is consent, else not at all."""
        self.disconnect()
        if self.call.state().consent:
            name = f"participant {self.participant.name}"
            self._staying = asyncio.get_running_loop().create_task(self._stay(self._staying), name=name)

    def disconnect(self) -> None:
        """Stop listening and speaking, soon."""
        if self._staying is not None:
            self._staying.cancel()

    async def _stay(self, before: asyncio.Task[None] | None) -> None:
        """Keep their media coming and their voice going, whatever fails, until cancelled."""
        if before is not None:
            await asyncio.gather(before, return_exceptions=True)
        tries, told = 0, ""
        while True:
            links: list[Carrier] = []
            try:
                links.append(await self._signaling.subscribe(self.participant.id, self.call))
                links.append(await self._speak())
                self.call.on_connected()
                tries, told = 0, ""
                await _any_lost(links)
                logger.warning("the connection of %s is lost; trying again", self.participant.name)
            except RtcVoiceError as error:
                level = logging.INFO if str(error) == told else logging.WARNING
                logger.log(level, "%s cannot be heard or given a voice: %s", self.participant.name, error)
                if tries == TELL_AFTER:
                    self.send(dump(ErrorMessage.of(error)))
                told = str(error)
            finally:
                await asyncio.shield(self._retract(links))
            await asyncio.sleep(min(LAST_PAUSE_S, FIRST_PAUSE_S * 2**tries))
            tries += 1

    async def _speak(self) -> Carrier:
        if self._mix is not None:
            return await self._mix.add(self.call)
        return await self._signaling.publish(voice_name(self.participant.name), self.call.queue)

    async def _retract(self, links: list[Carrier]) -> None:
        for link in links:
            if self._mix is not None and self._mix.holds(link):
                self._mix.remove(self.call)
            else:
                await self._signaling.retract(link)


class _MixedVoice:
    """One track in the room for everybody's voice."""

    def __init__(self, bot: Bot, signaling: Signaling) -> None:
        self._signaling = signaling
        self._bot = bot
        self._mix: Mix | None = None
        self._link: Carrier | None = None
        self._lock = asyncio.Lock()

    async def add(self, call: Call) -> Carrier:
        """The common link, with ``call``'s voice on it."""
        async with self._lock:
            if self._mix is None:
                self._mix = Mix(call.queue.sample_rate)
            if self._link is None or self._link.lost.is_set():
                await self.close()
                source: SpeechSource = self._mix
                self._link = await self._signaling.publish("voices", source)
        self._mix.add(call.queue)
        return self._link

    def holds(self, link: Carrier) -> bool:
        """Whether ``link`` is the common one."""
        return link is self._link

    def remove(self, call: Call) -> None:
        """Leave ``call``'s voice out."""
        if self._mix is not None:
            self._mix.remove(call.queue)

    async def close(self) -> None:
        """Take the common voice back."""
        link, self._link = self._link, None
        if link is not None:
            await self._signaling.retract(link)


async def _any_lost(links: list[Carrier]) -> None:
    waits = [asyncio.ensure_future(link.lost.wait()) for link in links]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
