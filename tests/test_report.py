"""The self-call's report where something could not be measured."""

import json
from pathlib import Path

import numpy as np

from rtc_voice import report
from rtc_voice.selfcall import PORTRAIT, SelfCall


def test_a_delay_that_was_not_found_is_told_in_words_and_as_null(tmp_path: Path) -> None:
    call = SelfCall(
        portrait=PORTRAIT,
        recording=np.sin(np.arange(24_000, dtype=np.float32) / 10),
        text_said="Hello.",
        text_spoken="Hello.",
        text_span_s=(0.1, 0.4),
        converted_span_s=(0.5, 0.9),
        faces_found=1,
        time_to_voice_ms=300.0,
        text_first_audio_ms=100.0,
        conversion_delay_ms=None,
        rtf=0.5,
        late_chunks=40,
        frame_spacing_p99_ms=1.0,
        voice={"f0_hz": 180.0, "tract": 1.0},
        face_box=(0.4, 0.1, 0.6, 0.4),
    )
    assert dict(report.table(call))["spoken → heard in the voice"].startswith("not found")
    report.write(call, tmp_path)
    assert json.loads((tmp_path / "report.json").read_text())["conversion_delay_ms"] is None
