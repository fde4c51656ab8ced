"""A face in a call gets a voice.

Importing the package loads neither torch nor mediapipe nor aiortc; its rooms do when they are used. The way of the
data: ``faces`` (picture to face), ``voices`` (face to voice), ``speech`` (what is said), ``synthesis`` (speech in a
voice), ``rtc`` (the call), ``bot`` (one call wired together), ``cli`` (the commands).
"""

import logging
import os

__version__ = "0.1.0"

# onnxruntime 1.32 reports its use to its maker unless this is set before it is loaded.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
logging.getLogger(__name__).addHandler(logging.NullHandler())
