"""What importing costs, and which way imports go."""

import subprocess
import sys

import pytest

ROOMS = ["rtc_voice", "rtc_voice.cli", "rtc_voice.errors", "rtc_voice.faces.types", "rtc_voice.voices.types"]


@pytest.mark.parametrize("module", ROOMS)
def test_importing_loads_no_heavy_package(module: str) -> None:
    code = (
        f"import sys, {module}; print([m for m in ('torch', 'mediapipe', 'aiortc', 'sounddevice') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_imports_go_one_way() -> None:
    # In a process of its own: it switches the loggers of this one off.
    code = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
