"""The commands as a person types them, in this process: loading torch anew for each would take minutes."""

import io
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from unittest.mock import patch

from rtc_voice.cli import main


@dataclass(frozen=True, slots=True)
class Done:
    """What a command has printed, and its exit code."""

    returncode: int
    stdout: str
    stderr: str


def run(*words: str) -> Done:
    """``rtc-voice WORDS``; an exception that is not told in words is the test's failure."""
    out, err, code, interval = io.StringIO(), io.StringIO(), 0, sys.getswitchinterval()
    with patch.object(sys, "argv", ["rtc-voice", *words]), redirect_stdout(out), redirect_stderr(err):
        try:
            main()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
        finally:
            sys.setswitchinterval(interval)
    return Done(code, out.getvalue(), err.getvalue())


def check_error(done: Done, code: int = 2) -> tuple[str, str]:
    """The error and its remedy, which are all that was said of it."""
    assert done.returncode == code, done.stderr
    told = [line.partition(": ") for line in done.stderr.splitlines() if line.startswith(("error:", "remedy:"))]
    assert [kind for kind, _, _ in told] == ["error", "remedy"], done.stderr
    return told[0][2], told[1][2]
