"""The commands."""

import asyncio
import logging
import os
import secrets
import signal
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

import rtc_voice
from rtc_voice.errors import AudioError, InputError, MissingPartError, PictureError, RtcVoiceError
from rtc_voice.log import JsonLines
from rtc_voice.output import check_not_over, check_place

app = typer.Typer(
    help="A face in a call gets a voice.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode=None,  # its boxes take twice the lines: the longest help would not fit a screen of 80 columns
    context_settings={"help_option_names": ["-h", "--help"]},
)
train = typer.Typer(
    help="Make the shipped weights again, from data of your own.", no_args_is_help=True, rich_markup_mode=None
)
app.add_typer(train, name="train")
# Without markup: what stands in brackets, as in rtc-voice[piper] or a file's name, would be taken for it and left out.
_out = Console(highlight=False, markup=False)
_err = Console(stderr=True, highlight=False, markup=False)
_MAX_VOICES = 4  # of a room, unless told
_SWITCH_INTERVAL_S = 0.001  # so that no thread keeps the event loop waiting for Python's lock for 5 ms


class Mode(StrEnum):
    """What ``serve`` does for a caller."""

    voice = "voice"
    echo = "echo"


Host = Annotated[str, typer.Option(help="Address to listen on.")]
Cache = Annotated[Path | None, typer.Option(help="File that remembers voices over restarts.")]
IceServers = Annotated[
    list[str] | None,
    typer.Option(
        metavar="SERVER", help="STUN or TURN server, URL[,USER,PASSWORD]; repeat it. The first of each kind is used."
    ),
]
RelayOnly = Annotated[bool, typer.Option("--relay-only", help="Send and receive through the TURN server only.")]
Consented = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME", help="Somebody who has agreed, as the room shows them; you answer for it. Repeat it."),
]
Token = Annotated[
    str | None,
    typer.Option(envvar="RTC_VOICE_TOKEN", help="What clients must send; on addresses of a network one is made up."),
]
Origins = Annotated[
    list[str] | None, typer.Option(metavar="URL", help="Origin whose pages may call, https://HOST; repeat it.")
]
TlsCert = Annotated[Path | None, typer.Option(help="Certificate (PEM), for https.")]
TlsKey = Annotated[Path | None, typer.Option(help="The certificate's key (PEM).")]
PredictorOption = Annotated[
    Literal["learned", "attributes"],
    typer.Option("--predictor", help="From face to voice: learned from pairs, or apparent sex and age alone."),
]
TextEnginesOption = Annotated[
    list[str] | None,
    typer.Option(
        "--text-engine",
        metavar="ENGINE",
        help="NAME or NAME:MODEL (docs/text-engines.md); repeat it. The first is asked first.",
    ),
]
DeviceOption = Annotated[
    Literal["auto", "cpu", "cuda"],
    typer.Option("--device", help="Where voices are made; auto: on a GPU where there is one."),
]
Port = Annotated[int, typer.Option(help="Port to listen on; 0 lets the system choose.", min=0, max=65535)]


def main() -> None:
    """Run the command line; a mistake of the user gives one line and exit code 2, a missing part 3."""
    try:
        app(standalone_mode=True)
    except KeyboardInterrupt:
        sys.exit(130)
    except RtcVoiceError as error:
        _err.print(Text.assemble(("error:", "bold red"), f" {error.message}"), soft_wrap=True)
        if error.hint:
            _err.print(Text.assemble(("remedy:", "bold"), f" {error.hint}"), soft_wrap=True)
        sys.exit(2 if isinstance(error, InputError) else 3 if isinstance(error, MissingPartError) else 1)
    except OSError as error:  # a full disk, a name that is too long, a place that takes no files
        logging.getLogger("rtc_voice").info("the system refused", exc_info=True)
        place = f": {str(error.filename):.100}" if error.filename else ""
        _err.print(Text.assemble(("error:", "bold red"), f" {error.strerror or error}{place}"), soft_wrap=True)
        _err.print(Text.assemble(("remedy:", "bold"), " use another name or place"), soft_wrap=True)
        sys.exit(1)


