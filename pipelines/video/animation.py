"""GIF and APNG: delays, size and number of frames from the blocks of the file, pixels from Pillow.

Everything but pixels is read here without decoding: a file of a few kilobytes may claim millions of frames
the size of a wall, so what it would cost is known, and bounded, before the first of them is drawn. Each frame
lasts its own delay; one of ten milliseconds or less lasts a tenth of a second, as in every browser. How often
the animation is to be repeated is ignored.
"""

from __future__ import annotations

import mmap
import struct
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from pipelines.decode import on_white
from pipelines.errors import InvalidMedia, InvalidOption, UnsupportedMedia
from pipelines.video.decode import SampledFrame
from pipelines.video.sampling import Grid, Sampling, sampled_indices, timestamp
from pipelines.video.sniff import Kind, sniff

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

MAX_SIDE = 4096
#: Frames, and pixels of all frames together, that an animation may have: minutes of work, not days.
MAX_FRAMES = 50_000
MAX_TOTAL_PIXELS = 20_000_000_000

#: Ticks are microseconds: APNG's delays are fractions of any kind.
TICK = Fraction(1, 1_000_000)
_SHORTEST_US, _INSTEAD_US = 10_000, 100_000

#: What reading a damaged animation raises.
DAMAGE = (
    OSError,
    EOFError,
    ValueError,
    SyntaxError,
    IndexError,
    KeyError,
    struct.error,
    Image.DecompressionBombError,
)


@dataclass(frozen=True, slots=True)
class AnimationInfo:
    """What an animation is.

    Attributes:
        kind: GIF or APNG.
        size: width and height of its canvas.
        delays_us: how long each frame is shown, in microseconds, after the browsers' rule.
    """

    kind: Kind
    size: tuple[int, int]
    delays_us: tuple[int, ...]

    @property
    def duration_s(self) -> float:
        """Seconds that one round of the animation lasts."""
        return sum(self.delays_us) / 1_000_000


def probe_animation(path: Path) -> AnimationInfo:
    """Find out what a GIF or APNG is, from its blocks. A plain PNG is an animation of one frame.

    Raises:
        UnsupportedMedia: neither of the two.
        MediaTooLarge: more than 200 MB.
        InvalidMedia: cut off, malformed, without frames, or beyond the limits.
    """
    kind = sniff(path)
    if not kind.is_animation:
        message = "the file is a video; create a task of type video"
        raise UnsupportedMedia(message)
    read = _gif if kind is Kind.GIF else _apng
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            size, delays_us = read(data)
    except (struct.error, IndexError) as error:
        message = "the animation is cut off or malformed"
        raise InvalidMedia(message) from error
    if not delays_us:
        message = "the animation holds no frames"
        raise InvalidMedia(message)
    _check_sides(size)
    _check_frames(size, len(delays_us))
    return AnimationInfo(kind, size, tuple(_shown_us(delay) for delay in delays_us))


def _shown_us(delay_us: int) -> int:
    return delay_us if delay_us > _SHORTEST_US else _INSTEAD_US


def _check_sides(size: tuple[int, int]) -> None:
    width, height = size
    if not (1 <= width <= MAX_SIDE and 1 <= height <= MAX_SIDE):
        message = f"the animation is {width}x{height}; at most {MAX_SIDE}x{MAX_SIDE} is accepted"
        raise InvalidMedia(message)


def _check_frames(size: tuple[int, int], frames: int) -> None:
    width, height = size
    if frames > MAX_FRAMES or frames * width * height > MAX_TOTAL_PIXELS:
        message = f"the animation has too many frames for its size: {frames} of {width}x{height}"
        raise InvalidMedia(message)


def animation_frames(
    path: Path, info: AnimationInfo, sampling: Sampling, size: tuple[int, int] | None = None
) -> Iterator[SampledFrame]:
    """Yield the sampled frames, by the same rule as a video's, transparent pixels on white.

    Args:
        path: the animation.
        info: what the probe found.
        sampling: which frames are asked for.
        size: width and height of the pixels; None for those of the animation.

    Raises:
        InvalidOption: the start is at or after the end of the animation.
        InvalidMedia: a frame is cut off or damaged.
    """
    if sampling.start_s >= info.duration_s:
        message = f"start_time is at or after the end of the animation, which lasts {info.duration_s} seconds"
        raise InvalidOption(message)
    shown = np.concatenate([[0], np.cumsum(info.delays_us)]).tolist()
    wanted = sampled_indices(shown[:-1], shown[-1], Grid(sampling, TICK, 0))
    try:
        with Image.open(path, formats=("GIF", "PNG")) as image:
            # Of a PNG whose first picture is no frame of the animation, Pillow counts that as its first.
            first = 1 if getattr(image, "default_image", False) else 0
            for index in wanted:
                # Pillow draws every frame in between, as each may show through the next.
                for at in range(image.tell() + 1, first + index + 1):
                    image.seek(at)
                at_s = timestamp(shown[index], 0, TICK, sampling.start_s)
                yield SampledFrame(at_s, _pixels(image, info.size, size))
    except DAMAGE as error:
        message = "the animation is cut off or damaged"
        raise InvalidMedia(message) from error


