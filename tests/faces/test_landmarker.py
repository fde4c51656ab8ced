import subprocess
import sys

import numpy as np
import pytest

from benchmarks.scenes import astronaut
from rtc_voice.errors import MissingPartError
from rtc_voice.faces.landmarker import Landmarker
from rtc_voice.faces.views import whole


def test_landmarks_of_a_part_are_in_px_of_the_whole() -> None:
    picture = astronaut()
    with Landmarker(1) as landmarker:
        (from_whole,) = landmarker.find(picture, whole(picture))
        (from_part,) = landmarker.find(picture, (100, -30, 350, 250))
    np.testing.assert_allclose(from_part, from_whole, atol=5)  # px; another crop moves single points that far
    assert np.abs(from_part - from_whole).mean() < 1.5


def test_a_failure_inside_mediapipe_is_survived() -> None:
    picture = astronaut()
    with Landmarker(1) as landmarker:
        with pytest.raises(RuntimeError):
            landmarker._detect(np.zeros((0, 0, 3), np.uint8))  # the only failure that can be had from outside
        assert len(landmarker.find(picture, whole(picture))) == 1


@pytest.mark.parametrize(
    ("breakage", "remedy"),
    [
        ("sys.modules['mediapipe'] = None", "pip install mediapipe"),
        ("sys.modules['cv2'] = None; from rtc_voice.faces.tracker import FaceTracker", "libgl1 libglib2.0-0"),
        ("import ctypes; ctypes.CDLL = lambda *a: (_ for _ in ()).throw(OSError('libEGL.so.1'))", "libegl1 libgles2"),
    ],
)
def test_missing_parts_name_their_remedy(breakage: str, remedy: str) -> None:
    program = f"import sys; from rtc_voice.faces.landmarker import Landmarker; {breakage}; Landmarker(1)"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    last = result.stderr.strip().splitlines()[-1]
    assert MissingPartError.__name__ in last
    assert remedy in last
