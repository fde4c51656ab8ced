"""The commands."""

import asyncio
import logging
import signal
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

import rtc_voice
from rtc_voice.errors import AudioError, InputError, MissingPartError, RtcVoiceError

app = typer.Typer(
    help="A face in a call gets a voice.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
train = typer.Typer(help="Make the shipped weights again, from data of your own.", no_args_is_help=True)
app.add_typer(train, name="train")
_out = Console(highlight=False)
_err = Console(stderr=True, highlight=False)
_SWITCH_INTERVAL_S = 0.001  # so that no thread keeps the event loop waiting for Python's lock for 5 ms


class Mode(StrEnum):
    """What ``serve`` does for a caller."""

    voice = "voice"
    echo = "echo"


Host = Annotated[str, typer.Option(help="Address to listen on.")]
Learned = Annotated[
    bool, typer.Option("--learned", help="Learned conversion, an experiment: nearer to the voice, some words are lost.")
]
Port = Annotated[int, typer.Option(help="Port to listen on; 0 lets the system choose.", min=0, max=65535)]


def main() -> None:
    """Run the command line; a mistake of the user gives one line and exit code 2, a missing part 3."""
    try:
        app(standalone_mode=True)
    except KeyboardInterrupt:
        sys.exit(130)
    except RtcVoiceError as error:
        _err.print(f"[bold red]error:[/] {error.message}", soft_wrap=True)
        if error.hint:
            _err.print(f"[bold]remedy:[/] {error.hint}", soft_wrap=True)
        sys.exit(2 if isinstance(error, InputError) else 3 if isinstance(error, MissingPartError) else 1)


@app.callback(invoke_without_command=True)
def options(
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log what happens, to standard error.")] = False,
) -> None:
    """A face in a call gets a voice."""
    if version:
        _out.print(rtc_voice.__version__)
        raise typer.Exit
    logging.basicConfig(level=logging.ERROR, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("rtc_voice").setLevel(logging.INFO if verbose else logging.WARNING)


@app.command()
def demo(
    host: Host = "127.0.0.1",
    port: Port = 8080,
    once: Annotated[bool, typer.Option("--once", help="Make the self-call, write the report, and end.")] = False,
    photo: Annotated[Path | None, typer.Option(help="Portrait that calls, instead of the built-in one.")] = None,
    out: Annotated[Path, typer.Option(help="Folder for call.wav, report.json and report.png.")] = Path("demo/out"),
) -> None:
    """Call yourself: a built-in face gets a voice. Then open the page."""
    from rtc_voice.selfcall import PORTRAIT

    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{out} cannot be made: {error.strerror}", "choose another folder with --out") from error
    _run(lambda: _demo(host, port, photo or PORTRAIT, once=once, out=out))


@app.command()
def serve(
    host: Host = "127.0.0.1",
    port: Port = 8080,
    max_calls: Annotated[int, typer.Option(help="Calls at once.", min=1, max=64)] = 4,
    cache: Annotated[Path | None, typer.Option(help="File that remembers voices over restarts.")] = None,
    learned: Learned = False,
    mode: Annotated[Mode, typer.Option(help="echo gives everybody their own sound back, to measure the road.")] = (
        Mode.voice
    ),
) -> None:
    """The bot alone: answers offers at /offer and serves the page."""
    from rtc_voice.bot import Bot, BotConfig
    from rtc_voice.echo import Echo

    def bot() -> Bot | Echo:
        if mode is Mode.echo:
            return Echo(max_calls)
        return Bot(BotConfig(max_calls=max_calls, cache_file=cache, learned=learned))

    async def run() -> None:
        stopped = _stop_signals()
        status = _err.status("loading models …")
        status.start()
        try:
            async with _serving(bot(), host, port, pages=mode is Mode.voice) as url:
                status.stop()
                # The first line of output is the address, for scripts.
                print(url, flush=True)  # noqa: T201
                _err.print("Ctrl-C ends it.")
                await stopped.wait()
        finally:
            status.stop()

    _run(run)


@app.command()
def say(
    text: Annotated[str, typer.Argument(help="What to say, in English.")],
    photo: Annotated[Path, typer.Option(help="Picture whose largest face speaks.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="WAV file to write.")] = Path("out.wav"),
    play: Annotated[bool, typer.Option("--play", help="Play it instead of writing a file.")] = False,
    learned: Learned = False,
) -> None:
    """A photo speaks, without a call."""
    import numpy as np

    from rtc_voice import offline
    from rtc_voice.config import AUDIO
    from rtc_voice.faces.picture import read_picture
    from rtc_voice.speech.audio_file import check_place, write_wav

    if not play:
        check_place(out)
    _prepare()
    with _err.status("looking at the photo …"):
        voice = offline.voice_of(read_picture(photo))
    with _err.status("speaking …"):
        samples = np.concatenate(list(offline.say(text, voice, learned=learned)))
    _err.print(f"a voice of about {voice.f0_hz:.0f} Hz, {len(samples) / AUDIO.sample_rate:.1f} s of speech")
    if play:
        _play(samples, AUDIO.sample_rate)
    else:
        write_wav(out, samples, AUDIO.sample_rate)
        _out.print(str(out))


@app.command()
def bench(
    name: Annotated[str, typer.Argument(help="latency, faults, capacity, synthesis …; all runs every one.")] = "all",
    quick: Annotated[bool, typer.Option("--quick", help="Within a minute each.")] = False,
    json: Annotated[Path | None, typer.Option(help="Write the figures there as JSON (one benchmark only).")] = None,
) -> None:
    """Measure latency and speed on this machine (needs the source tree); all also writes benchmarks/RESULTS.md."""
    import subprocess

    root = Path(rtc_voice.__file__).parent.parent
    files = (p for p in (root / "benchmarks").glob("[a-z]*.py") if p.stem != "all")
    known = sorted(p.stem for p in files if "__main__" in p.read_text())
    if not known:
        raise InputError("the benchmarks are not installed", "clone the repository and run it there")
    if name not in (*known, "all"):
        raise InputError(f"there is no benchmark {name!r}", f"known: all, {', '.join(known)}")
    if name == "all" and json:
        raise InputError("--json takes the figures of one benchmark", f"name one of {', '.join(known)}")
    flags = [*(["--quick"] if quick else []), *(["--json", str(json)] if json else [])]
    command = [sys.executable, "-m", f"benchmarks.{name}", *flags]
    raise typer.Exit(subprocess.run(command, cwd=root, check=False).returncode)


@app.command()
def doctor() -> None:
    """Check what is installed and what is missing, each with its remedy."""
    from rtc_voice.doctor import checks

    table = Table(box=None, pad_edge=False)
    for title in ("", "part", "found", "remedy"):
        table.add_column(title, overflow="fold")
    marks = {"ok": "[green]ok[/]", "missing": "[red]missing[/]", "optional": "[yellow]–[/]"}
    failed = False
    for check in checks():
        table.add_row(marks[check.status], check.part, check.found, check.remedy)
        failed |= check.status == "missing"
    _out.print(table)
    if failed:
        raise typer.Exit(3)


@train.command()
def attributes(
    data: Annotated[Path, typer.Argument(help="Folder that holds train/SET/manifest.csv of the speech sets.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Weights to write.")] = Path(
        "face_voice_attributes.safetensors"
    ),
) -> None:
    """Fit the first face-to-voice predictor on licensed speech (about 90 s; needs the extra `train`)."""
    try:
        from rtc_voice.training.fit_attributes import fit
    except ModuleNotFoundError as error:
        raise MissingPartError(f"{error.name} is not installed", "pip install 'rtc-voice[train]'") from error

    _prepare()
    with _err.status("reading the manifests …") as status:
        figures = fit(data, out, lambda line: status.update(line))
    for name, figure in figures.items():
        _out.print(f"{name}: {figure:.3g}")


@train.command()
def export() -> None:
    """Write the shipped networks as ONNX graphs again, after new weights (about 30 s; needs the extra `train`)."""
    try:
        import onnxscript  # noqa: F401 - what torch's exporter needs
    except ModuleNotFoundError as error:
        raise MissingPartError(f"{error.name} is not installed", "pip install 'rtc-voice[train]'") from error
    from rtc_voice.training.export import export_chain

    _prepare()
    with _err.status("loading …") as status:
        export_chain(lambda line: status.update(line))


def _prepare() -> None:
    """One thread for torch: two make small chunks slower (p95 16.9 ms instead of 0.41)."""
    import torch

    torch.set_num_threads(1)
    sys.setswitchinterval(_SWITCH_INTERVAL_S)


def _run(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    _prepare()
    asyncio.run(work())


@asynccontextmanager
async def _serving(bot: Any, host: str, port: int, *, pages: bool = True) -> AsyncIterator[str]:
    """A ``Bot`` or an ``Echo`` behind a web server: its address."""
    from rtc_voice.rtc.signaling import http

    async with bot:
        application = http.create_app(
            bot.open_call,
            bot.close_call,
            live_calls=lambda: bot.calls.keys(),
            add_candidate=bot.add_candidate,
            health=bot.health,
            max_calls=bot.max_calls,
            web_dir=_web_folder() if pages else None,
        )
        async with http.serve(application, host, port) as real_port:
            yield f"http://{host}:{real_port}"


def _web_folder() -> Path | None:
    here = Path(rtc_voice.__file__).parent
    return next((p for p in (here / "web", here.parent / "demo" / "web") if p.is_dir()), None)


async def _demo(host: str, port: int, photo: Path, *, once: bool, out: Path) -> None:
    from rtc_voice import report
    from rtc_voice.bot import Bot
    from rtc_voice.rtc.signaling.http import post_offer
    from rtc_voice.selfcall import call_oneself

    status = _err.status("loading models …")
    status.start()
    try:
        async with _serving(Bot(), host, 0 if once else port) as url:
            status.update("calling myself: a portrait joins, types a sentence and speaks one …")
            call = await call_oneself(post_offer(f"{url}/offer"), photo)
            status.update("drawing the report …")
            await asyncio.to_thread(report.write, call, out)
            status.stop()
            table = Table(box=None, show_header=False, pad_edge=False)
            for name, figure in report.table(call):
                table.add_row(name, f"[bold]{figure}[/]")
            _out.print(table)
            if call.late_chunks:
                _out.print("This machine was busy: late chunks are holes in the speech. Close other programs.")
            for what, name in (("listen", "call.wav"), ("look", "report.png"), ("figures", "report.json")):
                _out.print(f"{what}: {out / name}", soft_wrap=True)
            if not once:
                _out.print(f"\nNow yours: open [bold]{url}[/] in a browser. Ctrl-C ends it.")
                await _stop_signals().wait()
    finally:
        status.stop()


def _stop_signals() -> asyncio.Event:
    """An event that Ctrl-C or SIGTERM sets from now on."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        _on_signal(loop, number, stopped.set)
    return stopped


def _on_signal(loop: asyncio.AbstractEventLoop, number: int, action: Callable[[], None]) -> None:
    try:
        loop.add_signal_handler(number, action)
    except NotImplementedError:  # Windows
        signal.signal(number, lambda *_: loop.call_soon_threadsafe(action))


def _play(samples: Any, sample_rate: int) -> None:
    try:
        import sounddevice
    except OSError as error:
        raise MissingPartError("PortAudio is not installed", "apt-get install libportaudio2") from error
    try:
        sounddevice.play(samples, sample_rate, blocking=True)
    except sounddevice.PortAudioError as error:
        raise AudioError(f"no speaker can be used: {error}", "write a file with -o instead") from error
