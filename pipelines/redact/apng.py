"""APNG: chunks read and written; delays are kept as the fractions that they are."""

from __future__ import annotations

import io
import struct
import zlib
from typing import TYPE_CHECKING

from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

_PNG = b"\x89PNG\r\n\x1a\n"
#: Chunks that say what colours are meant, and all that say what pixels mean; the others are words about it.
_COLOURS = {b"gAMA", b"cHRM", b"sRGB", b"iCCP", b"cICP"}
_KEPT = {
    *(b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND", b"acTL", b"fcTL", b"fdAT", b"sBIT", b"bKGD"),
    *_COLOURS,
}


def has_unseen_picture(data: bytes) -> bool:
    """Tell whether a PNG holds a picture that is no frame of its animation: nobody looked at it."""
    names = [name for name, _ in _chunks(data)]
    return b"fcTL" in names and b"IDAT" in names and names.index(b"IDAT") < names.index(b"fcTL")


def write_apng(data: bytes, pictures: Iterator[NDArray[np.uint8]], target: Path) -> int:
    """Write an APNG of whole frames with the source's delays and rounds, and return how many it has."""
    plays, delays = _apng_times(data)
    count = 0
    with target.open("wb") as file:
        file.write(_PNG)
        numbers = iter(range(1 << 31))
        for pixels in pictures:
            height, width = pixels.shape[:2]
            chunks = _png_of(pixels)
            if not count:
                file.write(_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)))
                file.write(_colours_of(data))
                file.write(_chunk(b"acTL", struct.pack(">II", max(1, len(delays)), plays)))
            delay = delays[count] if count < len(delays) else (0, 0)
            about = struct.pack(">IIIIIHHBB", next(numbers), width, height, 0, 0, *delay, 0, 0)
            file.write(_chunk(b"fcTL", about))
            for part in chunks:
                numbered = struct.pack(">I", next(numbers)) + part if count else part
                file.write(_chunk(b"fdAT" if count else b"IDAT", numbered))
            count += 1
        file.write(_chunk(b"IEND", b""))
    return count


def _colours_of(data: bytes) -> bytes:
    """Return the chunks that say what colours are meant, but for what is said of grey alone."""
    is_grey = data[25] in {0, 4}
    return b"".join(
        _chunk(name, body)
        for name, body in _chunks(data)
        if name in _COLOURS and not (is_grey and name == b"iCCP")
    )


def _apng_times(data: bytes) -> tuple[int, list[tuple[int, int]]]:
    """Return how many rounds there are, 0 for ever, and each frame's delay as the fraction that it is."""
    plays, delays = 0, []
    for name, body in _chunks(data):
        if name == b"acTL":
            plays = struct.unpack_from(">I", body, 4)[0]
        elif name == b"fcTL":
            delays.append(struct.unpack_from(">HH", body, 20))
    return plays, delays


def _png_of(pixels: NDArray[np.uint8]) -> list[bytes]:
    buffer = io.BytesIO()
    Image.fromarray(pixels, "RGBA").save(buffer, "PNG", compress_level=6)
    return [body for name, body in _chunks(buffer.getvalue()) if name == b"IDAT"]


def clean_png(data: bytes) -> bytes:
    """Return a PNG without words about it."""
    return _PNG + b"".join(_chunk(name, body) for name, body in _chunks(data) if name in _KEPT)


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 8
    while at + 12 <= len(data):
        length, name = struct.unpack_from(">I4s", data, at)
        yield name, data[at + 8 : at + 8 + length]
        at += 12 + length


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
