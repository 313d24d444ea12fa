"""Memory: files that claim or unfold to far more than they are leave it flat, each in its own process."""

from __future__ import annotations

import subprocess
import sys
import zlib
from typing import TYPE_CHECKING

import numpy as np
import pillow_heif
import pytest
from PIL import Image

from tests.pipelines.drawn import chunk, exif_of, file_of, noise, png, saved, with_exif

if TYPE_CHECKING:
    from pathlib import Path

pillow_heif.register_heif_opener()

MEASURE = """
import resource, sys
import pillow_heif
from pipelines.decode import decode_picture
from pipelines.errors import CallerError
from pipelines.probe import probe_picture

def look(path):
    data = open(path, "rb").read()
    try:
        decode_picture(data, probe_picture(data))
        return "decoded"
    except CallerError:
        return "refused"

look(sys.argv[1])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
said = look(sys.argv[2])
print(said, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""

GIGABYTE_OF_ZEROS = zlib.compressobj(9)
UNFOLDS = b"".join(GIGABYTE_OF_ZEROS.compress(bytes(1 << 24)) for _ in range(64)) + GIGABYTE_OF_ZEROS.flush()


def _bomb_that_claims_much() -> bytes:
    return png(60_000, 60_000, rows=bytes(50_000_000))


def _png_that_holds_more_than_it_claims() -> bytes:
    small = png(16, 16)
    start, end = small.index(b"IDAT") - 4, small.index(b"IEND") - 4
    return small[:start] + chunk(b"IDAT", UNFOLDS) + small[end:]


def _png_that_claims_more_than_it_holds() -> bytes:
    return png(7680, 4320, rows=b"")


def _heic_of_many_pictures() -> bytes:
    return saved(
        Image.new("RGB", (64, 64)),
        "HEIF",
        save_all=True,
        append_images=[Image.new("RGB", (1024, 1024), (i, i, i)) for i in range(4)],
    )


def _webp_of_many_frames() -> bytes:
    frames = [Image.fromarray(noise(900, 900, seed)) for seed in range(12)]
    return saved(frames[0], "WEBP", save_all=True, append_images=frames[1:], quality=1)


@pytest.mark.parametrize(
    ("data", "said", "at_most_mb"),
    [
        pytest.param(_bomb_that_claims_much, "refused", 2, id="50 kB that claim 60000x60000"),
        pytest.param(_png_that_holds_more_than_it_claims, None, 8, id="rows that unfold to a gigabyte"),
        pytest.param(_png_that_claims_more_than_it_holds, "refused", 110, id="8K with no rows"),
        pytest.param(lambda: png(16, 16, chunk(b"iCCP", b"x\0\0" + UNFOLDS)), None, 12, id="colour profile"),
        pytest.param(lambda: png(16, 16, chunk(b"zTXt", b"x\0\0" + UNFOLDS)), None, 12, id="text"),
        pytest.param(
            lambda: png(16, 16, chunk(b"iTXt", b"x\0\1\0\0\0" + UNFOLDS)), None, 12, id="international text"
        ),
        pytest.param(
            lambda: png(16, 16, chunk(b"eXIf", exif_of(1) + bytes(20_000_000))), None, 90, id="20 MB of EXIF"
        ),
        pytest.param(
            lambda: with_exif(file_of(noise(16, 16)), exif_of(1) + bytes(60_000)) + bytes(20_000_000),
            "decoded",
            50,
            id="20 MB behind a JPEG",
        ),
        pytest.param(_heic_of_many_pictures, "decoded", 40, id="HEIC of many pictures"),
        pytest.param(_webp_of_many_frames, "decoded", 40, id="WebP of many frames"),
    ],
)
def test_bombs_leave_memory_flat(data: object, said: str | None, at_most_mb: int, tmp_path: Path) -> None:
    """What is refused costs nothing, and what is taken costs what its pixels and its bytes cost."""
    assert callable(data)
    warm, bomb = tmp_path / "warm", tmp_path / "bomb"
    warm.write_bytes(saved(Image.fromarray(noise(64, 64)), "HEIF"))
    bomb.write_bytes(data())
    ran = subprocess.run(
        [sys.executable, "-c", MEASURE, warm, bomb], capture_output=True, text=True, check=True, timeout=60
    )
    answer, kilobytes = ran.stdout.split()
    assert answer == said or (said is None and answer in ("decoded", "refused"))
    assert int(kilobytes) < at_most_mb * 1000


def test_pictures_reuse_the_memory_of_the_last() -> None:
    """Two hundred pictures map hardly any new memory, and the process stays as large as it was."""
    script = """
import resource
from pipelines.lane import ThreadLane
from pipelines.canvas import CanvasPool, fit, lay
from pipelines.decode import decode_picture
from pipelines.probe import probe_picture
import sys
data = open(sys.argv[1], "rb").read()
pool = CanvasPool()
ThreadLane(1)
def once():
    header = probe_picture(data)
    pool.give(lay(decode_picture(data, header, 2), fit(header.upright_size, (640, 640), 32), pool))
for _ in range(50):
    once()
before = resource.getrusage(resource.RUSAGE_SELF)
for _ in range(150):
    once()
after = resource.getrusage(resource.RUSAGE_SELF)
print(after.ru_maxrss - before.ru_maxrss, after.ru_minflt - before.ru_minflt)
"""
    data = file_of(np.full((886, 1280, 3), 90, np.uint8))
    ran = subprocess.run(
        [sys.executable, "-c", script, "/dev/stdin"], input=data, capture_output=True, check=True, timeout=60
    )
    kilobytes, faults = (int(word) for word in ran.stdout.split())
    assert kilobytes < 4000
    assert faults < 150 * 5
