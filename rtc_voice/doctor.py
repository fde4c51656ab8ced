"""What is installed, what is missing, and what to do about it."""

import asyncio
import importlib.util
import platform
import shutil
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

from rtc_voice.errors import RtcVoiceError

_ASSETS = Path(__file__).parent / "assets"
_MOST_VOICES = 64  # that are tried
_PACKAGES = ("aiohttp", "aiortc", "av", "hibari-tts", "mediapipe", "numpy", "onnxruntime", "safetensors", "torch")


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the doctor's report."""

    part: str
    status: Literal["ok", "missing", "optional"]  # optional: absent, and only some commands need it
    found: str
    remedy: str = ""


def checks() -> Iterator[Check]:
    """One after the other, the cheap ones first. None of them raises."""
    yield _python()
    yield from (_package(name) for name in _PACKAGES)
    parts: tuple[tuple[str, Callable[[], Check]], ...] = (
        ("models", _models),
        ("face tracking", _faces),
        ("text to speech", _text),
        ("synthesis", _synthesis),
        ("CUDA", _cuda),
        ("sound card", _sound),
        ("camera", _camera),
        ("Chromium", _chromium),
        ("addresses for calls", _addresses),
    )
    for part, check in parts:
        try:
            yield check()
        except RtcVoiceError as error:
            yield Check(part, "missing", error.message, error.hint)
        except Exception as error:  # a broken installation can fail in any way, and this is where one looks
            yield Check(part, "missing", f"{type(error).__name__}: {error}"[:120], "install the package again")


def ice_checks(servers: Sequence[str]) -> list[Check]:
    """The ways through the network by ``servers`` (``URL[,USER,PASSWORD]``), tried.

    Raises:
        InputError: one of them is no server.
    """
    from rtc_voice.rtc.ice import IceConfig, IceServer
    from rtc_voice.rtc.ice_check import check_ice

    config = IceConfig(tuple(IceServer.parse(text) for text in servers))

    async def find() -> list[Check]:
        return [
            Check(f"ICE {one.way}", "ok" if one.works else "missing", one.found, "" if one.works else one.remedy)
            async for one in check_ice(config)
        ]

    return asyncio.run(find())


def _python() -> Check:
    found = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    is_new = sys.version_info >= (3, 11)
    return Check("Python", "ok" if is_new else "missing", found, "" if is_new else "install Python 3.11 or newer")


def _package(name: str) -> Check:
    try:
        return Check(name, "ok", metadata.version(name))
    except metadata.PackageNotFoundError:
        return Check(name, "missing", "not installed", f"pip install {name}")


def _models() -> Check:
    files = [p for p in _ASSETS.rglob("*") if p.suffix in (".safetensors", ".task")]
    size = sum(p.stat().st_size for p in files) / 1e6
    if not files:
        return Check("models", "missing", "none in the package", "install rtc-voice again, from a whole clone")
    return Check("models", "ok", f"{len(files)} files, {size:.0f} MB, all local")


def _faces() -> Check:
    from rtc_voice.faces.picture import read_picture
    from rtc_voice.faces.tracker import find_faces

    faces = find_faces(read_picture(_ASSETS / "portraits" / "astronaut.jpg"))
    if len(faces) != 1:
        return Check("face tracking", "missing", f"{len(faces)} faces in the test portrait", "install mediapipe again")
    return Check("face tracking", "ok", "finds the test portrait's face")


def _text() -> Check:
    from rtc_voice.speech.text import SAMPLE_RATE, TextToSpeech

    seconds = sum(len(s) for s in TextToSpeech().sentences("A test.")) / SAMPLE_RATE
    return Check("text to speech", "ok", f"English; said a test sentence ({seconds:.1f} s)")


def _synthesis() -> Check:
    import torch

    from rtc_voice.metrics import Metrics
    from rtc_voice.synthesis.chain import load_chain
    from rtc_voice.synthesis.speed import measure, voices_that_fit

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        chain = load_chain()
        p50_ms = measure(chain, seconds=1.0, metrics=Metrics())
        voices = voices_that_fit(chain, _MOST_VOICES)
    finally:
        torch.set_num_threads(threads)
    chunk_ms = chain.config.chunk_ms
    found = f"{p50_ms:.1f} ms for {chunk_ms} ms of speech, {voices} voices at once; live conversion lags by "
    found += f"{chain.latency_ms:.0f} ms, typed text by {chain.text_latency_ms:.0f} ms"
    if p50_ms > chunk_ms:
        return Check("synthesis", "missing", found, "this machine is too slow to speak live: close other programs")
    return Check("synthesis", "ok", found)


def _cuda() -> Check:
    import torch

    if torch.cuda.is_available():
        return Check("CUDA", "ok", torch.cuda.get_device_name(0))
    return Check("CUDA", "optional", "no GPU; one CPU core is enough for a few voices")


def _sound() -> Check:
    remedy = "apt-get install libportaudio2 (only `local` and `say --play` need it)"
    try:
        import sounddevice
    except OSError:
        return Check("sound card", "optional", "PortAudio is not installed", remedy)
    devices = [d["name"] for d in sounddevice.query_devices() if d["max_output_channels"]]
    if not devices:
        return Check(
            "sound card", "optional", "PortAudio finds no output", "connect speakers (only `local` and `say --play`)"
        )
    return Check("sound card", "ok", f"{len(devices)} outputs, among them {devices[0]}")


def _camera() -> Check:
    if platform.system() != "Linux":
        return Check("camera", "optional", "the browser asks for it on the page")
    cameras = sorted(Path("/dev").glob("video*"))
    if not cameras:
        return Check("camera", "optional", "none here", "connect one to use `local` or the page on this machine")
    return Check("camera", "ok", ", ".join(str(c) for c in cameras))


def _chromium() -> Check:
    browser = shutil.which("chromium")
    if browser is None:
        return Check("Chromium", "optional", "not here; only the page's tests need it", "apt-get install chromium")
    if importlib.util.find_spec("playwright") is None:
        remedy = "pip install 'rtc-voice[dev]' (only the page's tests need it)"
        return Check("Chromium", "optional", f"{browser}, but no playwright", remedy)
    return Check("Chromium", "ok", f"{browser}, for the page's tests")


def _addresses() -> Check:
    from aioice.ice import get_host_addresses

    addresses = get_host_addresses(use_ipv4=True, use_ipv6=True)
    if not addresses:
        name = socket.gethostname()
        return Check("addresses for calls", "missing", f"{name} has none but loopback", "connect to a network")
    return Check("addresses for calls", "ok", f"{len(addresses)}: {', '.join(addresses[:3])}")
