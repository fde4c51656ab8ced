"""A real Janus for the tests of signaling."""

from collections.abc import Iterator

import pytest

from tests.rooms.servers import JanusServer


@pytest.fixture(scope="module")
def janus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JanusServer]:
    server = JanusServer(tmp_path_factory.mktemp("janus"))
    server.start()
    yield server
    server.kill()
