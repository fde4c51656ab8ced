"""Files that a command is told to write, checked before anything is computed for them."""

import os
from collections.abc import Iterable
from pathlib import Path

from rtc_voice.errors import InputError


def check_place(path: Path, suffix: str, error: type[InputError]) -> None:
    """Make the folders on the way to a file that shall be written, so that nothing is computed in vain.

    Args:
        path: the file.
        suffix: how its name must end, in lower case.
        error: raised where it cannot be written.
    """
    if path.suffix.lower() != suffix:
        raise error(f"{path.name} is no name of a {suffix[1:].upper()} file", f"let it end in {suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as reason:
        raise error(f"{path.parent} cannot be made: {reason.strerror}", "choose another place with -o") from reason
    if path.is_dir() or not os.access(path if path.exists() else path.parent, os.W_OK):
        raise error(f"{path} cannot be written", "choose another place with -o")


def check_not_over(path: Path, sources: Iterable[Path | None], error: type[InputError]) -> None:
    """Raises ``error`` where writing to ``path`` would destroy one of the ``sources``; None among them is no file."""
    if path.exists() and any(source is not None and source.exists() and path.samefile(source) for source in sources):
        raise error(f"{path} would be written over", "choose another place for what is made")
