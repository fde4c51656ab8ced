"""The participant's terminal: a line of levels above the line that is typed."""

import asyncio
import sys
import threading
from collections.abc import AsyncIterator
from typing import TextIO

from rtc_voice.local.call import LocalCall

_REDRAW_S = 0.1
_ABOVE, _CLEAR, _SAVE, _RESTORE = "\x1b[1A\r", "\x1b[2K", "\x1b7", "\x1b8"


async def typed_lines(stream: TextIO) -> AsyncIterator[str]:
    """The lines of ``stream``, stripped; a thread reads them, since not every stream can be polled."""
    loop = asyncio.get_running_loop()
    lines: asyncio.Queue[str | None] = asyncio.Queue()

    def read() -> None:
        for line in stream:
            loop.call_soon_threadsafe(lines.put_nowait, line.strip())
        loop.call_soon_threadsafe(lines.put_nowait, None)

    threading.Thread(target=read, name="typed lines", daemon=True).start()
    while (line := await lines.get()) is not None:
        yield line


class Screen:
    """Messages, and under them the levels, on standard error; without a terminal only the messages."""

    def __init__(self) -> None:
        self._out = sys.stderr
        self._has_levels = self._out.isatty()
        self._is_first = True

    def tell(self, message: str) -> None:
        """Show a message above the levels."""
        start, end = ("", "\n") if not self._has_levels or self._is_first else (_ABOVE + _CLEAR, "\n\n")
        self._is_first = False
        self._out.write(start + message + end)
        self._out.flush()

    async def show_levels(self, call: LocalCall) -> None:
        """Draw the levels of ``call`` anew, until cancelled."""
        if not self._has_levels:
            return
        self._out.write("\n")
        while True:
            self._out.write(_SAVE + _ABOVE + _CLEAR + describe(call) + _RESTORE)
            self._out.flush()
            await asyncio.sleep(_REDRAW_S)


def describe(call: LocalCall) -> str:
    """Where things stand, in one line."""
    voice = f"{call.f0_hz:.0f} Hz" if call.f0_hz else "no voice yet"
    microphone = str(call.spoken) if call.is_talking else "off, Enter opens it "
    return f"{len(call.seen)} face(s), {voice} | microphone {microphone} | voice {call.played}"
