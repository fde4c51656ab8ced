"""Pictures of a camera of this machine, or of a file in its place, as a track."""

import sys
from pathlib import Path

import av.error
from aiortc.contrib.media import MediaPlayer
from aiortc.mediastreams import MediaStreamTrack

from rtc_voice.errors import PictureError, no_file

_NAMES = Path("/sys/class/video4linux")
_SIZE = {"video_size": "640x480", "framerate": "30"}
_FORMATS = {"linux": "v4l2", "darwin": "avfoundation", "win32": "dshow"}


def list_cameras() -> dict[str, str]:
    """The name of each camera by its device (Linux; elsewhere nothing can be listed)."""
    return {f"/dev/{entry.name}": _name(entry) for entry in sorted(_NAMES.glob("video*"))}


def open_camera(name: str | None = None) -> MediaStreamTrack:
    """A camera of this machine: the first, or the one whose device is or whose name contains ``name``.

    Raises:
        PictureError: there is none, or another program has it.
    """
    device = _find(name) if sys.platform == "linux" else name or "default"
    if sys.platform == "win32":
        device = f"video={device}"
    return _open(device, "close other programs that use it", format=_FORMATS.get(sys.platform), options=_SIZE)


def open_video(path: Path) -> MediaStreamTrack:
    """The pictures of a video file at their own pace, once.

    Raises:
        PictureError: no such file, or nothing in it to see.
    """
    if not path.is_file():
        raise PictureError(no_file(path), "check the path")
    return _open(str(path), "give a video (MP4, WebM, …) or a picture")


def _open(
    device: str, remedy: str, format: str | None = None, options: dict[str, str] | None = None
) -> MediaStreamTrack:
    try:
        track = MediaPlayer(device, format=format, options=options).video
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise PictureError(f"{device} cannot be opened: {error!s:.100}", remedy) from error
    if track is None:
        raise PictureError(f"{device} shows no pictures", remedy)
    return track


def _find(name: str | None) -> str:
    cameras = list_cameras()
    for device, title in cameras.items():
        if name is None or name == device or name.lower() in title.lower():
            return device
    known = ", ".join(f"{device} ({title})" for device, title in cameras.items())
    if name is None or not known:
        raise PictureError("no camera is connected", "connect one, or give --video FILE")
    raise PictureError(f"there is no camera {name!r}", f"known: {known}")


def _name(entry: Path) -> str:
    try:
        return (entry / "name").read_text().strip()
    except OSError:
        return "camera"
