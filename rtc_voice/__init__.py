"""A face in a call gets a voice.

Importing the package loads neither torch nor mediapipe nor aiortc; its rooms do when they are used. The way of the
data: ``faces`` (picture to face), ``voices`` (face to voice), ``speech`` (what is said), ``synthesis`` (speech in a
voice), ``rtc`` (the call), ``bot`` (one call wired together), ``cli`` (the commands).
"""

import logging

__version__ = "0.1.0"

logging.getLogger(__name__).addHandler(logging.NullHandler())
