"""What a picture is, read from its first bytes: type, size, orientation. No pixel is decoded here.

    bytes -> type by its magic bytes -> that format's header parser -> PictureHeader -> limits

Everything is parsed here in a few microseconds, except for HEIC, whose boxes libheif reads. Neither a file's
name nor its content type is asked. Parsers look only at lengths and a few fields, so what a header claims
costs no memory.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipelines.errors import InvalidMedia, MediaTooLarge, UnsupportedMedia

if TYPE_CHECKING:
    from collections.abc import Callable

#: A picture may have this many bytes.
MAX_BYTES = 50_000_000
#: The longer and the shorter side may have this many pixels, whichever way the picture is turned.
MAX_SIDES = (7680, 4320)

#: Segments or chunks that are walked before a header counts as malformed. The largest file that is taken
#: needs fewer than 800 JPEG segments even if it is all metadata.
_MAX_SEGMENTS = 4096

_PNG_COLOUR_ALPHA = {4, 6}
_HEIC_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}
_AVIF_BRANDS = {b"avif", b"avis"}


@dataclass(frozen=True, slots=True)
class PictureHeader:
    """What the header of a picture says.

    Attributes:
        format: jpeg, png, webp, bmp or heic.
        width: columns as stored, before orientation.
        height: rows as stored, before orientation.
        orientation: EXIF orientation, 1..8; 1 where there is none.
        has_alpha: whether pixels may be transparent.
    """

    format: str
    width: int
    height: int
    orientation: int = 1
    has_alpha: bool = False

    @property
    def upright_size(self) -> tuple[int, int]:
        """Width and height of the picture as it is to be seen."""
        turned = self.orientation >= 5  # noqa: PLR2004 - orientations 5..8 swap the sides
        return (self.height, self.width) if turned else (self.width, self.height)


def probe_picture(data: bytes) -> PictureHeader:
    """Return what the picture's header says, once it is known to be within the limits.

    Raises:
        MediaTooLarge: more bytes than `MAX_BYTES`.
        UnsupportedMedia: not a type that is accepted.
        InvalidMedia: empty, cut off or malformed, or larger than `MAX_SIDES`.
    """
    if len(data) > MAX_BYTES:
        message = f"the image has more than {MAX_BYTES // 1_000_000} MB"
        raise MediaTooLarge(message)
    if not data:
        message = "the image is empty"
        raise InvalidMedia(message)
    parse = _parser(data)
    try:
        header = parse(data)
    except (struct.error, IndexError) as error:
        message = "the image is cut off or its header is malformed"
        raise InvalidMedia(message) from error
    _check_size(header.width, header.height)
    return header


def _check_size(width: int, height: int) -> None:
    if width < 1 or height < 1:
        message = "the image has no pixels"
        raise InvalidMedia(message)
    if max(width, height) > MAX_SIDES[0] or min(width, height) > MAX_SIDES[1]:
        message = f"the image is {width}x{height}; at most {MAX_SIDES[0]}x{MAX_SIDES[1]} is accepted"
        raise InvalidMedia(message)


def _parser(data: bytes) -> Callable[[bytes], PictureHeader]:
    if data.startswith(b"\xff\xd8\xff"):
        return _jpeg
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return _png
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return _webp
    if data.startswith(b"BM"):
        return _bmp
    if data[4:8] == b"ftyp" and _is_heic(data):
        return _heic
    message = "the file is not a JPEG, PNG, WebP, BMP or HEIC image"
    raise UnsupportedMedia(message)


# --- JPEG -------------------------------------------------------------------------------------------------

_RST0, _EOI, _SOS, _APP1 = 0xD0, 0xD9, 0xDA, 0xE1
#: Start of frame: C0..CF without the tables DHT (C4), JPG (C8) and DAC (CC).
_SOF = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


def _jpeg(data: bytes) -> PictureHeader:
    at, size, orientation = 2, (0, 0), 1
    for _ in range(_MAX_SEGMENTS):
        if data[at] != 0xFF:  # noqa: PLR2004 - every marker starts so
            break
        marker = data[at + 1]
        if marker == 0xFF:  # noqa: PLR2004 - fill byte
            at += 1
            continue
        if _RST0 <= marker <= _EOI:
            break
        (length,) = struct.unpack_from(">H", data, at + 2)
        if marker in _SOF:
            height, width = struct.unpack_from(">HH", data, at + 5)
            size = (width, height)
        elif marker == _APP1 and data[at + 4 : at + 10] == b"Exif\0\0":
            orientation = exif_orientation(data[at + 10 : at + 2 + length])
        elif marker == _SOS:
            # In scan data FF is always stuffed, so an end marker after here is the real one. libjpeg would
            # fill the rest of a cut off picture with grey, and faces in it would be missed without a word.
            if data.rfind(b"\xff\xd9", at + length) < 0:
                message = "the image is cut off"
                raise InvalidMedia(message)
            return PictureHeader("jpeg", *size, orientation)
        at += 2 + max(2, length)
    message = "the JPEG header is malformed"
    raise InvalidMedia(message)


def exif_orientation(exif: bytes) -> int:
    """Return the orientation that an EXIF block (a TIFF header and on) states; 1 if it is not sound."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(exif[:4])
    if order is None:
        return 1
    try:
        (at,) = struct.unpack_from(order + "I", exif, 4)
        (entries,) = struct.unpack_from(order + "H", exif, at)
        for index in range(min(entries, 512)):
            tag, kind, count, value = struct.unpack_from(order + "HHIH", exif, at + 2 + 12 * index)
            if tag == 0x0112:  # noqa: PLR2004 - Orientation
                return value if kind == 3 and count == 1 and 1 <= value <= 8 else 1  # noqa: PLR2004
    except struct.error:
        pass
    return 1


