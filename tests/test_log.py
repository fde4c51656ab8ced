"""Logs as JSON: one object a line, whatever is logged."""

import json
import logging
import sys
from datetime import datetime

from rtc_voice.log import JsonLines


def entry(message: str, *words: object, fails: bool = False) -> dict[str, str]:
    record = logging.LogRecord("rtc_voice.bot", logging.ERROR, "", 0, message, words, None)
    if fails:
        try:
            raise RuntimeError("broken\nin two")
        except RuntimeError:
            record.exc_info = sys.exc_info()
    line = JsonLines().format(record)
    assert "\n" not in line
    return dict(json.loads(line))


def test_a_message_of_several_lines_is_one_line() -> None:
    found = entry('%s said "no"\nand left', "Ann")
    assert datetime.fromisoformat(found.pop("time")).tzinfo is not None
    assert found == {"level": "ERROR", "logger": "rtc_voice.bot", "message": 'Ann said "no"\nand left'}


def test_an_exception_is_told_whole() -> None:
    assert entry("it failed", fails=True)["error"].endswith("RuntimeError: broken\nin two")
