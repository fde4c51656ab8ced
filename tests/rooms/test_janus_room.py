"""Chromium → Janus → the bot → Janus → Chromium, all of them real, and the bot as the command line starts it."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page

from tests.rooms.room import Bot, Correspondence, enter, keep_picture, leave, now, wait_for_text, wait_for_voice, write
from tests.rooms.servers import ROOM, JanusServer, coturn

pytestmark = pytest.mark.slow

SENTENCE = "Hello, this is my voice."
LONG = "One and two and three and four and five and six and seven and eight and nine and ten. " * 2


@pytest.fixture(scope="module")
def bot(janus: JanusServer) -> Iterator[Bot]:
    # On a busy machine fewer than the three who speak at once would be admitted.
    with Bot("join", f"janus+{janus.url}?room={ROOM}&name=Voice", "--max-voices", "4") as bot:
        assert bot.said == f"joined {ROOM} as Voice"
        yield bot


def test_who_agrees_in_the_chat_is_heard_and_nobody_else(bot: Bot, janus: JanusServer, page: Page) -> None:
    enter(page, janus, "Ann", hears=True)
    enter(page, janus, "Ben")
    wait_for_text(page, "voice yes")
    write(page, "Ben", "Nobody is to hear this.")
    write(page, "Ann", "voice yes")
    wait_for_text(page, "Their voice here is synthetic")
    wait_for_voice(page, "Ann · voice", write(page, "Ann", SENTENCE))
    keep_picture(page, "room")
    assert page.evaluate("room.voices['Ben · voice'] === undefined")
    leave(page, "Ann", "Ben")


def test_three_speak_at_once_and_one_who_leaves_in_the_middle_takes_nobody_along(
    bot: Bot, janus: JanusServer, page: Page
) -> None:
    names = ("Ann", "Ben", "Cem")
    enter(page, janus, "Host", hears=True)
    for name in names:
        enter(page, janus, name)
    for name in names:
        agree(page, name)
    since = now(page)
    for name in names:
        write(page, name, LONG)
    for name in names:
        wait_for_voice(page, f"{name} · voice", since)
    leave(page, "Ben")
    page.wait_for_function("room.voices['Ben · voice'].hasEnded()")
    assert not page.evaluate("['Ann', 'Cem'].some((name) => room.voices[`${name} · voice`].hasEnded())")
    for name in ("Ann", "Cem"):
        with Correspondence(bot.links[name]) as letters:
            letters.send("cancel")
            wait_for_voice(page, f"{name} · voice", write(page, name, SENTENCE))
    leave(page, "Host", "Ann", "Cem")


def test_who_agrees_on_their_own_page_types_there_and_is_told_when_they_have_left(
    bot: Bot, janus: JanusServer, page: Page
) -> None:
    bot.links.clear()
    enter(page, janus, "Host", hears=True)
    enter(page, janus, "Ann")
    wait_for_link(page, bot, "Ann")
    own = page.context.new_page()
    own.goto(bot.links["Ann"])
    own.wait_for_selector("text=nothing of you is looked at")
    since = now(page)
    own.click("#grant")
    own.wait_for_selector("text=Your voice is ready")
    own.fill("#text", SENTENCE)
    own.click("#say")
    wait_for_voice(page, "Ann · voice", since)
    own.wait_for_selector("#log >> text=being said")
    own.wait_for_selector("#log >> text= said")
    leave(page, "Ann")
    own.wait_for_selector("text=You have left the room")
    own.close()
    leave(page, "Host")


def test_over_tls_and_a_relay_voices_are_mixed_and_a_signal_lets_what_is_being_said_end(
    janus: JanusServer, page: Page
) -> None:
    with coturn("user", "a,b") as port:
        relay = ("--relay-only", "--ice-server", f"turn:127.0.0.1:{port}?transport=tcp,user,a,b")
        known = ("--consented", "Ann", "--consented", "Ben")
        trusted = {"SSL_CERT_FILE": str(janus.certificate)}
        address = f"janus+{janus.tls_url}?room={ROOM}&name=Mixer"
        with Bot("join", address, "--mix", *known, *relay, environment=trusted) as bot:
            page.evaluate("room.feeds = {}")
            enter(page, janus, "Host", hears=True)
            enter(page, janus, "Ann")
            enter(page, janus, "Ben")
            for name in ("Ann", "Ben"):
                wait_for_link(page, bot, name)
                with Correspondence(bot.links[name]) as letters:
                    since = now(page)
                    letters.send("say", id="one", text=SENTENCE)
                    wait_for_voice(page, "voices", since)
                    letters.next("speech", event="ended")
            assert not [name for name in page.evaluate("Object.keys(room.feeds)") if name.endswith(" · voice")]
            with Correspondence(bot.links["Ben"]) as letters:
                letters.send("say", id="last", text="Yes.")
                letters.send("say", id="waiting", text=SENTENCE)
                letters.next("speech", id="last", event="started")
                assert bot.end() == 0
                ends = {one["id"]: one["event"] for one in letters.rest() if one["type"] == "speech"}
            assert ends == {"last": "ended", "waiting": "cancelled"}
            page.wait_for_function("room.voices.voices.hasEnded()")
            leave(page, "Host", "Ann", "Ben")


def wait_for_link(page: Page, bot: Bot, name: str) -> None:
    """Return when the bot has seen ``name``."""
    while name not in bot.links:
        page.wait_for_timeout(20)


def agree(page: Page, name: str) -> None:
    """Write in the chat, again and again: the bot reads it some time after somebody has come."""
    seen = page.evaluate("room.texts.length")
    script = "([seen, part]) => room.texts.slice(seen).some(({ text }) => text.startsWith(part))"
    while not page.evaluate(script, [seen, f"{name} has agreed"]):
        write(page, name, "voice yes")
        page.wait_for_timeout(200)
