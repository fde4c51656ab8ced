"""What looks at faces cannot reach the network, and everything else still can."""

import os
import socket
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

import rtc_voice
from rtc_voice.faces.landmarker import Landmarker
from rtc_voice.faces.no_network import forbid_sockets

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="seccomp is Linux's")


def open_socket() -> bool:
    try:
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM).close()
    except PermissionError:
        return False
    return True


def in_a_thread(work: Callable[[], bool]) -> bool:
    seen: list[bool] = []
    thread = threading.Thread(target=lambda: seen.append(work()))
    thread.start()
    thread.join()
    return seen[0]


def test_a_thread_and_its_children_lose_the_network_and_others_keep_it() -> None:
    with ThreadPoolExecutor(1, initializer=forbid_sockets) as pool:
        assert not pool.submit(open_socket).result()
        assert not pool.submit(in_a_thread, open_socket).result()
    assert open_socket()
    assert in_a_thread(open_socket)


def test_mediapipe_runs_in_such_a_thread() -> None:
    with Landmarker(1) as landmarker:
        assert not landmarker._thread.submit(open_socket).result()


def test_onnxruntime_reports_nothing() -> None:
    assert rtc_voice.__version__
    assert os.environ["ORT_DISABLE_TELEMETRY"] == "1"
