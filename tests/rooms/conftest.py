"""A browser in the room."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page

from tests.rooms.room import room_page


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """A browser whose page can take part in the room, as several people."""
    with room_page(tmp_path_factory.mktemp("browser")) as page:
        yield page