def _pixels(image: Image.Image, canvas: tuple[int, int], size: tuple[int, int] | None) -> NDArray[np.uint8]:
    picture = image.convert("RGBA")
    if picture.size != canvas:
        picture = picture.crop((0, 0, *canvas))
    bgr = on_white(np.ascontiguousarray(np.asarray(picture)[:, :, [2, 1, 0, 3]]))
    if size is None or size == picture.size:
        return bgr
    return np.asarray(Image.fromarray(bgr).resize(size, Image.Resampling.BILINEAR), np.uint8)


# --- GIF --------------------------------------------------------------------------------------------------

_IMAGE, _EXTENSION, _TRAILER, _GRAPHIC_CONTROL = 0x2C, 0x21, 0x3B, 0xF9


def _gif(data: mmap.mmap) -> tuple[tuple[int, int], list[int]]:
    """Return the canvas and each frame's stated delay in microseconds.

    A file without its last byte, the trailer, is common and sound; one that ends within a picture is not.
    """
    width, height, flags = struct.unpack_from("<HHB", data, 6)
    at = 13 + _palette(flags)
    canvas, extent = (width, height), (0, 0)
    delay, delays = 0, []
    while at < len(data) and data[at] != _TRAILER:
        if data[at] == _EXTENSION:
            if data[at + 1] == _GRAPHIC_CONTROL:
                (hundredths,) = struct.unpack_from("<H", data, at + 4)
                delay = hundredths * 10_000
            at = _after_blocks(data, at + 2)
        elif data[at] == _IMAGE:
            left, top, columns, rows = struct.unpack_from("<HHHH", data, at + 1)
            extent = (max(extent[0], left + columns), max(extent[1], top + rows))
            # Some writers leave the canvas to be as large as the first frame.
            canvas = (canvas[0] or extent[0], canvas[1] or extent[1])
            delays.append(delay)
            # A frame without a word on its delay has none.
            delay = 0
            at = _after_blocks(data, at + 11 + _palette(data[at + 9]))
            if len(delays) > MAX_FRAMES:
                break
        else:
            # What browsers do with bytes that are no block: the animation ends here.
            break
    # A frame that reaches beyond the canvas makes Pillow lay out memory for all of it.
    _check_sides((max(canvas[0], extent[0]), max(canvas[1], extent[1])))
    return canvas, delays


def _palette(flags: int) -> int:
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _after_blocks(data: mmap.mmap, at: int) -> int:
    while length := data[at]:
        at += length + 1
    return at + 1


# --- APNG -------------------------------------------------------------------------------------------------


def _apng(data: mmap.mmap) -> tuple[tuple[int, int], list[int]]:
    """Return the canvas and each frame's stated delay in microseconds."""
    width, height = struct.unpack_from(">II", data, 16)
    delays: list[int] = []
    at, stated, has_pixels, is_whole = 8, 0, False, False
    while at + 8 <= len(data):
        length, name = struct.unpack_from(">I4s", data, at)
        if at + 12 + length > len(data):
            break
        if name == b"acTL" and not has_pixels:
            if stated or not 0 < (stated := struct.unpack_from(">I", data, at + 8)[0]) < 1 << 31:
                break
        elif name == b"IDAT":
            has_pixels = True
        elif name == b"fcTL" and len(delays) <= MAX_FRAMES:
            numerator, denominator = struct.unpack_from(">HH", data, at + 28)
            delays.append(round(1_000_000 * numerator / (denominator or 100)))
        elif name == b"IEND":
            is_whole = True
            break
        at += 12 + length
    if not is_whole or len(delays) < stated:
        message = "the animation is cut off or malformed"
        raise InvalidMedia(message)
    return (width, height), delays[:stated] if stated else [_INSTEAD_US]
