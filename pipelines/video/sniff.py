"""What a file really is, from its own bytes: nothing is opened by FFmpeg that is not named here.

Neither name nor content type is asked. FFmpeg can read hundreds of formats, among them playlists and scripts
that name other files; so the container is told here, and FFmpeg is told to use that demuxer and no other.
A file that ends before its container says so is refused: the faces in its lost part would be missed
without a word.
"""

from __future__ import annotations

import struct
from enum import Enum
from typing import TYPE_CHECKING

from pipelines.errors import InvalidMedia, MediaTooLarge, UnsupportedMedia
from pipelines.video.sample_tables import check_sample_tables

if TYPE_CHECKING:
    from pathlib import Path
    from typing import BinaryIO

#: A video, and an animation, may have this many bytes.
MAX_VIDEO_BYTES = 2_000_000_000
MAX_ANIMATION_BYTES = 200_000_000

_HEAD_BYTES = 4096
_EBML = b"\x1a\x45\xdf\xa3"
_SEGMENT = b"\x18\x53\x80\x67"
#: Boxes that may begin an MP4 or QuickTime file; old ones have no `ftyp`.
_FIRST_BOXES = {b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot"}
_PICTURE_BRANDS = {b"heic", b"heix", b"mif1", b"avif", b"crx "}
#: A file of fragments has two boxes for each; the longest that is taken needs far fewer.
_MAX_BOXES = 500_000


class Kind(str, Enum):
    """What a file is."""

    MP4 = "mp4"
    M4V = "m4v"
    MOV = "mov"
    MKV = "mkv"
    WEBM = "webm"
    GIF = "gif"
    APNG = "apng"

    @property
    def is_animation(self) -> bool:
        """Tell whether it is a GIF or an APNG, not a video."""
        return self in {Kind.GIF, Kind.APNG}

    @property
    def demuxer(self) -> str:
        """Name the one FFmpeg demuxer that may read it."""
        return {Kind.MKV: "matroska", Kind.WEBM: "matroska"}.get(self, "mov")


def sniff(path: Path) -> Kind:
    """Return what the file is, once it is known to be whole and not too large.

    Raises:
        MediaTooLarge: more bytes than its kind may have.
        UnsupportedMedia: no container that is accepted.
        InvalidMedia: empty, or cut off.
    """
    size = path.stat().st_size
    if not size:
        message = "the file is empty"
        raise InvalidMedia(message)
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
        kind = _kind(head)
        limit = MAX_ANIMATION_BYTES if kind.is_animation else MAX_VIDEO_BYTES
        if size > limit:
            message = f"the file has more than {limit // 1_000_000} MB"
            raise MediaTooLarge(message)
        if kind.demuxer == "matroska":
            _check_segment(head, size)
        elif not kind.is_animation:
            _check_boxes(file, size)
    return kind


def _kind(head: bytes) -> Kind:
    if head.startswith((b"GIF87a", b"GIF89a")):
        return Kind.GIF
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return Kind.APNG
    if head.startswith(_EBML):
        return _matroska(head)
    if head[4:8] in _FIRST_BOXES:
        return _iso(head)
    if head.lstrip()[:7].upper() == b"#EXTM3U" or b"<MPD" in head or head.startswith(b"ffconcat"):
        message = "playlists are not accepted; send the video itself"
        raise UnsupportedMedia(message)
    message = "the file is not an MP4, MOV, M4V, MKV or WebM video, nor a GIF or APNG animation"
    raise UnsupportedMedia(message)


def _matroska(head: bytes) -> Kind:
    at = head.find(b"\x42\x82", 4, 128)
    length = head[at + 2] & 0x7F if at > 0 and len(head) > at + 2 else 0
    kind = {b"matroska": Kind.MKV, b"webm": Kind.WEBM}.get(head[at + 3 : at + 3 + length].rstrip(b"\0"))
    if kind is None:
        message = "the file is neither Matroska nor WebM"
        raise UnsupportedMedia(message)
    return kind


def _iso(head: bytes) -> Kind:
    brand = head[8:12] if head[4:8] == b"ftyp" else b"qt  "
    if brand in _PICTURE_BRANDS:
        message = "the file is a picture; create a task of type image"
        raise UnsupportedMedia(message)
    if brand == b"qt  ":
        return Kind.MOV
    return Kind.M4V if brand.startswith(b"M4V") else Kind.MP4


# --- is it whole? -----------------------------------------------------------------------------------------


def _check_segment(head: bytes, size: int) -> None:
    """Compare the length that the Matroska segment states with what is there; live recordings state none."""
    at = head.find(_SEGMENT)
    if at < 0 or at + 5 > len(head):
        message = "the file is cut off before its first track"
        raise InvalidMedia(message)
    first = head[at + 4]
    width = 9 - first.bit_length()
    stated = int.from_bytes(head[at + 4 : at + 4 + width], "big") - (1 << 7 * width)
    unknown = stated == (1 << 7 * width) - 1
    if not unknown and at + 4 + width + stated > size:
        message = "the file is cut off: it ends before its container says so"
        raise InvalidMedia(message)


def _check_boxes(file: BinaryIO, size: int) -> None:
    """Step over the top boxes of an MP4: all must end within the file, and one must be the index."""
    at, has_index = 0, False
    for _ in range(_MAX_BOXES):
        file.seek(at)
        header = file.read(16)
        if len(header) < 8:  # noqa: PLR2004 - the shortest header; fewer bytes are padding
            break
        length, name = struct.unpack_from(">I4s", header)
        skip = 8
        if length == 1 and len(header) == 16:  # noqa: PLR2004 - the length is in the next eight bytes
            (length,) = struct.unpack_from(">Q", header, 8)
            skip = 16
        elif length == 0:
            length = size - at
        if length < skip:
            break
        if at + length > size and name in {b"mdat", b"moov", b"moof"}:
            message = "the file is cut off: it ends before its container says so"
            raise InvalidMedia(message)
        if name == b"moov":
            has_index = True
            check_sample_tables(file, at + skip, at + length)
        at += length
    if not has_index:
        message = "the file is cut off or was never finished: it has no index (moov)"
        raise InvalidMedia(message)
