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
    from importlinter import cli

    assert cli.lint_imports() == 0
