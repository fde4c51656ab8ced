"""The messages of the data channel ``rtc-voice``: one JSON object each, with the version in ``v``.

Inbound ones come from a participant and are checked field by field; outbound ones come from us. Both are frozen
dataclasses, and ``dump`` writes either, so the other side of a call can use the same types.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Literal, cast

from rtc_voice.errors import ProtocolError, RtcVoiceError

CHANNEL_LABEL = "rtc-voice"
VERSION = 1
MAX_MESSAGE_BYTES = 16 * 1024
MAX_TEXT = 2_000  # characters of one `say`
MAX_NAME = 100  # characters of a name or an id
MAX_FACES = 1_000_000  # face ids count up in a call
MAX_REDRAW = 1_000_000

Mode = Literal["text", "convert", "off"]
SpeechState = Literal["started", "ended", "cancelled"]


@dataclass(frozen=True, slots=True)
class Hello:
    """The participant says what they want to be called."""

    name: str


@dataclass(frozen=True, slots=True)
class Consent:
    """The participant allows their face to be used, or takes that back."""

    granted: bool


@dataclass(frozen=True, slots=True)
class Say:
    """Speak a text."""

    id: str
    text: str
    face: int | None = None  # whose voice; None is the participant's own
    language: str | None = None  # ISO 639-1; None goes by the text's letters


@dataclass(frozen=True, slots=True)
class Cancel:
    """Stop speaking: one text by its id, or all of them."""

    id: str | None = None


@dataclass(frozen=True, slots=True)
class SetMode:
    """What is spoken: typed text, the participant's own speech converted, or nothing."""

    mode: Mode


@dataclass(frozen=True, slots=True)
class SetVoice:
    """Turn the voice's knobs; what is None stays as it is."""

    pitch: float | None = None  # semitones, -12 to 12
    size: float | None = None  # vocal-tract length, 0.8 to 1.25
    brightness: float | None = None  # dB at 8 kHz against 500 Hz, -12 to 12
    redraw: int | None = None  # another draw from what the face allows, from 0
    face: int | None = None  # whose voice; None is the participant's own


@dataclass(frozen=True, slots=True)
class Forget:
    """Delete everything that is known of the participant."""


Inbound = Hello | Consent | Say | Cancel | SetMode | SetVoice | Forget


@dataclass(frozen=True, slots=True)
class State:
    """What the participant's page shows."""

    faces: list[dict[str, object]]
    voice: dict[str, object] | None
    consent: bool
    mode: Mode


@dataclass(frozen=True, slots=True)
class SpeechEvent:
    """A text began or stopped being heard."""

    id: str
    event: SpeechState
    first_audio_ms: float | None = None  # from the `say` to its first sample leaving; with `started`


@dataclass(frozen=True, slots=True)
class Disclosure:
    """What the other people in the call are to be told about the voice."""

    text: str


@dataclass(frozen=True, slots=True)
class Languages:
    """What the participant may type in, for the `language` of a `say`."""

    languages: list[str]  # ISO 639-1, the one that is asked first at the front


@dataclass(frozen=True, slots=True)
class MetricsMessage:
    """The call's counters and measured times."""

    metrics: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ErrorMessage:
    """Something that a message asked for could not be done."""

    code: str
    message: str
    hint: str = ""
    id: str | None = None  # of the text that could not be said

    @classmethod
    def of(cls, error: RtcVoiceError, id: str | None = None) -> "ErrorMessage":
        """The message that tells a peer of ``error``."""
        return cls(error.code, error.message, error.hint, id)


Outbound = State | SpeechEvent | Disclosure | Languages | MetricsMessage | ErrorMessage

_INBOUND: dict[str, type[Inbound]] = {
    "hello": Hello,
    "consent": Consent,
    "say": Say,
    "cancel": Cancel,
    "mode": SetMode,
    "voice": SetVoice,
    "forget": Forget,
}
_TYPE_OF: dict[type, str] = {
    **{message: name for name, message in _INBOUND.items()},
    State: "state",
    SpeechEvent: "speech",
    Disclosure: "disclosure",
    Languages: "languages",
    MetricsMessage: "metrics",
    ErrorMessage: "error",
}


def dump(message: Inbound | Outbound) -> str:
    """The message as JSON text, ready to send; fields that are None are left out, except ``voice`` of a state."""
    body = {key: value for key, value in asdict(message).items() if value is not None or isinstance(message, State)}
    if isinstance(message, MetricsMessage):
        body = body["metrics"]
    return json.dumps({**body, "v": VERSION, "type": _TYPE_OF[type(message)]}, allow_nan=False)