@app.callback(invoke_without_command=True)
def options(
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log what happens, to standard error.")] = False,
    log_json: Annotated[bool, typer.Option("--log-json", help="Log as JSON, an object a line.")] = False,
) -> None:
    """A face in a call gets a voice."""
    if version:
        _out.print(rtc_voice.__version__)
        raise typer.Exit
    logging.basicConfig(level=logging.ERROR, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    if log_json:
        logging.getLogger().handlers[0].setFormatter(JsonLines())
    logging.getLogger("rtc_voice").setLevel(logging.INFO if verbose else logging.WARNING)


@app.command()
def demo(
    host: Host = "127.0.0.1",
    port: Port = 8080,
    once: Annotated[bool, typer.Option("--once", help="Make the self-call, write the report, and end.")] = False,
    photo: Annotated[Path | None, typer.Option(help="Portrait that calls, instead of the built-in one.")] = None,
    out: Annotated[Path, typer.Option(help="Folder for call.wav, report.json and report.png.")] = Path("demo/out"),
    predictor: PredictorOption = "learned",
    device: DeviceOption = "auto",
) -> None:
    """Call yourself: a built-in face gets a voice. Then open the page."""
    from rtc_voice.selfcall import PORTRAIT

    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{out} cannot be made: {error.strerror}", "choose another folder with --out") from error
    from rtc_voice.bot import BotConfig

    config = BotConfig(predictor=predictor, device=device)
    _run(lambda: _demo(config, host, port, photo or PORTRAIT, once=once, out=out))


@app.command()
def serve(
    host: Host = "127.0.0.1",
    port: Port = 8080,
    max_calls: Annotated[int, typer.Option(help="Calls at once.", min=1, max=64)] = 4,
    cache: Cache = None,
    mode: Annotated[Mode, typer.Option(help="echo gives everybody their own sound back, to measure the road.")] = (
        Mode.voice
    ),
    consented: Consented = None,
    token: Token = None,
    origin: Origins = None,
    tls_cert: TlsCert = None,
    tls_key: TlsKey = None,
    ice_server: IceServers = None,
    relay_only: RelayOnly = False,
    predictor: PredictorOption = "learned",
    text_engine: TextEnginesOption = None,
    device: DeviceOption = "auto",
    fuse: Annotated[
        bool, typer.Option("--fuse", help="Compile for the GPU: a minute at the start, a voice alone in half the time.")
    ] = False,
) -> None:
    """Serve the page and all who call. Offers go to /offer, WHIP to /whip/NAME, WHEP to /whep/NAME."""
    ice = _ice(ice_server, relay_only)
    names = frozenset(consented or [])
    door = _door(host, port, token, frozenset(origin or []), cert=tls_cert, key=tls_key, ice=ice)

    def make_bot() -> Any:
        if mode is Mode.echo:
            from rtc_voice.echo import Echo

            return Echo(max_calls, ice=ice)
        from rtc_voice.bot import Bot, BotConfig

        return Bot(BotConfig(max_calls, cache, ice, predictor, _engines(text_engine), device=device, fuse=fuse))

    async def run() -> None:
        stopped = _stop_signals()
        bot = make_bot()
        status = _err.status("loading models …")
        status.start()
        try:
            serving = _serving(bot, door) if mode is Mode.echo else _serving_voices(bot, door, names)
            async with serving as url:
                status.stop()
                _say_what_consent_means(names)
                # The first line of output is the address, for scripts.
                print(door.invitation(url), flush=True)  # noqa: T201
                _err.print("Ctrl-C ends it.")
                await stopped.wait()
                if mode is Mode.voice:
                    await bot.drain()
        finally:
            status.stop()

    _run(run, with_torch=mode is Mode.voice)
    _end_at_once()


@app.command()
def local(
    camera: Annotated[str | None, typer.Option(help="Camera, by a part of its name.")] = None,
    microphone: Annotated[str | None, typer.Option(help="Microphone, by a part of its name.")] = None,
    speakers: Annotated[str | None, typer.Option(help="Speakers, by a part of their name.")] = None,
    video: Annotated[Path | None, typer.Option(help="Video or picture in place of a camera.")] = None,
    audio: Annotated[Path | None, typer.Option(help="Recording in place of a microphone; ends with it.")] = None,
    out: Annotated[Path | None, typer.Option(help="WAV file in place of speakers.")] = None,
    headphones: Annotated[bool, typer.Option("--headphones", help="Open the microphone from the start.")] = False,
    preview: Annotated[bool, typer.Option("--preview", help="Show the picture and its faces on a page.")] = False,
    list_devices: Annotated[bool, typer.Option("--list-devices", help="Show the devices, and end.")] = False,
    predictor: PredictorOption = "learned",
    text_engine: TextEnginesOption = None,
    device: DeviceOption = "auto",
) -> None:
    """Type or speak at this machine in a face's voice. Its camera sees the face; there is no call."""
    if list_devices:
        _list_devices()
        return
    from rtc_voice.bot import BotConfig
    from rtc_voice.local.start import Places, run

    if out is not None:
        check_not_over(out, (video, audio), AudioError)
    places = Places(camera, microphone, speakers, video, audio, out, headphones, preview)
    config = BotConfig(max_calls=1, predictor=predictor, text_engines=_engines(text_engine), device=device)
    _run(lambda: run(places, config))
    if out is not None:
        _out.print(str(out), soft_wrap=True)


@app.command()
def join(
    room: Annotated[
        str,
        typer.Argument(
            help="janus+ws://HOST:PORT/?room=1234&name=Voice, or whip+https://HOST/VOICE?whep=https://HOST/NAME&name=NAME"
        ),
    ],
    consented: Consented = None,
    mix: Annotated[bool, typer.Option("--mix", help="One track for all voices, instead of one each.")] = False,
    max_voices: Annotated[
        int | None,
        typer.Option(help="Voices at once; up to 4, as this machine has time for, if not given.", min=1, max=64),
    ] = None,
    host: Host = "127.0.0.1",
    port: Port = 0,
    cache: Cache = None,
    ice_server: IceServers = None,
    relay_only: RelayOnly = False,
    predictor: PredictorOption = "learned",
    text_engine: TextEnginesOption = None,
    device: DeviceOption = "auto",
) -> None:
    """Join a room that others run. Everybody there who agrees gets a voice."""
    from rtc_voice.bot import BotConfig
    from rtc_voice.room import RoomConfig

    ice = _ice(ice_server, relay_only)
    config = BotConfig(
        max_voices or _MAX_VOICES, cache, ice, predictor, _engines(text_engine), max_voices, device=device
    )
    _run(lambda: _join(room, config, RoomConfig(frozenset(consented or []), mix), host, port))
    _end_at_once()


@app.command()
def say(
    text: Annotated[str, typer.Argument(help="What to say; in English unless another text engine is named.")],
    photo: Annotated[Path, typer.Option(help="Picture whose largest face speaks.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="WAV file to write.")] = Path("out.wav"),
    play: Annotated[bool, typer.Option("--play", help="Play it instead of writing a file.")] = False,
    predictor: PredictorOption = "learned",
    text_engine: TextEnginesOption = None,
    language: Annotated[str | None, typer.Option(help="ISO 639-1, such as de; by its letters if not given.")] = None,
) -> None:
    """A photo speaks, without a call."""
    import numpy as np

    from rtc_voice import offline
    from rtc_voice.config import AUDIO
    from rtc_voice.faces.picture import read_picture
    from rtc_voice.speech.audio_file import write_wav

    if not play:
        check_place(out, ".wav", AudioError)
    _prepare()
    with _err.status("looking at the photo …"):
        voice = offline.voice_of(read_picture(photo), predictor)
    with _err.status("speaking …"):
        samples = np.concatenate(list(offline.say(text, voice, _engines(text_engine), language)))
    _err.print(f"a voice of about {voice.f0_hz:.0f} Hz, {len(samples) / AUDIO.sample_rate:.1f} s of speech")
    if play:
        _play(samples, AUDIO.sample_rate)
    else:
        write_wav(out, samples, AUDIO.sample_rate)
        _out.print(str(out))


@app.command()
def convert(
    source: Annotated[Path, typer.Argument(metavar="IN", help="Recording to convert; any format, a video too.")],
    to: Annotated[Path, typer.Option("--to", help="Whose voice: a photo, or a recording of one person (3 s or more).")],
    out: Annotated[Path, typer.Option("--out", "-o", help="WAV file to write.")] = Path("out.wav"),
) -> None:
    """A recording in another voice, chunk by chunk as in a call."""
    import numpy as np
    from rich.progress import track

    from rtc_voice import offline
    from rtc_voice.config import AUDIO
    from rtc_voice.speech.audio_file import write_wav
    from rtc_voice.synthesis.chain import load_chain

    check_place(out, ".wav", AudioError)
    check_not_over(out, (source, to), AudioError)
    _prepare()
    samples = offline.read_source(source)
    with _err.status("finding the voice …"):
        voice, chain = offline.voice_from(to), load_chain()
    chunks = offline.convert(samples, voice, chain)
    total = offline.count_chunks(samples, chain)
    converted = list(track(chunks, "converting", total=total, console=_err, transient=True))
    write_wav(out, np.concatenate(converted), AUDIO.sample_rate)
    _err.print(f"a voice of about {voice.f0_hz:.0f} Hz, {len(samples) / AUDIO.sample_rate:.1f} s of speech")
    _out.print(str(out), soft_wrap=True)


@app.command()
def photo(
    image: Annotated[Path, typer.Argument(help="Picture with one or more faces.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Contact sheet to write, a PNG.")] = Path("photo.png"),
    predictor: PredictorOption = "learned",
) -> None:
    """What is found in a picture. Faces, how they come across, and the voices they would get."""
    from rtc_voice import sheet
    from rtc_voice.faces.picture import read_picture
    from rtc_voice.voices.predictor import load_predictor

    check_place(out, ".png", PictureError)
    check_not_over(out, (image,), PictureError)
    _prepare()
    with _err.status("looking at the photo …"):
        picture = read_picture(image)
        findings = sheet.look(picture, load_predictor(predictor))
    for finding in findings:
        table = Table(
            box=None, show_header=False, pad_edge=False, title=f"face {finding.face.id + 1}", title_justify="left"
        )
        for name, figure in sheet.table(finding):
            table.add_row(name, Text(figure, "bold"))
        _out.print(table)
    _out.print("Impressions of networks, no facts; a face does not determine a voice.")
    sheet.draw(picture, findings, out)
    _out.print(f"contact sheet: {out}", soft_wrap=True)


@app.command()
def bench(
    name: Annotated[str, typer.Argument(help="latency, faults, capacity, synthesis …; all runs every one.")] = "all",
    quick: Annotated[bool, typer.Option("--quick", help="Within a minute each.")] = False,
    json: Annotated[Path | None, typer.Option(help="Write the figures there as JSON (one benchmark only).")] = None,
) -> None:
    """Measure latency and speed here. It needs the source tree; all also writes benchmarks/RESULTS.md."""
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
def doctor(ice_server: IceServers = None) -> None:
    """Check what is installed, and the network. What is missing is told with its remedy."""
    from rtc_voice.doctor import checks, ice_checks

    table = Table(box=None, pad_edge=False)
    for title in ("", "part", "found", "remedy"):
        table.add_column(title, overflow="fold")
    marks = {"ok": Text("ok", "green"), "missing": Text("missing", "red"), "optional": Text("–", "yellow")}
    failed = False
    for check in [*checks(), *ice_checks(ice_server or [])]:
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
    """Fit the first face-to-voice predictor. On licensed speech, about 90 s; needs the extra `train`."""
    try:
        from rtc_voice.training.fit_attributes import fit
    except ModuleNotFoundError as error:
        raise MissingPartError(f"{error.name} is not installed", "pip install 'rtc-voice[train]'") from error

    _prepare()
    with _err.status("reading the manifests …") as status:
        figures = fit(data, out, lambda line: status.update(line))
    for name, figure in figures.items():
        _out.print(f"{name}: {figure:.3g}")


@train.command(name="face-voice")
def face_voice(
    pairs: Annotated[Path, typer.Option("--pairs", help="CSV with the columns file (recording), face and speaker.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Weights to write.")] = Path(
        "face_voice_learned.safetensors"
    ),
    report: Annotated[Path, typer.Option(help="Folder for report.md and its plots.")] = Path("face_voice_report"),
    cache: Annotated[Path | None, typer.Option(help="File (.npz) that keeps what was measured for next time.")] = None,
    compare: Annotated[bool, typer.Option("--compare", help="Also cross-validate the ways not chosen.")] = False,
) -> None:
    """Fit the map from face to voice on pairs. 0.4 s a pair, then 2 minutes; needs the extra `train`."""
    from rich.progress import Progress

    try:
        import swift_f0  # noqa: F401 - what measures F0
    except ModuleNotFoundError as error:
        raise MissingPartError(f"{error.name} is not installed", "pip install 'rtc-voice[train]'") from error
    from rtc_voice.training.pairs import fingerprint, measure, read_manifest
    from rtc_voice.training.train_face_voice import train as fit

    _prepare()
    rows = read_manifest(pairs)
    with Progress(console=_err) as bar:
        task = bar.add_task("faces and voices", total=len(rows))
        measured = measure(rows, lambda done, _: bar.update(task, completed=done), cache)
    with _err.status("…") as status:
        figures = fit(
            measured, out, report, lambda line: status.update(line), speakers=fingerprint(rows), compare=compare
        )
    _out.print(f"{figures['pairs']} pairs of {figures['people']} people could be used, of {len(rows)}")
    for name, (value, low, high) in figures["maps"]["learned"].items():
        _out.print(f"{name}: {value:.3g} [{low:.3g}, {high:.3g}]")
    _out.print(f"weights: {out}\nreport: {report / 'report.md'}", soft_wrap=True)


@train.command()
def data(
    data_dir: Annotated[Path, typer.Argument(metavar="DATA", help="Folder that gets train/speech_NAME/manifest.csv.")],
    folder: Annotated[
        list[Path] | None,
        typer.Option(
            help="Recordings as LibriTTS, LibriSpeech or VCTK lay them out, or SPEAKER/FILE; may be repeated."
        ),
    ] = None,
    licence: Annotated[str, typer.Option(help="Licence of the recordings in --folder.")] = "not stated",
    spoken: Annotated[int, typer.Option(help="Texts of DATA to have spoken by the text to speech.", min=0)] = 0,
    warped: Annotated[
        int, typer.Option(help="Recordings of DATA to make again in other sizes and pitches.", min=0)
    ] = 0,
) -> None:
    """Make speech sets for training. Checked one by one; goes on where it stopped; needs the extra `train`."""
    from rich.progress import track

    from rtc_voice.training.data import count_rows, jobs
    from rtc_voice.training.speech_sets import find_speech_sets

    if not (folder or spoken or warped):
        raise InputError("nothing to make", "give --folder, --spoken or --warped; see rtc-voice train data --help")
    _prepare()
    for title, count, job in jobs(data_dir, folder or [], licence, spoken, warped):
        for _ in track(job, title, count, console=_err):
            pass
    for name in find_speech_sets(data_dir):
        good, bad = count_rows(data_dir, name)
        _out.print(f"{name}: {good} recordings" + (f", {bad} rejected (rejected.csv says why)" if bad else ""))


@train.command()
def voice(
    data_dir: Annotated[Path, typer.Argument(metavar="DATA", help="Folder with train/speech_NAME/manifest.csv.")],
    work: Annotated[Path, typer.Argument(help="Folder for features, checkpoints, logs and weights.")],
    tiny: Annotated[bool, typer.Option("--tiny", help="The whole road in two minutes, to see that it works.")] = False,
    minutes: Annotated[float | None, typer.Option(help="Train so long; else as the shipped weights.", min=0.1)] = None,
    threads: Annotated[int | None, typer.Option(help="CPU threads; all cores if not given.", min=1)] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda, or auto: a GPU where there is one.")] = "auto",
) -> None:
    """Train the voice model. Goes on where it stopped: docs/training.md; needs the extra `train`."""
    import torch

    try:
        import swift_f0  # noqa: F401 - labels of the recordings
    except ModuleNotFoundError as error:
        raise MissingPartError(f"{error.name} is not installed", "pip install 'rtc-voice[train]'") from error
    from rtc_voice.training.train_voice import train_voice

    torch.set_num_threads(threads or os.cpu_count() or 1)
    train_voice(data_dir, work, is_tiny=tiny, minutes=minutes, device=device, report=_out.print)
    _out.print(f"weights: {work}/aperiodicity.safetensors, conversion.safetensors, wavenet.safetensors", soft_wrap=True)


@train.command()
def export() -> None:
    """Write the networks as ONNX graphs again. After new weights, about 30 s; needs the extra `train`."""
    try:
        import onnxscript  # noqa: F401 - what torch's exporter needs
    except ModuleNotFoundError as error:
        raise MissingPartError(f"{error.name} is not installed", "pip install 'rtc-voice[train]'") from error
    from rtc_voice.training.export import export_chain

    _prepare()
    with _err.status("loading …") as status:
        export_chain(lambda line: status.update(line))


def _ice(servers: list[str] | None, relay_only: bool) -> Any:
    from rtc_voice.rtc.ice import IceConfig, IceServer

    return IceConfig(tuple(IceServer.parse(text) for text in servers or []), relay_only)


def _engines(names: list[str] | None) -> tuple[str, ...]:
    from rtc_voice.speech.engines import DEFAULT

    return tuple(names or DEFAULT)


def _prepare() -> None:
    """One thread for torch: two make small chunks slower (p95 16.9 ms instead of 0.41)."""
    import torch

    torch.set_num_threads(1)
    sys.setswitchinterval(_SWITCH_INTERVAL_S)


def _run(work: Callable[[], Coroutine[Any, Any, None]], *, with_torch: bool = True) -> None:
    if with_torch:
        _prepare()
    sys.setswitchinterval(_SWITCH_INTERVAL_S)
    asyncio.run(work())


def _end_at_once() -> None:
    """End the process with success, everything being closed: to free the models' memory first can take seconds."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


@dataclass(frozen=True, slots=True)
class _Door:
    """Where a server listens, and to whom it opens."""

    host: str
    port: int
    access: Any
    tls: Any = None
    ice: Any = None

    def url(self, port: int) -> str:
        """Where the server is."""
        name = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.tls else 'http'}://{name}:{port}"

    def invitation(self, url: str) -> str:
        """What to open in a browser; holds the token."""
        return f"{url}/?token={self.access.token}" if self.access.token else url


def _door(
    host: str,
    port: int,
    token: str | None = None,
    origins: frozenset[str] = frozenset(),
    *,
    cert: Path | None = None,
    key: Path | None = None,
    ice: Any = None,
) -> _Door:
    """Who is on the network needs a token, given or made up."""
    from rtc_voice.rtc.ice import DIRECT
    from rtc_voice.rtc.signaling.access import Access, is_loopback, tls_context

    if (cert is None) != (key is None):
        raise InputError("https needs a certificate and its key", "give both --tls-cert and --tls-key")
    tls = tls_context(cert, key) if cert and key else None
    if not is_loopback(host):
        token = token or secrets.token_urlsafe(24)
        if tls is None:
            _err.print("Without --tls-cert, browsers on other machines keep camera and microphone from the page.")
    return _Door(host, port, Access(token, origins), tls, ice or DIRECT)


@asynccontextmanager
async def _serving_voices(bot: Any, door: _Door, consented: frozenset[str] = frozenset()) -> AsyncIterator[str]:
    """A ``Bot`` behind a web server, with a room of its own for WHIP and WHEP: its address."""
    from rtc_voice.room import RoomBot, RoomConfig
    from rtc_voice.rtc.signaling import links, recordings, whip_endpoint
    from rtc_voice.rtc.signaling.hosted import HostedRoom
    from rtc_voice.rtc.signaling.http import Pages

    hosted = HostedRoom(bot.admit, clock=bot.clock, metrics=bot.metrics, ice=door.ice)
    room = RoomBot(bot, hosted, RoomConfig(consented))
    web_dir = _web_folder()
    more = [
        *recordings.routes(bot.calls.get),
        *whip_endpoint.routes(hosted, door.ice),
        *links.routes(room.member_of, Pages(web_dir)),
    ]
    await room.join()  # before anybody can come
    async with _serving(bot, door, web_dir, more) as url:
        room.on_newcomer = lambda who: _show_link(who, url, door.access.token)
        try:
            yield url
        finally:
            await room.leave()


@asynccontextmanager
async def _serving(bot: Any, door: _Door, web_dir: Path | None = None, more: Any = ()) -> AsyncIterator[str]:
    """A ``Bot`` or an ``Echo`` behind a web server, which also answers ``more`` routes: its address."""
    from rtc_voice.rtc.signaling import http

    async with bot:
        application = http.create_app(
            bot.open_call,
            bot.close_call,
            live_calls=lambda: bot.calls.keys(),
            add_candidate=bot.add_candidate,
            health=bot.health,
            figures=bot.figures,
            max_calls=bot.max_calls,
            web_dir=web_dir,
            access=door.access,
            ice=door.ice,
            more=more,
        )
        async with http.serve(application, door.host, door.port, door.tls) as real_port:
            yield door.url(real_port)


async def _join(address: str, config: Any, room_config: Any, host: str, port: int) -> None:
    from rtc_voice.bot import Bot
    from rtc_voice.room import RoomBot
    from rtc_voice.rtc.signaling import access, http, links, whip
    from rtc_voice.rtc.signaling.janus import JanusAddress, JanusRoom

    is_whip = address.startswith(whip.SCHEMES)
    where: Any = whip.WhipAddress.parse(address) if is_whip else JanusAddress.parse(address)
    make_signaling: Any = whip.WhipSignaling if is_whip else JanusRoom
    stopped = _stop_signals()
    status = _err.status("loading models …")
    status.start()
    try:
        async with Bot(config) as bot:
            status.update("joining the room …")
            signaling = make_signaling(where, clock=bot.clock, metrics=bot.metrics, ice=config.ice)
            room = RoomBot(bot, signaling, room_config)
            # Figures tell how the bot is used: that is for this machine alone.
            health = bot.health if access.is_loopback(host) else lambda: {"status": "ok"}
            pages = links.create_app(room.member_of, _web_folder(), health)
            async with http.serve(pages, host, port) as real_port:
                room.on_newcomer = lambda who: _show_link(who, f"http://{host}:{real_port}")
                await room.join()
                status.stop()
                _say_what_consent_means(room_config.consented)
                # The first line of output says that the bot is there, for scripts.
                print(f"joined {where}", flush=True)  # noqa: T201
                _err.print("Ctrl-C leaves.")
                await stopped.wait()
                await bot.drain()
                await room.leave()
    finally:
        status.stop()


def _say_what_consent_means(names: frozenset[str]) -> None:
    if names:
        _err.print(
            Text.assemble(
                ("Consent:", "bold"),
                f" whoever calls themselves {', '.join(sorted(names))} is looked at and listened to from now on. You "
                "answer for it that they have agreed, and that nobody else uses the name.",
            )
        )


def _show_link(who: Any, url: str, token: str | None = None) -> None:
    """Their own link, for the operator to hand to them: whoever has it speaks for them."""
    admission = f"?token={token}" if token else ""
    print(f"{who.name}\t{url}/p/{who.token}{admission}", flush=True)  # noqa: T201


def _web_folder() -> Path:
    here = Path(rtc_voice.__file__).parent
    folder = next((p for p in (here / "web", here.parent / "demo" / "web") if p.is_dir()), None)
    if folder is None:
        raise MissingPartError("the page is not installed", "install rtc-voice again, from a whole clone")
    return folder


async def _demo(config: Any, host: str, port: int, photo: Path, *, once: bool, out: Path) -> None:
    from rtc_voice import report
    from rtc_voice.bot import Bot
    from rtc_voice.rtc.signaling.http import post_offer
    from rtc_voice.selfcall import call_oneself

    door = _door(host, 0 if once else port)
    status = _err.status("loading models …")
    status.start()
    try:
        async with _serving_voices(Bot(config), door) as url:
            status.update("calling myself: a portrait joins, types a sentence and speaks one …")
            call = await call_oneself(post_offer(f"{url}/offer", door.access.token), photo)
            status.update("drawing the report …")
            await asyncio.to_thread(report.write, call, out)
            status.stop()
            table = Table(box=None, show_header=False, pad_edge=False)
            for name, figure in report.table(call):
                table.add_row(name, Text(figure, "bold"))
            _out.print(table)
            if call.late_chunks:
                _out.print("This machine was busy: in place of a late chunk 20 ms are made up. Close other programs.")
            for what, name in (("listen", "call.wav"), ("look", "report.png"), ("figures", "report.json")):
                _out.print(f"{what}: {out / name}", soft_wrap=True)
            if not once:
                address = Text.assemble(
                    "\nNow yours: open ", (door.invitation(url), "bold"), " in a browser. Ctrl-C ends it."
                )
                _out.print(address, soft_wrap=True)
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


def _list_devices() -> None:
    from rtc_voice.local.sound import list_sound_devices
    from rtc_voice.rtc.camera import list_cameras

    table = Table(box=None, pad_edge=False)
    for title in ("kind", "name", "system"):
        table.add_column(title, overflow="fold")
    for device, name in list_cameras().items():
        table.add_row("camera", name, device)
    for sound in list_sound_devices():
        for kind, channels in (("microphone", sound.inputs), ("speakers", sound.outputs)):
            if channels:
                table.add_row(kind, sound.name, sound.system)
    _out.print(table if table.rows else "no devices here; --video, --audio and --out take files instead")


def _play(samples: Any, sample_rate: int) -> None:
    try:
        import sounddevice
    except OSError as error:
        raise MissingPartError("PortAudio is not installed", "apt-get install libportaudio2") from error
    try:
        sounddevice.play(samples, sample_rate, blocking=True)
    except sounddevice.PortAudioError as error:
        raise AudioError(f"no speaker can be used: {error}", "write a file with -o instead") from error
