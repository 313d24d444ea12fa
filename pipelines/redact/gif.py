"""GIF: blocks read and written; frames in colours that the source has, wherever it has few enough."""

from __future__ import annotations

import io
import struct
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    #: The colours that a frame had, and its pixels with faces hidden.
    Frame = tuple[NDArray[np.uint8], NDArray[np.uint8]]

_COLOURS = 256
_HALF = 128
#: How blocks begin: a picture, an extension; among these what holds for the next picture, and text.
_PICTURE, _EXTENSION = 0x2C, 0x21
_CONTROL, _TEXT = b"\x21\xf9", b"\x21\x01"


def write_gif(
    data: bytes,
    size: tuple[int, int],
    frames: Iterator[Frame],
    target: Path,
) -> int:
    """Write a GIF, and return how many frames it has: one after the other, for it may be large.

    Args:
        data: the source, whose delays and rounds it has.
        size: of it.
        frames: each with the colours that it had.
        target: what is written.
    """
    rounds, delays = _gif_times(data)
    before: NDArray[np.uint8] | None = None
    count = 0
    with target.open("wb") as file:
        file.write(b"GIF89a" + struct.pack("<HHBBB", *size, 0x70, 0, 0) + rounds)
        for (colours, pixels), after in _with_next(frames):
            delay = delays[count] if count < len(delays) else 0
            # Pixels become clear again only where the whole frame before is taken away.
            goes = _is_clear(pixels).any() or (after is not None and _is_clear(after[1]).any())
            corner, part = _changed(None if goes else before, pixels)
            file.write(_gif_frame(_with_palette(part, colours), corner, delay, goes=bool(goes)))
            before = None if goes else pixels
            count += 1
        file.write(b"\x3b")
    return count


def _with_next(frames: Iterator[Frame]) -> Iterator[tuple[Frame, Frame | None]]:
    """Yield each frame with the one that follows; None after the last."""
    frame = next(frames, None)
    while frame is not None:
        after = next(frames, None)
        yield frame, after
        frame = after


def _is_clear(pixels: NDArray[np.uint8]) -> NDArray[np.bool_]:
    return np.asarray(pixels[:, :, 3] < _HALF, np.bool_)


def _changed(
    before: NDArray[np.uint8] | None, pixels: NDArray[np.uint8]
) -> tuple[tuple[int, int], NDArray[np.uint8]]:
    """Return the part of a frame that is not as before, with its corner; all of it where nothing was."""
    if before is None:
        return (0, 0), pixels
    differs = (before != pixels).any(axis=2)
    rows, columns = np.nonzero(differs.any(axis=1))[0], np.nonzero(differs.any(axis=0))[0]
    if not len(rows):
        return (0, 0), pixels[:1, :1]
    left, top = int(columns[0]), int(rows[0])
    return (left, top), pixels[top : rows[-1] + 1, left : columns[-1] + 1]


def _gif_frame(picture: Image.Image, corner: tuple[int, int], delay: int, *, goes: bool) -> bytes:
    """Return the blocks of one frame, with a palette of its own."""
    written = io.BytesIO()
    picture.save(written, "GIF", optimize=False, interlace=False)
    data = written.getvalue()
    at = 13 + _palette_bytes(data[10])
    palette = data[13:at]
    while data[at] == _EXTENSION:
        at = _after_blocks(data, at + 2)
    clear = picture.info.get("transparency")
    flags = (2 if goes else 1) << 2 | (clear is not None)
    control = struct.pack("<BBBBHBB", _EXTENSION, 0xF9, 4, flags, delay, clear or 0, 0)
    place = struct.pack("<BHHHHB", _PICTURE, *corner, *picture.size, 0x80 | data[10] & 7)
    return control + place + palette + data[at + 10 : _after_blocks(data, at + 11)]


def _gif_times(data: bytes) -> tuple[bytes, list[int]]:
    """Return the block that says how many rounds there are, and each frame's hundredths of a second."""
    rounds, delays, delay = b"", [], 0
    for block in _gif_blocks(data):
        if _is_rounds(block):
            rounds = block
        elif block[:2] == _CONTROL:
            delay = int.from_bytes(block[4:6], "little")
        elif block[0] == _PICTURE:
            delays.append(delay)
            delay = 0
    return rounds, delays


def own_colours(image: Image.Image) -> NDArray[np.uint8]:
    """Return the colours of a frame as it is seen, before anything is hidden."""
    pixels = np.asarray(image).reshape(-1, 4)
    seen = pixels[pixels[:, 3] >= _HALF][:, :3]
    return np.unique(seen, axis=0) if len(seen) else np.zeros((1, 3), np.uint8)


def _with_palette(pixels: NDArray[np.uint8], colours: NDArray[np.uint8]) -> Image.Image:
    """Return a frame of a palette: the source's own colours where they are few enough, else the best."""
    height, width = pixels.shape[:2]
    is_clear = _is_clear(pixels)
    room = _COLOURS - bool(is_clear.any())
    if len(colours) > room:
        plain = Image.fromarray(np.ascontiguousarray(pixels[:, :, :3]))
        reduced = plain.quantize(room, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
        colours = np.array(reduced.getpalette()[: 3 * room], np.uint8).reshape(-1, 3)  # type: ignore[index] # it has one
        places = np.asarray(reduced).copy()
    else:
        places = _nearest(pixels[:, :, :3].reshape(-1, 3), colours).reshape(height, width)
    places[is_clear] = len(colours)
    made = Image.fromarray(places.astype(np.uint8), "P")
    made.putpalette([*colours.flatten().tolist(), *([0, 0, 0] if is_clear.any() else [])])
    if is_clear.any():
        made.info["transparency"] = len(colours)
    return made


def _nearest(pixels: NDArray[np.uint8], colours: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the place of the nearest colour for each pixel."""
    different, places = np.unique(pixels, axis=0, return_inverse=True)
    nearest = np.empty(len(different), np.uint8)
    for begin in range(0, len(different), _COLOURS):
        part = different[begin : begin + _COLOURS, None].astype(np.int32) - colours[None]
        nearest[begin : begin + _COLOURS] = (part**2).sum(axis=2).argmin(axis=1)
    return nearest[places.reshape(-1)]


def clean_gif(data: bytes) -> bytes:
    """Return a GIF without comments and without words of applications, but with its rounds."""
    kept = [
        block
        for block in _gif_blocks(data)
        if block[0] == _PICTURE or block[:2] in {_CONTROL, _TEXT} or _is_rounds(block)
    ]
    return b"".join([data[: 13 + _palette_bytes(data[10])], *kept, b"\x3b"])


def _gif_blocks(data: bytes) -> Iterator[bytes]:
    """Yield the blocks behind the header: pictures, and what is said of them."""
    at = 13 + _palette_bytes(data[10])
    while at < len(data) and data[at] in {_EXTENSION, _PICTURE}:
        begin = at + 2 if data[at] == _EXTENSION else at + 11 + _palette_bytes(data[at + 9])
        end = _after_blocks(data, begin)
        yield data[at:end]
        at = end


def _is_rounds(block: bytes) -> bool:
    return block[:2] == b"\x21\xff" and block[3:14] in {b"NETSCAPE2.0", b"ANIMEXTS1.0"}


def _palette_bytes(flags: int) -> int:
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _after_blocks(data: bytes, at: int) -> int:
    while at < len(data) and (length := data[at]):
        at += length + 1
    return at + 1
