"""The programs that are measured, each in a process of its own."""

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
ENVIRONMENTS = HERE / "environments"  # made by `make bench-peers`
_OURS = [sys.executable, "-m", "rtc_voice", "serve", "--port", "0"]
COMMANDS = {
    "bot": _OURS,
    "rtc_voice": [*_OURS, "--mode", "echo", "--max-calls", "64"],
    "aiortc": [sys.executable, "-m", "benchmarks.peers.aiortc_echo"],
    "fastrtc": [str(ENVIRONMENTS / "fastrtc" / "bin" / "python"), "-m", "benchmarks.peers.fastrtc_echo"],
    "pipecat": [str(ENVIRONMENTS / "pipecat" / "bin" / "python"), "-m", "benchmarks.peers.pipecat_echo"],
}


OFFER_PATHS = {"fastrtc": "/webrtc/offer", "pipecat": "/api/offer"}


@dataclass(frozen=True, slots=True)
class Server:
    """A program that answers offers."""

    name: str
    url: str
    pid: int

    @property
    def offer_url(self) -> str:
        """Where it takes offers."""
        return self.url + OFFER_PATHS.get(self.name, "/offer")

    def health(self) -> dict[str, object]:
        """What it says of itself."""
        with urllib.request.urlopen(f"{self.url}/health", timeout=10) as reply:
            body: dict[str, object] = json.load(reply)
        return body

    def count(self, name: str) -> int:
        """One of its counters; 0 before the first."""
        return int(str(self.health().get(name, 0)))

    def memory_mb(self) -> float:
        """Its resident memory (Linux only)."""
        return memory_mb(self.pid)

    def processor_s(self) -> float:
        """The processor time it has used (Linux only)."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_mb(process: int | str) -> float:
    """The resident memory of a process, by its number or "self" (Linux only)."""
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def installed() -> list[str]:
    """The other frameworks that can be compared with, by name."""
    return [name for name in ("fastrtc", "pipecat") if Path(COMMANDS[name][0]).exists()]


@contextmanager
def start(name: str, core: int | None = None) -> Iterator[Server]:
    """Run a program until the block ends, on one processor core if ``core`` says which."""
    pin = ["taskset", "-c", str(core)] if core is not None else []
    environment = {**os.environ, "PYTHONPATH": str(HERE.parent)}
    with subprocess.Popen(
        [*pin, *COMMANDS[name]],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment,
        cwd=HERE.parent,
    ) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            if not url:
                raise SystemExit(f"{name} did not start: run `{' '.join(COMMANDS[name])}` to see why")
            yield Server(name, url, process.pid)
        finally:
            process.terminate()
            process.wait(timeout=20)
