"""Source files of the default pack, for tests of what is made of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from filelock import FileLock

from models.listening import Silent
from models.manifest import load_manifest
from models.sources import fetch
from tests.pictures import CACHE

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture(scope="session")
def source_bytes() -> Callable[[str], bytes]:
    """Return a function that gives a network's source file, as it is before the converter."""

    def read(name: str) -> bytes:
        folder = CACHE / "test-media"
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / ".lock"):
            return fetch(load_manifest()[name].sources[0], folder, Silent()).read_bytes()

    return read