# --- PNG --------------------------------------------------------------------------------------------------


def _png(data: bytes) -> PictureHeader:
    width, height, _depth, colour = struct.unpack_from(">IIBB", data, 16)
    if data[12:16] != b"IHDR":
        message = "the PNG header is malformed"
        raise InvalidMedia(message)
    orientation, has_alpha = 1, colour in _PNG_COLOUR_ALPHA
    at = 8
    # Writers put eXIf before or after the pixels, so every chunk is stepped over; a file with an absurd
    # number of them loses its orientation and no more.
    for _ in range(_MAX_SEGMENTS):
        if at + 8 > len(data):
            break
        length, kind = struct.unpack_from(">I4s", data, at)
        if kind == b"tRNS":
            has_alpha = True
        elif kind == b"eXIf":
            orientation = exif_orientation(data[at + 8 : at + 8 + length])
        elif kind == b"IEND":
            break
        at += 12 + length
    return PictureHeader("png", width, height, orientation, has_alpha)


# --- WebP -------------------------------------------------------------------------------------------------


def _webp(data: bytes) -> PictureHeader:
    kind = data[12:16]
    if kind == b"VP8X":
        flags = data[20]
        width = 1 + int.from_bytes(data[24:27], "little")
        height = 1 + int.from_bytes(data[27:30], "little")
        if len(data) < 30:  # noqa: PLR2004 - the end of the two sizes
            raise IndexError
        return PictureHeader("webp", width, height, _webp_orientation(data), bool(flags & 0x10))
    if kind == b"VP8L" and data[20] == 0x2F:  # noqa: PLR2004 - the lossless signature
        (bits,) = struct.unpack_from("<I", data, 21)
        has_alpha = bool(bits >> 28 & 1)
        return PictureHeader("webp", 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF), 1, has_alpha)
    if kind == b"VP8 " and data[23:26] == b"\x9d\x01\x2a":
        width, height = struct.unpack_from("<HH", data, 26)
        return PictureHeader("webp", width & 0x3FFF, height & 0x3FFF)
    message = "the WebP header is malformed"
    raise InvalidMedia(message)


def _webp_orientation(data: bytes) -> int:
    at = 12
    for _ in range(_MAX_SEGMENTS):
        if at + 8 > len(data):
            break
        kind, length = struct.unpack_from("<4sI", data, at)
        if kind == b"EXIF":
            exif = data[at + 8 : at + 8 + length]
            return exif_orientation(exif.removeprefix(b"Exif\0\0"))
        at += 8 + length + length % 2
    return 1


# --- BMP and HEIC -----------------------------------------------------------------------------------------


def _bmp(data: bytes) -> PictureHeader:
    (header_size,) = struct.unpack_from("<I", data, 14)
    if header_size == 12:  # noqa: PLR2004 - the oldest header has 16-bit sizes
        width, height = struct.unpack_from("<HH", data, 18)
    else:
        width, height = struct.unpack_from("<ii", data, 18)
    # A negative height means that rows run from the top.
    return PictureHeader("bmp", width, abs(height))


def _is_heic(data: bytes) -> bool:
    end = min(int.from_bytes(data[:4], "big"), 256)
    brands = {data[8:12], *(data[at : at + 4] for at in range(16, end, 4))}
    return not brands & _AVIF_BRANDS and bool(brands & _HEIC_BRANDS)


def _heic(data: bytes) -> PictureHeader:
    # Loaded for the first picture that needs it: it brings an HEVC decoder along.
    import pillow_heif  # noqa: PLC0415

    try:
        picture = pillow_heif.open_heif(data)
    except (ValueError, EOFError, OSError, RuntimeError, SyntaxError) as error:
        message = "the HEIC image is cut off or malformed"
        raise InvalidMedia(message) from error
    # libheif turns the picture by itself and states the size after that, so its EXIF tag is not to be used.
    width, height = picture.size
    return PictureHeader("heic", width, height, has_alpha=picture.has_alpha)
