import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rtc_voice.errors import ConsentError, ProtocolError
from rtc_voice.rtc.protocol import (
    MAX_MESSAGE_BYTES,
    MAX_TEXT,
    Cancel,
    Consent,
    Disclosure,
    ErrorMessage,
    Forget,
    Hello,
    Inbound,
    Languages,
    MetricsMessage,
    Outbound,
    Say,
    SetMode,
    SetVoice,
    SpeechEvent,
    State,
    dump,
    parse,
)


@pytest.mark.parametrize(
    "message",
    [
        Hello("Zoë"),
        Consent(True),
        Say("1", "Good morning."),
        Say("1", "Good morning.", face=3),
        Say("1", "Guten Morgen.", language="de"),
        Cancel(),
        Cancel("1"),
        SetMode("convert"),
        SetVoice(pitch=-12, size=1.25),
        SetVoice(brightness=0.5, redraw=4, face=0),
        Forget(),
    ],
)
def test_a_dumped_message_parses_to_itself(message: Inbound) -> None:
    assert parse(dump(message)) == message
    assert parse(dump(message).encode()) == message


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "not-json"),
        ("hello", "not-json"),
        ("[1]", "not-json"),
        ("null", "not-json"),
        (b"\xff\xfe\x00", "not-json"),
        ("[" * 16_000, "not-json"),
        ("{" + " " * MAX_MESSAGE_BYTES + "}", "too-large"),
        ('{"type": "forget"}', "bad-version"),
        ('{"v": 2, "type": "forget"}', "bad-version"),
        ('{"v": true, "type": "forget"}', "bad-version"),
        ('{"v": 1}', "unknown-type"),
        ('{"v": 1, "type": "sing"}', "unknown-type"),
        ('{"v": 1, "type": ["say"]}', "unknown-type"),
        ('{"v": 1, "type": "hello"}', "bad-field"),
        ('{"v": 1, "type": "hello", "name": "  "}', "bad-field"),
        ('{"v": 1, "type": "hello", "name": "\\ud800"}', "bad-field"),
        ('{"v": 1, "type": "consent", "granted": 1}', "bad-field"),
        ('{"v": 1, "type": "say", "id": 1, "text": "a"}', "bad-field"),
        ('{"v": 1, "type": "say", "id": "1", "text": ""}', "bad-field"),
        ('{"v": 1, "type": "say", "id": "1", "text": "a", "face": -1}', "bad-field"),
        ('{"v": 1, "type": "say", "id": "1", "text": "a", "face": true}', "bad-field"),
        (json.dumps({"v": 1, "type": "say", "id": "1", "text": "a" * (MAX_TEXT + 1)}), "too-long"),
        ('{"v": 1, "type": "cancel", "id": 7}', "bad-field"),
        ('{"v": 1, "type": "mode", "mode": "loud"}', "bad-field"),
        ('{"v": 1, "type": "mode", "mode": []}', "bad-field"),
        ('{"v": 1, "type": "voice"}', "bad-field"),
        ('{"v": 1, "type": "voice", "face": 1}', "bad-field"),
        ('{"v": 1, "type": "voice", "pitch": 12.01}', "bad-field"),
        ('{"v": 1, "type": "voice", "pitch": "3"}', "bad-field"),
        ('{"v": 1, "type": "voice", "pitch": NaN}', "bad-field"),
        ('{"v": 1, "type": "voice", "size": 0.79}', "bad-field"),
        ('{"v": 1, "type": "voice", "brightness": -Infinity}', "bad-field"),
        ('{"v": 1, "type": "voice", "redraw": 0.5}', "bad-field"),
        ('{"v": 1, "type": "voice", "redraw": 1' + "0" * 400 + "}", "bad-field"),
    ],
)
def test_a_bad_message_is_refused_with_its_code(text: str | bytes, code: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        parse(text)
    assert caught.value.code == code
    assert caught.value.message
    assert len(caught.value.message) < 200


def test_the_longest_text_is_taken() -> None:
    assert parse(dump(Say("1", "é" * MAX_TEXT))) == Say("1", "é" * MAX_TEXT)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
KINDS = st.sampled_from(["hello", "consent", "say", "cancel", "mode", "voice", "forget"])
NAMES = ["name", "granted", "id", "text", "face", "mode", "pitch", "size", "brightness", "redraw"]
FIELDS = st.fixed_dictionaries({"v": st.just(1), "type": KINDS}, optional={name: JSON for name in NAMES})


@settings(deadline=None, max_examples=3_000, suppress_health_check=[HealthCheck.too_slow])  # of a busy machine
@given(FIELDS)
def test_any_fields_give_a_message_or_a_protocol_error(body: dict[str, object]) -> None:
    try:
        message = parse(json.dumps(body))
    except ProtocolError:
        return
    assert parse(dump(message)) == message


@settings(deadline=None, max_examples=2_000, suppress_health_check=[HealthCheck.too_slow])
@given(st.text() | st.binary() | JSON.map(json.dumps))
def test_anything_at_all_gives_a_message_or_a_protocol_error(text: str | bytes) -> None:
    with pytest.raises(ProtocolError):  # no random text has the right version and type
        parse(text)


@pytest.mark.parametrize(
    ("message", "body"),
    [
        (
            State([], None, False, "text"),
            {"type": "state", "faces": [], "voice": None, "consent": False, "mode": "text"},
        ),
        (
            SpeechEvent("1", "started", 120.5),
            {"type": "speech", "id": "1", "event": "started", "first_audio_ms": 120.5},
        ),
        (SpeechEvent("1", "ended"), {"type": "speech", "id": "1", "event": "ended"}),
        (Disclosure("made by a machine"), {"type": "disclosure", "text": "made by a machine"}),
        (Languages(["en", "de"]), {"type": "languages", "languages": ["en", "de"]}),
        (MetricsMessage({"late_chunks": 2}), {"type": "metrics", "late_chunks": 2}),
        (
            ErrorMessage.of(ConsentError("no consent", "grant it")),
            {"type": "error", "code": "consent-needed", "message": "no consent", "hint": "grant it"},
        ),
    ],
)
def test_outbound_messages_read_as_the_page_expects(message: Outbound, body: dict[str, object]) -> None:
    assert json.loads(dump(message)) == {"v": 1, **body}
