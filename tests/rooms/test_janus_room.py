"""Chromium → Janus → the bot → Janus → Chromium, all of them real."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page

from tests.rooms.conftest import Bot, enter, wait_for_text, wait_for_voice, write
from tests.rooms.servers import ROOM, JanusServer

pytestmark = pytest.mark.slow

SENTENCE = "Hello, this is my voice."


@pytest.fixture(scope="module")
def bot(janus: JanusServer) -> Iterator[Bot]:
    with Bot(f"janus+{janus.url}?room={ROOM}&name=Voice") as bot:
        yield bot


def test_who_agrees_in_the_chat_is_heard_and_nobody_else(bot: Bot, janus: JanusServer, page: Page) -> None:
    enter(page, janus, "Ann", hears=True)
    enter(page, janus, "Ben")
    wait_for_text(page, "voice yes")
    write(page, "Ben", "Nobody is to hear this.")
    write(page, "Ann", "voice yes")
    wait_for_text(page, "Their voice here is synthetic")
    wait_for_voice(page, "Ann", write(page, "Ann", SENTENCE))
    assert page.evaluate("room.voices['Ben · voice'] === undefined")
