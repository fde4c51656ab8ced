"""The local mode with files in place of devices: what is seen, said and typed there is heard in the face's voice."""

import asyncio
import io
import subprocess
import sys
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

import aiohttp
import numpy as np
import pytest
import pytest_asyncio
from PIL import Image

from rtc_voice.bot import Bot, BotConfig
from rtc_voice.config import AUDIO
from rtc_voice.errors import RtcVoiceError
from rtc_voice.local import call as local_call
from rtc_voice.local.call import LocalCall
from rtc_voice.local.levels import FLOOR_DB, Level
from rtc_voice.local.preview import previewed
from rtc_voice.local.sound import TAIL_S, FileMicrophone, FileSpeakers
from rtc_voice.local.start import Places, open_devices, summary
from rtc_voice.metrics import Metrics
from rtc_voice.rtc.playout import ChunkQueue, Samples
from rtc_voice.selfcall import PORTRAIT
from rtc_voice.speech.audio_file import read_audio
from tests.demo.conftest import SPOKEN
from tests.demo.devices import write_camera, write_microphone
from tests.rtc.conftest import JumpClock
from tests.waiting import until

LOUD = 0.02


@pytest.fixture(scope="module")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("speech") / "speech.wav"
    write_microphone(path, SPOKEN)
    return path


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def bot() -> AsyncIterator[Bot]:
    async with Bot(BotConfig(max_calls=1)) as bot:
        yield bot


async def typed(*lines: str) -> AsyncIterator[str]:
    for line in lines:
        yield line


async def run(bot: Bot, places: Places, lines: Iterable[str]) -> tuple[LocalCall, list[str]]:
    told: list[str] = []
    call = LocalCall(bot, open_devices(places, bot.clock, bot.metrics, told.append), tell=told.append)
    await call.run(typed(*lines))
    return call, told


