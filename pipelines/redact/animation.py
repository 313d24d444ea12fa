"""GIF and APNG: every frame drawn, hidden where it is to be, and written with its own delay.

    GIF:  frames in colours that the source has, wherever it has few enough; delays and rounds as they were
    APNG: frames whole, with the delays' own fractions; rounds as they were

Where nothing is hidden the file's own blocks are kept, but for words about it.
"""

from __future__ import annotations

import io
import struct
import zlib
from dataclasses import dataclass, field
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from pipelines.boxes import pixel_regions
from pipelines.decode import on_white
from pipelines.errors import InvalidMedia
from pipelines.masking import hide
from pipelines.redact.find import look_of
from pipelines.video.animation import DAMAGE
from pipelines.video.decode import SampledFrame
from pipelines.video.sniff import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from pipelines.redact.write import Box
    from pipelines.results import MaskOptions
    from pipelines.video.animation import AnimationInfo

_PNG = b"\x89PNG\r\n\x1a\n"
_COLOURS = 256
_HALF = 128
#: Chunks of a PNG that say what its pixels mean; the others are words about it.
_KEPT_CHUNKS = {
    *(b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND", b"acTL", b"fcTL", b"fdAT"),
    *(b"gAMA", b"cHRM", b"sRGB", b"iCCP", b"sBIT", b"bKGD", b"cICP"),
}


@dataclass(frozen=True, slots=True)
class EveryPicture:
    """All frames of an animation; where others have seconds these have their place.

    Attributes:
        path: the file.
        info: what the probe found.
        looks: thumbnails of the frames that were given, by place.
    """

    path: Path
    info: AnimationInfo
    looks: dict[int, bytes] = field(default_factory=dict)

    @property
    def size(self) -> tuple[int, int]:
        """Return width and height of the frames."""
        return self.info.size

    def decoded(self, size: tuple[int, int] | None) -> Iterator[SampledFrame]:
        """Yield the frames with pixels of this size, transparent ones on white."""
        for index, image in enumerate(_drawn(self.path, self.info)):
            bgr = on_white(np.ascontiguousarray(np.asarray(image)[:, :, [2, 1, 0, 3]]))
            self.looks[index] = look_of(bgr)
            if size is not None and size != self.info.size:
                bgr = np.asarray(Image.fromarray(bgr).resize(size, Image.Resampling.BILINEAR), np.uint8)
            yield SampledFrame(float(index), bgr)


def picture_times(info: AnimationInfo) -> list[float]:
    """Return when each frame is shown, in seconds."""
    return [us / 1_000_000 for us in accumulate(info.delays_us[:-1], initial=0)]


def write_animation(
    path: Path, info: AnimationInfo, boxes: Mapping[int, Sequence[Box]], mask: MaskOptions, target: Path
) -> int:
    """Write an animation with these boxes of its frames hidden, and return how many frames it has.

    Raises:
        InvalidMedia: a frame is cut off or damaged.
    """
    if not any(boxes.values()):
        clean = _clean_gif if info.kind is Kind.GIF else _clean_png
        target.write_bytes(clean(path.read_bytes()))
        return len(info.delays_us)
    pictures = (_hidden(image, boxes.get(index, ()), mask) for index, image in enumerate(_drawn(path, info)))
    if info.kind is Kind.GIF:
        return _write_gif(path, list(pictures), target)
    return _write_apng(path, pictures, target)


def _drawn(path: Path, info: AnimationInfo) -> Iterator[Image.Image]:
    """Yield each frame as it is seen, RGBA."""
    try:
        with Image.open(path, formats=("GIF", "PNG")) as image:
            # Of a PNG whose first picture is no frame of the animation, Pillow counts that as its first.
            first = 1 if getattr(image, "default_image", False) else 0
            for index in range(len(info.delays_us)):
                if index + first:
                    image.seek(index + first)
                picture = image.convert("RGBA")
                yield picture if picture.size == info.size else picture.crop((0, 0, *info.size))
    except DAMAGE as error:
        message = "the animation is cut off or damaged"
        raise InvalidMedia(message) from error


def _hidden(image: Image.Image, boxes: Sequence[Box], mask: MaskOptions) -> NDArray[np.uint8]:
    pixels = np.array(image)
    colours = np.ascontiguousarray(pixels[:, :, :3])
    regions = pixel_regions(np.array(boxes, np.float32).reshape(-1, 4), *image.size)
    for x1, y1, x2, y2 in regions:
        hide(colours[y1:y2, x1:x2], mask.method, mask.strength)
    pixels[:, :, :3] = colours
    return pixels


# --- GIF --------------------------------------------------------------------------------------------------


def _write_gif(path: Path, pictures: list[NDArray[np.uint8]], target: Path) -> int:
    delays, loop = [], None
    with Image.open(path, formats=("GIF",)) as image:
        allowed = _own_colours(image, len(pictures))
        for index in range(len(pictures)):
            image.seek(index)
            delays.append(int(image.info.get("duration", 0)))
            loop = image.info.get("loop", loop)
    frames = [_with_palette(pixels, colours) for pixels, colours in zip(pictures, allowed, strict=True)]
    more: dict[str, Any] = {} if loop is None else {"loop": loop}
    frames[0].save(
        target,
        "GIF",
        save_all=True,
        append_images=frames[1:],
        duration=delays,
        # Each frame is whole: nothing of the one before is to show through.
        disposal=2,
        optimize=False,
        **more,
    )
    return len(frames)


def _own_colours(image: Image.Image, count: int) -> list[NDArray[np.uint8]]:
    """Return the colours of each frame as it is seen, before anything is hidden."""
    found = []
    for index in range(count):
        image.seek(index)
        pixels = np.asarray(image.convert("RGBA")).reshape(-1, 4)
        seen = pixels[pixels[:, 3] >= _HALF][:, :3]
        found.append(np.unique(seen, axis=0) if len(seen) else np.zeros((1, 3), np.uint8))
    return found


def _with_palette(pixels: NDArray[np.uint8], colours: NDArray[np.uint8]) -> Image.Image:
    """Return a frame of a palette: the source's own colours where they are few enough, else the best."""
    height, width = pixels.shape[:2]
    is_clear = pixels[:, :, 3] < _HALF
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


def _clean_gif(data: bytes) -> bytes:
    """Return a GIF without comments and without words of applications, but with its rounds."""
    at = 13 + _palette_bytes(data[10])
    parts = [data[:at]]
    while at < len(data) and data[at] in {0x21, 0x2C}:
        if data[at] == 0x21:  # noqa: PLR2004 - an extension
            end = _after_blocks(data, at + 2)
            is_rounds = data[at + 1] == 0xFF and data[at + 3 : at + 14] in {b"NETSCAPE2.0", b"ANIMEXTS1.0"}  # noqa: PLR2004
            if data[at + 1] in {0xF9, 0x01} or is_rounds:
                parts.append(data[at:end])
        else:
            end = _after_blocks(data, at + 11 + _palette_bytes(data[at + 9]))
            parts.append(data[at:end])
        at = end
    return b"".join([*parts, b"\x3b"])


def _palette_bytes(flags: int) -> int:
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _after_blocks(data: bytes, at: int) -> int:
    while at < len(data) and (length := data[at]):
        at += length + 1
    return at + 1


# --- APNG -------------------------------------------------------------------------------------------------


def _write_apng(path: Path, pictures: Iterator[NDArray[np.uint8]], target: Path) -> int:
    plays, delays = _apng_times(path.read_bytes())
    count = 0
    with target.open("wb") as file:
        file.write(_PNG)
        numbers = iter(range(1 << 31))
        for pixels in pictures:
            height, width = pixels.shape[:2]
            chunks = _png_of(pixels)
            if not count:
                file.write(_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)))
                file.write(_chunk(b"acTL", struct.pack(">II", max(1, len(delays)), plays)))
            delay = delays[count] if count < len(delays) else (0, 0)
            about = struct.pack(">IIIIIHHBB", next(numbers), width, height, 0, 0, *delay, 0, 0)
            file.write(_chunk(b"fcTL", about))
            for data in chunks:
                numbered = struct.pack(">I", next(numbers)) + data if count else data
                file.write(_chunk(b"fdAT" if count else b"IDAT", numbered))
            count += 1
        file.write(_chunk(b"IEND", b""))
    return count


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


def _clean_png(data: bytes) -> bytes:
    """Return a PNG without words about it."""
    return _PNG + b"".join(_chunk(name, body) for name, body in _chunks(data) if name in _KEPT_CHUNKS)


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 8
    while at + 12 <= len(data):
        length, name = struct.unpack_from(">I4s", data, at)
        yield name, data[at + 8 : at + 8 + length]
        at += 12 + length


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
