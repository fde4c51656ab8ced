import subprocess
import sys

import pytest


@pytest.mark.parametrize("module", ["rtc_voice", "rtc_voice.faces", "rtc_voice.faces.types", "rtc_voice.faces.tracker"])
def test_importing_costs_neither_mediapipe_nor_torch(module: str) -> None:
    program = f"import sys, {module}; print(sorted({{'mediapipe', 'torch', 'sounddevice'}} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
