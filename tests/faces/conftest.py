"""The networks, loaded once for all tests of the room."""

import pytest

from rtc_voice.faces.embedding import FaceEmbedder


@pytest.fixture(scope="session")
def embedder() -> FaceEmbedder:
    return FaceEmbedder()
