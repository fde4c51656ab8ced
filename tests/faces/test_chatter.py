import os

import pytest

from rtc_voice.faces.chatter import hidden_chatter
from rtc_voice.faces.landmarker import Landmarker


def test_only_chatter_is_hidden(capfd: pytest.CaptureFixture[str]) -> None:
    with hidden_chatter():
        os.write(2, b"W0000 00:00:1 face_landmarker_graph.cc:181] chatter\nsomething is on fire\n")
    os.write(2, b"W0000 said outside\n")
    assert capfd.readouterr().err == "something is on fire\nW0000 said outside\n"


def test_the_terminal_comes_back_after_an_error(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(OSError, match="broken"), hidden_chatter():
        raise OSError("broken")
    os.write(2, b"here again\n")
    assert capfd.readouterr().err == "here again\n"


def test_a_landmarker_starts_in_silence(capfd: pytest.CaptureFixture[str]) -> None:
    Landmarker(1).close()
    assert capfd.readouterr().err == ""
