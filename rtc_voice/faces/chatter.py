"""Keeps a native library's start-up chatter off the terminal without losing what others say meanwhile."""

import os
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager

CHATTER = (b"W0000 ", b"I0000 ", b"INFO: Created TensorFlow", b"WARNING: Logging before", b"WARNING: All log messages")
"""How mediapipe's own lines begin; it logs before any setting of its logger can take effect."""

_one_at_a_time = threading.Lock()


@contextmanager
def hidden_chatter() -> Iterator[None]:
    """While inside, file descriptor 2 is collected; after it, all lines but mediapipe's chatter are written out."""
    with _one_at_a_time, tempfile.TemporaryFile() as collected:
        terminal = os.dup(2)
        os.dup2(collected.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(terminal, 2)
            os.close(terminal)
            collected.seek(0)
            for line in collected:
                if not line.startswith(CHATTER):
                    os.write(2, line)