@pytest.mark.slow
def test_a_video_and_a_recording_become_a_recording_in_the_voice(tmp_path: Path, spoken: Path) -> None:
    video, out = tmp_path / "face.y4m", tmp_path / "out.wav"
    write_camera(video, PORTRAIT)
    words = ["local", "--video", str(video), "--audio", str(spoken), "--out", str(out)]
    done = subprocess.run(
        [sys.executable, "-m", "rtc_voice", *words], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(out)
    assert "synthetic" in done.stderr and "spoken to heard" in done.stderr
    made, source = (read_audio(path, AUDIO.sample_rate) for path in (out, spoken))
    assert len(made) > len(source)
    assert np.count_nonzero(np.abs(made) > LOUD) > 0.2 * np.count_nonzero(np.abs(source) > LOUD)


@pytest.mark.slow
@pytest.mark.asyncio(loop_scope="module")
async def test_texts_are_said_one_by_one_and_what_cannot_be_said_is_told(bot: Bot, tmp_path: Path) -> None:
    out = tmp_path / "out.wav"
    call, told = await run(bot, Places(video=PORTRAIT, out=out), ["One.", "…", "Two."])
    assert call.first_audio_ms is not None
    assert [line for line in told if line.startswith("nothing to say")]
    assert sum("synthetic" in line for line in told) == 1
    assert np.count_nonzero(np.abs(read_audio(out, AUDIO.sample_rate)) > LOUD) > 1000
    assert not bot.calls


@pytest.mark.slow
@pytest.mark.asyncio(loop_scope="module")
async def test_the_preview_shows_the_picture_with_its_face(bot: Bot, tmp_path: Path) -> None:
    places = Places(video=PORTRAIT, out=tmp_path / "out.wav")
    call = LocalCall(bot, open_devices(places, bot.clock, bot.metrics, print), tell=print)
    looked = asyncio.Event()

    async def until_looked() -> AsyncIterator[str]:
        await looked.wait()
        yield "/stop"

    async with previewed(call) as url, aiohttp.ClientSession() as browser:
        running = asyncio.create_task(call.run(until_looked()))
        await until(lambda: call.seen and call.f0_hz, 30)
        async with browser.get(url) as page:
            assert 'src="/picture"' in await page.text()
        async with browser.get(url + "picture") as stream:
            parts = aiohttp.MultipartReader.from_response(stream)
            for _ in range(2):  # it goes on
                part = await parts.next()
                assert isinstance(part, aiohttp.BodyPartReader)
                shown = Image.open(io.BytesIO(await part.read()))
        looked.set()
        await running
    left, top, right, _ = (float(str(v)) for v in call.seen[0]["box"])  # type: ignore[attr-defined]
    border = shown.getpixel((round((1 - (left + right) / 2) * shown.width), round(top * shown.height) + 1))
    assert np.abs(np.subtract(np.asarray(border), (76, 192, 171))).max() < 60  # green, as JPEG keeps it


@pytest.mark.slow
@pytest.mark.asyncio(loop_scope="module")
async def test_a_closed_microphone_shows_its_level_and_is_not_heard(bot: Bot, tmp_path: Path, spoken: Path) -> None:
    places = Places(video=PORTRAIT, audio=spoken, out=tmp_path / "out.wav")
    call, _ = await run(bot, places, ["", "", "One."])  # opened, closed, and time for the microphone
    assert call.spoken.db > FLOOR_DB
    assert not call.is_talking and call.delay_ms() is None


@pytest.mark.slow
@pytest.mark.asyncio(loop_scope="module")
async def test_no_delay_is_told_where_none_can_be_found(bot: Bot, tmp_path: Path, rng: np.random.Generator) -> None:
    call, _ = await run(bot, Places(video=PORTRAIT, out=tmp_path / "out.wav"), ["/stop"])
    when_s = call._heard[0][0]  # since this machine started: from 0 it would be days of samples
    for kept in (call._sounds, call._heard):
        kept.append((when_s, (0.1 * rng.standard_normal(AUDIO.sample_rate)).astype(np.float32)))  # alike at any delay
    assert call.delay_ms() is None
    assert "spoken to heard" not in summary(call)


@pytest.mark.slow
@pytest.mark.asyncio(loop_scope="module")
async def test_stop_ends_what_is_said_and_a_recording_of_nothing_is_one(bot: Bot, tmp_path: Path) -> None:
    out = tmp_path / "out.wav"
    call, _ = await run(bot, Places(video=PORTRAIT, out=out), ["This is never said.", "/stop"])
    assert call.first_audio_ms is None
    assert out.stat().st_size < 24_000


@pytest.mark.slow
@pytest.mark.asyncio(loop_scope="module")
async def test_a_picture_of_nobody_is_told_with_the_remedy(
    bot: Bot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_call, "VOICE_TIMEOUT_S", 0.5)
    places = Places(video=tmp_path / "grey.y4m", out=tmp_path / "out.wav")
    write_camera(tmp_path / "grey.y4m", PORTRAIT.with_name("coffee.jpg"))
    with pytest.raises(RtcVoiceError, match="no face was seen") as caught:
        await run(bot, places, [])
    assert caught.value.hint
    assert not bot.calls


async def test_a_recording_is_handed_on_whole_with_room_for_the_end_of_the_voice() -> None:
    samples = np.linspace(-1, 1, 12_345, dtype=np.float32)
    clock, heard = JumpClock(), list[Samples]()

    def take(part: Samples, time_s: float) -> None:
        heard.append(part)
        if len(heard) == 3:
            clock.time += 0.3  # a stall

    await FileMicrophone(samples, clock=clock, metrics=Metrics()).hear(take)
    np.testing.assert_array_equal(np.concatenate(heard), np.pad(samples, (0, int(TAIL_S * AUDIO.sample_rate))))


async def test_a_stall_of_this_machine_makes_the_recording_no_shorter(tmp_path: Path) -> None:
    clock, queue, heard = JumpClock(), ChunkQueue(AUDIO.sample_rate, 9), list[Samples]()

    def take(part: Samples, time_s: float) -> None:
        heard.append(part)
        if len(heard) == 3:
            clock.time += 0.11
        if len(heard) == 5:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        await FileSpeakers(tmp_path / "out.wav", clock=clock, metrics=Metrics()).play(queue, take)
    assert len(read_audio(tmp_path / "out.wav", AUDIO.sample_rate)) == 9 * 480  # five written, four missed


def test_a_level_rises_at_once_and_falls_slowly() -> None:
    level = Level()
    silent = str(level)
    level.add(np.full(480, 0.1, np.float32))
    assert level.db == pytest.approx(-20)
    loud = str(level)
    level.add(np.zeros(480, np.float32))
    assert -25 < level.db < -20
    assert len(loud) == len(silent) and loud.count("▮") > silent.count("▮") == 0
