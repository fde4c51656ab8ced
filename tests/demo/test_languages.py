"""The page's choice of a language, with a bot that speaks several by the real Kokoro: run by ``make test-adapters``."""

from pathlib import Path

import pytest

from tests.adapters.kokoro import write_kokoro
from tests.demo.conftest import CHROMIUM, OpenPage, Screenshot, running_server
from tests.demo.hearing import SPEECH_LEVEL, levels, start_recording, stop_recording
from tests.demo.test_page import join_and_agree, until

pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason="needs Chromium: apt install chromium")


def test_the_language_is_chosen_by_keyboard_spoken_and_remembered(
    open_page: OpenPage, screenshot: Screenshot, tmp_path: Path
) -> None:
    kokoro = write_kokoro(tmp_path, "ef_first", "ff_first")
    with running_server("--text-engine", "hibari", "--text-engine", f"kokoro:{kokoro}") as (_, url):
        page = open_page(url)
        assert page.is_hidden("#language-row")
        join_and_agree(page)
        until(page, "rtcVoice.state.voice?.ready")
        choice = page.get_by_label("Language")
        offered = choice.locator("option").all_inner_texts()
        assert offered == ["By its letters", "English", "Spanish", "French"]
        choice.focus()
        for _ in range(2):
            page.keyboard.press("ArrowDown")
        screenshot(page, "20-languages")

        start_recording(page)
        page.fill("#text", "Buenos días.")
        page.press("#text", "Enter")
        until(page, "rtcVoice.state.sentences[0].progress === 'ended'", limit_s=60)
        assert (levels(stop_recording(page)) > SPEECH_LEVEL).sum() * 0.04 > 0.3  # s of speech
        assert page.evaluate("rtcVoice.log.find(({ type }) => type === 'say').language") == "es"
        assert page.get_attribute("#log p", "lang") == page.get_attribute("#text", "lang") == "es"
        choice.select_option("")
        page.fill("#text", "Добрый день.")
        page.press("#text", "Enter")
        until(page, "rtcVoice.state.sentences[1].progress === 'failed'", limit_s=60)
        assert "no text engine speaks what is written in 'Добрый день.'" in page.inner_text("#log li:last-child")

        choice.select_option("fr")
        page.goto(f"{url}/link.html")  # the page of people in rooms has the same choice
        page.evaluate("import('./languages.js').then(({ offerLanguages }) => offerLanguages(['en', 'fr']))")
        assert page.get_by_label("Language").input_value() == "fr"
        page.goto(url)
        page.click("#join")
        until(page, "rtcVoice.state.phase === 'connected'")
        assert page.get_by_label("Language").input_value() == "fr"
