"""What every test shares: a fixed seed, one thread for torch, and no skipping where nothing may be missing."""

import importlib.util
import os
from collections.abc import Generator, Iterator

import aioice.ice
import numpy as np
import pytest
import torch

from tests.rooms.servers import JanusServer

torch.set_num_threads(1)  # two are slower for small chunks

# Adapters are tested in environments of their own: `make test-adapters`.
collect_ignore = [
    f"{name}.py"
    for name, package in {
        "adapters/test_fastrtc": "fastrtc",
        "adapters/test_livekit": "livekit",
        "adapters/test_pipecat": "pipecat",
        "adapters/test_text_engines": "piper",
        "demo/test_languages": "kokoro_onnx",
    }.items()
    if importlib.util.find_spec(package) is None
]


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)


@pytest.fixture(scope="module")
def loopback_only() -> Iterator[None]:
    """aioice never offers 127.0.0.1, and a test machine may have nothing else."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(aioice.ice, "get_host_addresses", lambda use_ipv4, use_ipv6: ["127.0.0.1"])
        yield


@pytest.fixture(scope="module")
def janus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JanusServer]:
    """A real Janus."""
    server = JanusServer(tmp_path_factory.mktemp("janus"))
    server.start()
    yield server
    server.kill()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Where ``RTC_VOICE_NOTHING_MAY_SKIP`` is set, as in CI, a missing system part is a failure."""
    report = yield
    if report.skipped and os.environ.get("RTC_VOICE_NOTHING_MAY_SKIP") and "gpu" not in item.keywords:
        report.outcome = "failed"
    return report