def parse(text: str | bytes) -> Inbound:
    """The message in ``text``; fields it does not know are ignored.

    Raises:
        ProtocolError: not JSON, too large, another version, an unknown type, or a field that cannot be.
    """
    message = _json_object(text)
    if message.get("v") != VERSION or isinstance(message["v"], bool):
        raise ProtocolError(f"version {message.get('v')!r:.40}", f"send v: {VERSION}", "bad-version")
    kind = message.get("type")
    if not isinstance(kind, str) or kind not in _INBOUND:
        raise ProtocolError(f"unknown type {kind!r:.40}", f"known: {', '.join(_INBOUND)}", "unknown-type")
    return _READERS[kind](_Fields(kind, message))


def _json_object(text: str | bytes) -> dict[str, object]:
    size = len(text) if isinstance(text, bytes) else len(text.encode("utf-8", "surrogatepass"))
    if size > MAX_MESSAGE_BYTES:
        raise ProtocolError(f"a message of {size} bytes", f"at most {MAX_MESSAGE_BYTES}", "too-large")
    try:
        message = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ProtocolError("not JSON", "send one JSON object in each message", "not-json") from error
    if not isinstance(message, dict):
        raise ProtocolError("not a JSON object", "send one JSON object in each message", "not-json")
    return message


class _Fields:
    """The fields of one message, each checked as it is read; None is as good as absent."""

    def __init__(self, kind: str, message: dict[str, object]) -> None:
        self._kind = kind
        self._message = message

    def _bad(self, name: str, hint: str) -> ProtocolError:
        value = self._message.get(name)
        return ProtocolError(f"{self._kind}: {name} is {value!r:.40}", hint, "bad-field")

    def _has(self, name: str) -> bool:
        return self._message.get(name) is not None

    def text(self, name: str, limit: int) -> str:
        value = self._message.get(name)
        if not isinstance(value, str) or not value.strip():
            raise self._bad(name, "send a text that is not empty")
        if len(value) > limit:
            raise ProtocolError(f"{self._kind}: {name} has {len(value)} characters", f"at most {limit}", "too-long")
        if any(0xD800 <= ord(letter) <= 0xDFFF for letter in value):
            raise self._bad(name, "send whole Unicode characters, no lone surrogates")
        return value

    def optional_text(self, name: str, limit: int) -> str | None:
        return self.text(name, limit) if self._has(name) else None

    def boolean(self, name: str) -> bool:
        value = self._message.get(name)
        if not isinstance(value, bool):
            raise self._bad(name, "send true or false")
        return value

    def choice(self, name: str, allowed: tuple[str, ...]) -> str:
        value = self._message.get(name)
        if not isinstance(value, str) or value not in allowed:
            raise self._bad(name, f"send one of {', '.join(allowed)}")
        return value

    def number(self, name: str, low: float, high: float) -> float | None:
        if not self._has(name):
            return None
        value = self._message[name]
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise self._bad(name, f"send a number from {low:g} to {high:g}")
        return float(value)

    def whole(self, name: str, high: int) -> int | None:
        value = self.number(name, 0, high)
        if value is not None and value != int(value):
            raise self._bad(name, f"send a whole number from 0 to {high}")
        return None if value is None else int(value)


def _read_voice(read: _Fields) -> SetVoice:
    voice = SetVoice(
        pitch=read.number("pitch", -12, 12),
        size=read.number("size", 0.8, 1.25),
        brightness=read.number("brightness", -12, 12),
        redraw=read.whole("redraw", MAX_REDRAW),
        face=read.whole("face", MAX_FACES),
    )
    knobs = [knob.name for knob in fields(SetVoice) if knob.name != "face"]
    if all(getattr(voice, knob) is None for knob in knobs):
        raise ProtocolError("voice: nothing to change", f"send at least one of {', '.join(knobs)}", "bad-field")
    return voice


_READERS: dict[str, Callable[[_Fields], Inbound]] = {
    "hello": lambda read: Hello(read.text("name", MAX_NAME)),
    "consent": lambda read: Consent(read.boolean("granted")),
    "say": lambda read: Say(
        read.text("id", MAX_NAME),
        read.text("text", MAX_TEXT),
        read.whole("face", MAX_FACES),
        read.optional_text("language", MAX_NAME),
    ),
    "cancel": lambda read: Cancel(read.optional_text("id", MAX_NAME)),
    "mode": lambda read: SetMode(cast(Mode, read.choice("mode", ("text", "convert", "off")))),
    "voice": _read_voice,
    "forget": lambda read: Forget(),
}
