"""Pictures that the tests draw and files that they put together, byte by byte where it matters."""

from __future__ import annotations

import io
import struct
import zlib
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from tests.fakes.blobs import MAGENTA_BGR

if TYPE_CHECKING:
    from PIL import Image

Pixels = NDArray[np.uint8]


def scene(width: int, height: int, *boxes: tuple[int, int, int, int]) -> Pixels:
    """Return a smooth grey-green picture with a magenta blob in each box."""
    across = np.linspace(60, 160, width, dtype=np.float32)
    down = np.linspace(40, 140, height, dtype=np.float32)
    grey = (across[None] + down[:, None]) / 2
    pixels = np.stack([grey, grey + 30, grey], axis=2).astype(np.uint8)
    for x1, y1, x2, y2 in boxes:
        pixels[y1:y2, x1:x2] = MAGENTA_BGR
    return pixels


def noise(width: int, height: int, seed: int = 0) -> Pixels:
    """Return a picture in which no pixel can be guessed from another."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def file_of(pixels: NDArray[Any], suffix: str = ".jpg") -> bytes:
    """Return the pixels as a file of the suffix's format."""
    done, encoded = cv2.imencode(suffix, pixels)
    assert done
    return encoded.tobytes()


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:  # noqa: ANN401 - whatever the format takes
    """Return what Pillow writes."""
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def exif_of(orientation: int, *, big_endian: bool = False) -> bytes:
    """Return a TIFF block with nothing but an orientation."""
    order, magic = (">", b"MM\0*") if big_endian else ("<", b"II*\0")
    return magic + struct.pack(f"{order}IHHHIHHI", 8, 1, 0x0112, 3, 1, orientation, 0, 0)


def stored_as(pixels: Pixels, orientation: int) -> Pixels:
    """Return how a camera held that way stores the upright pixels."""
    rows: dict[int, Pixels] = {
        1: pixels,
        2: pixels[:, ::-1],
        3: pixels[::-1, ::-1],
        4: pixels[::-1],
        5: pixels.transpose(1, 0, 2),
        6: np.rot90(pixels),
        7: pixels[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(pixels, 3),
    }
    return np.ascontiguousarray(rows[orientation])


def with_exif(jpeg: bytes, exif: bytes) -> bytes:
    """Return the JPEG with this EXIF block as its first segment."""
    body = b"Exif\0\0" + exif
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + jpeg[2:]


def chunk(kind: bytes, body: bytes) -> bytes:
    """Return a PNG chunk."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width: int, height: int, *chunks: bytes, rows: bytes | None = None) -> bytes:
    """Return an 8-bit RGB PNG that claims this size, with more chunks before its (black) rows."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    body = zlib.compress(bytes((1 + 3 * width) * height) if rows is None else rows, 9)
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + chunk(b"IDAT", body) + chunk(b"IEND", b"")
