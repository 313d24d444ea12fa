"""Pictures that are broken, tiny, huge, rare or hostile, against the whole service."""

from __future__ import annotations

import struct
import zlib
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from typing import TYPE_CHECKING

import httpx
import numpy as np
import pytest
from PIL import Image

if TYPE_CHECKING:
    from pathlib import Path

    from cluster.trial import Trial
    from tests.e2e.conftest import Post

#: What a replica may hold after the worst of pictures: an 8K picture is 100 MB of pixels.
MOST_MB = 800


def encoded(picture: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    """Return a picture as a file's bytes."""
    out = BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()


def plain(width: int, height: int) -> bytes:
    """Return a PNG of one colour, as small as its format allows."""
    return encoded(Image.new("L", (width, height), 90), compress_level=9)


def chunk(kind: bytes, data: bytes) -> bytes:
    """Return a chunk of a PNG."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def bomb(side: int, weight: int) -> bytes:
    """Return a PNG of this weight that claims to be a square of this side."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
    packer = zlib.compressobj(9)
    data = b""
    while len(data) < weight:
        data += packer.compress(bytes(1_000_000))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def refusal(answer: httpx.Response, status: int) -> str:
    """Hold an answer to a refusal in the documented form, and return its words."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers.get_list("x-request-id")[1:] == []
    assert list(answer.json()) == ["detail"]
    words: str = answer.json()["detail"]
    assert words
    assert "Traceback" not in words
    return words


@pytest.fixture(scope="module")
def photo(portrait_path: Path) -> Image.Image:
    """Return a portrait."""
    return Image.open(portrait_path).convert("RGB")


@pytest.fixture(scope="module", autouse=True)
def service_stays_well(service: Trial) -> object:
    """After all of them the same replicas run, hold no more than they need, and answer."""
    before = {process.pid for process in service.replicas()}
    yield
    assert {process.pid for process in service.replicas()} == before
    held = [process.memory_full_info().uss / 1e6 for process in service.replicas()]
    assert max(held) < MOST_MB, held


def test_a_truncated_picture_is_refused(detect: Post, photo: Image.Image) -> None:
    """Half a file is a 400, whichever its type."""
    for kind in ("JPEG", "PNG", "WEBP", "BMP"):
        data = encoded(photo, kind)
        refusal(detect(data[: len(data) // 2]), 400)


def test_an_empty_file_is_refused(detect: Post) -> None:
    """A file without a byte is a 400."""
    assert "empty" in refusal(detect(b""), 400)


@pytest.mark.parametrize("data", [b"%PDF-1.7 not a picture", b"GIF89a" + bytes(40), b"<svg/>", bytes(5000)])
def test_a_wrong_type_is_refused(detect: Post, data: bytes) -> None:
    """What is no picture of an accepted type is a 415, whatever its name says."""
    refusal(detect(data), 415)


def test_one_pixel_is_answered(detect: Post) -> None:
    """The smallest picture has no faces."""
    answer = detect(plain(1, 1))
    assert answer.status_code == 200
    assert answer.json()["summary"]["face_count"] == 0


def test_a_line_beyond_the_limit_is_refused(detect: Post) -> None:
    """30000x1 is wider than 8K and so a 400."""
    assert "30000" in refusal(detect(plain(30_000, 1)), 400)


def test_a_line_within_the_limit_is_answered(detect: Post) -> None:
    """A picture of one row is a normal picture."""
    answer = detect(plain(7680, 1))
    assert answer.status_code == 200
    assert answer.json()["image"]["width"] == 7680


@pytest.mark.parametrize("size", [(7680, 4320), (4320, 7680)])
def test_8k_is_answered(detect: Post, photo: Image.Image, size: tuple[int, int]) -> None:
    """A face is found in the largest picture that is taken, upright or across."""
    canvas = Image.new("RGB", size, (90, 90, 90))
    canvas.paste(photo.resize((2400, 2400)), (600, 600))
    answer = detect(encoded(canvas, "JPEG", quality=90))
    assert answer.status_code == 200, answer.text
    assert answer.json()["summary"]["face_count"] == 1
    assert answer.json()["profiling"]["input_resolution"] == f"{size[0]}x{size[1]}"


def test_an_8k_picture_is_masked(client: httpx.Client, photo: Image.Image) -> None:
    """The largest picture goes through the whole of masking."""
    canvas = Image.new("RGB", (7680, 4320))
    canvas.paste(photo.resize((2400, 2400)), (600, 600))
    answer = client.post("/api/v1/mask", files={"image": encoded(canvas, "JPEG")})
    assert answer.status_code == 200
    assert answer.headers["x-face-count"] == "1"
    assert Image.open(BytesIO(answer.content)).size == (7680, 4320)


@pytest.mark.parametrize("size", [(7681, 4320), (4321, 4321)])
def test_beyond_8k_is_refused(detect: Post, size: tuple[int, int]) -> None:
    """One pixel more than 8K is a 400."""
    refusal(detect(plain(*size)), 400)


def test_a_cmyk_jpeg_is_answered(detect: Post, photo: Image.Image) -> None:
    """A picture for print shows its face too."""
    answer = detect(encoded(photo.convert("CMYK"), "JPEG"))
    assert answer.status_code == 200, answer.text
    assert answer.json()["summary"]["face_count"] == 1


def test_a_16_bit_png_is_answered(detect: Post, photo: Image.Image) -> None:
    """A picture of 65,536 shades shows its face too."""
    deep = np.asarray(photo.convert("L")).astype(np.uint16) * 257
    answer = detect(encoded(Image.fromarray(deep)))
    assert answer.status_code == 200, answer.text
    assert answer.json()["summary"]["face_count"] == 1


def test_a_bomb_is_refused_by_its_header(detect: Post) -> None:
    """50 kB that claim 60,000 x 60,000 pixels are a 400 at once; nothing is unpacked."""
    data = bomb(60_000, 50_000)
    assert 50_000 <= len(data) < 80_000
    answer = detect(data)
    assert "60000" in refusal(answer, 400)
    assert answer.elapsed.total_seconds() < 5


def test_a_bomb_within_the_limits_costs_no_more_than_its_pixels(detect: Post) -> None:
    """A header that lies about the data behind it is refused; no more than it says is unpacked."""
    refusal(detect(bomb(100, 50_000)), 400)


def test_many_large_pictures_at_once_fit_into_memory(service: Trial, photo: Image.Image) -> None:
    """Pictures that wait are kept as they came: only those in work are unpacked."""
    data = encoded(photo.resize((7680, 4320)), "JPEG", quality=60)

    def mask(_: int) -> int:
        answer = httpx.post(
            f"{service.url}/api/v1/mask",
            headers={"X-API-Key": service.key},
            files={"image": data},
            timeout=120,
            trust_env=False,
        )
        return answer.status_code

    with ThreadPoolExecutor(24) as pool:
        statuses = list(pool.map(mask, range(24)))
    assert set(statuses) <= {200, 503}
    # Memory that was needed once is kept for the next picture, so what is held now was the most.
    assert max(process.memory_full_info().uss / 1e6 for process in service.replicas()) < MOST_MB
