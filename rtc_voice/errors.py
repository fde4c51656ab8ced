"""Everything that can go wrong and that a person can mend.

    RtcVoiceError
    ├── InputError            a file, text or option that cannot be used
    │   ├── PictureError      not a readable picture, or too large
    │   ├── NoFaceError       a picture without a usable face
    │   ├── AudioError        not a readable recording, or empty
    │   └── TextError         nothing that can be spoken
    ├── ProtocolError         a message or offer from a peer that breaks the protocol
    ├── ConsentError          asked for something that needs consent first
    ├── CapacityError         no room for another call or voice
    └── MissingPartError      a system part or package is not installed

Each carries ``message`` (what happened, one line), ``hint`` (what to do about it) and ``code`` (a short stable name
that travels in ``error`` messages to peers).
"""

from pathlib import Path


class RtcVoiceError(Exception):
    """The root of the tree: catch it to catch all of ours."""

    code = "error"

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class InputError(RtcVoiceError):
    """A file, text or option that cannot be used."""

    code = "bad-input"


class PictureError(InputError):
    """Not a readable picture, or too large a one."""

    code = "bad-picture"


class NoFaceError(InputError):
    """A picture without a usable face."""

    code = "no-face"


class AudioError(InputError):
    """Not a readable recording, or an empty one."""

    code = "bad-audio"


class TextError(InputError):
    """Nothing that can be spoken."""

    code = "bad-text"


class ProtocolError(RtcVoiceError):
    """A message or an offer from a peer that breaks the protocol."""

    code = "bad-message"

    def __init__(self, message: str, hint: str = "", code: str = "bad-message") -> None:
        super().__init__(message, hint)
        self.code = code


class ConsentError(RtcVoiceError):
    """Asked for something that needs the participant's consent first."""

    code = "consent-needed"


class CapacityError(RtcVoiceError):
    """No room for another call or voice."""

    code = "full"


class MissingPartError(RtcVoiceError):
    """A system part or a package is not installed."""

    code = "missing-part"


def no_file(path: Path) -> str:
    """The message for what is not a file, though it should be."""
    return f"{path} is a folder" if path.is_dir() else f"there is no file {path}"
