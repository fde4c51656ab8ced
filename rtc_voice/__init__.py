"""A face in a call gets a voice.

Importing the package loads neither torch nor mediapipe nor aiortc; its rooms do when they are used. The way of the
data: ``faces`` (picture to face), ``voices`` (face to voice), ``speech`` (what is said), ``synthesis`` (speech in a
voice), ``rtc`` (the call), ``bot`` (one call wired together), ``api`` (a voice for programs of your own), ``cli`` (the
commands).
"""

import logging
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rtc_voice.api import Voice, VoiceTrack

__all__ = ["Voice", "VoiceTrack"]
__version__ = "0.1.0"

# onnxruntime 1.32 reports its use to its maker unless this is set before it is loaded.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
logging.getLogger(__name__).addHandler(logging.NullHandler())


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from rtc_voice import api

    return getattr(api, name)
