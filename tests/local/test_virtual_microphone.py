"""Another program records the voice as its microphone, through a null sink of a real PulseAudio."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from rtc_voice.selfcall import PORTRAIT
from rtc_voice.speech.audio_file import read_audio

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("pulseaudio") is None, reason="pulseaudio is not installed"),
]

ROOT = Path(__file__).parents[2]
DOCUMENTED = ROOT / "docs/virtual-microphone.md"


@pytest.fixture
def pulse(tmp_path: Path) -> Iterator[dict[str, str]]:
    """The environment of programs that use a PulseAudio of this test's own, with the documented devices."""
    (tmp_path / "run").mkdir(mode=0o700)
    server = f"unix:{tmp_path}/pulse.socket"
    environment = {**os.environ, "HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path / "run")}
    protocol = f"--load=module-native-protocol-unix socket={tmp_path}/pulse.socket auth-anonymous=1"
    start = ["pulseaudio", "-n", "--daemonize=yes", "--exit-idle-time=-1", "--disable-shm=yes", protocol]
    subprocess.run(start, env=environment, check=True)  # returns when it can be used
    try:
        client = {**environment, "PULSE_SERVER": server}
        commands = [line for line in DOCUMENTED.read_text().splitlines() if line.startswith("pactl load-module")]
        assert len(commands) == 2
        for command in commands:
            subprocess.run(command, shell=True, env=client, check=True, stdout=subprocess.DEVNULL)
        yield client
    finally:
        subprocess.run(["pulseaudio", "--kill"], env=environment, check=True)


@pytest.mark.parametrize(
    "program",
    [
        ["-m", "rtc_voice", "local", "--video", str(PORTRAIT), "--speakers", "pulse"],
        [str(ROOT / "demo/local.py"), str(PORTRAIT)],
    ],
    ids=["rtc-voice local", "demo/local.py"],
)
def test_another_program_records_the_voice_as_its_microphone(
    pulse: dict[str, str], tmp_path: Path, program: list[str]
) -> None:
    recorded = tmp_path / "recorded.wav"
    command = ["parecord", "--device=rtc_voice_microphone", "--file-format=wav", str(recorded)]
    with subprocess.Popen(command, env=pulse) as recorder:
        spoken = subprocess.run(
            [sys.executable, *program],
            env={**pulse, "PULSE_SINK": "rtc_voice", "PYTHONPATH": str(ROOT)},
            input="We were away a year ago.\n",
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        recorder.send_signal(signal.SIGINT)
    assert spoken.returncode == 0, spoken.stderr
    heard = read_audio(recorded, 24_000)
    rows = heard[: len(heard) // 240 * 240].reshape(-1, 240)
    assert 0.5 < np.count_nonzero(np.abs(rows).max(axis=1) > 0.02) / 100 < 4  # s of speech
