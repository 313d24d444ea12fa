"""Headers: what is read from them, what is refused, and that nothing in them can do harm."""

from __future__ import annotations

import struct
from typing import Any

import pillow_heif
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pipelines.errors import CallerError, InvalidMedia, MediaTooLarge, UnsupportedMedia
from pipelines.probe import MAX_BYTES, PictureHeader, exif_orientation, probe_picture
from tests.pipelines.drawn import chunk, exif_of, file_of, png, saved, scene, with_exif

pillow_heif.register_heif_opener()

FORMATS: dict[str, dict[str, Any]] = {
    "jpeg": {"kind": "JPEG"},
    "progressive": {"kind": "JPEG", "progressive": True},
    "png": {"kind": "PNG"},
    "webp": {"kind": "WEBP"},
    "webp-lossless": {"kind": "WEBP", "lossless": True},
    "bmp": {"kind": "BMP"},
    "heic": {"kind": "HEIF"},
}


def _file(name: str, width: int = 37, height: int = 21, **more: Any) -> bytes:  # noqa: ANN401 - whatever the format takes
    return saved(Image.new("RGB", (width, height), (90, 120, 150)), **FORMATS[name], **more)


@pytest.mark.parametrize("name", FORMATS)
def test_reads_the_size(name: str) -> None:
    """Every accepted format tells its width and height."""
    header = probe_picture(_file(name))
    assert (header.format, header.width, header.height) == (
        {"progressive": "jpeg", "webp-lossless": "webp"}.get(name, name),
        37,
        21,
    )


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["jpeg", "png", "webp"])
def test_reads_the_orientation(name: str, orientation: int) -> None:
    """The EXIF orientation is found wherever a format keeps it, and swaps the upright sides from 5 on."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    header = probe_picture(_file(name, exif=exif))
    assert header.orientation == orientation
    assert header.upright_size == ((37, 21) if orientation < 5 else (21, 37))


def test_reads_an_orientation_that_follows_the_pixels() -> None:
    """Some writers put eXIf at the end of a PNG."""
    data = _file("png")
    end = data.index(b"IEND") - 4
    assert probe_picture(data[:end] + chunk(b"eXIf", exif_of(6)) + data[end:]).orientation == 6


def test_heic_is_turned_by_its_own_decoder() -> None:
    """A turned HEIC states its upright size, and no orientation is left to apply."""
    exif = Image.Exif()
    exif[0x0112] = 6
    assert probe_picture(_file("heic", exif=exif.tobytes())) == PictureHeader("heic", 21, 37)


@pytest.mark.parametrize("big_endian", [False, True])
def test_exif_in_either_byte_order(big_endian: bool) -> None:  # noqa: FBT001 - a parametrised flag
    """Cameras write EXIF in both byte orders."""
    assert exif_orientation(exif_of(8, big_endian=big_endian)) == 8


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_impossible_orientation_is_none(orientation: int) -> None:
    """An orientation that does not exist leaves the picture as it is."""
    assert exif_orientation(exif_of(orientation)) == 1


@pytest.mark.parametrize(
    ("data", "error"),
    [
        pytest.param(b"", InvalidMedia, id="empty"),
        pytest.param(b"\xff\xd8\xff", InvalidMedia, id="three bytes of JPEG"),
        pytest.param(b"\x89PNG\r\n\x1a\n", InvalidMedia, id="PNG signature only"),
        pytest.param(b"BM", InvalidMedia, id="BMP signature only"),
        pytest.param(b"RIFF\0\0\0\0WEBP", InvalidMedia, id="WebP signature only"),
        pytest.param(b"RIFF\0\0\0\0WEBPVP9 " + bytes(40), InvalidMedia, id="unknown WebP"),
        pytest.param(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", InvalidMedia, id="HEIC signature only"),
        pytest.param(b"\0\0\0\x18ftypavif\0\0\0\0mif1avif", UnsupportedMedia, id="AVIF"),
        pytest.param(b"\0\0\0\x18ftypisom\0\0\0\0mp42isom", UnsupportedMedia, id="MP4"),
        pytest.param(b"GIF89a" + bytes(40), UnsupportedMedia, id="GIF"),
        pytest.param(b"II*\0" + bytes(40), UnsupportedMedia, id="TIFF"),
        pytest.param(b"%PDF-1.7", UnsupportedMedia, id="PDF"),
        pytest.param(b"<svg xmlns=''/>", UnsupportedMedia, id="SVG"),
        pytest.param(b"hello", UnsupportedMedia, id="text"),
        pytest.param(png(0, 5), InvalidMedia, id="no columns"),
    ],
)
def test_refuses(data: bytes, error: type[CallerError]) -> None:
    """What is not a sound picture of an accepted type is refused as what it is."""
    with pytest.raises(error):
        probe_picture(data)


@pytest.mark.parametrize("keep", [0.05, 0.5, 0.98])
def test_refuses_a_cut_off_jpeg(keep: float) -> None:
    """A JPEG without its end is refused, because decoders fill the rest with grey and say nothing."""
    data = file_of(scene(300, 200))
    with pytest.raises(InvalidMedia):
        probe_picture(data[: int(len(data) * keep)])


def test_an_end_marker_in_the_thumbnail_does_not_count() -> None:
    """A cut off JPEG is not taken for whole because its thumbnail is."""
    data = with_exif(file_of(scene(300, 200)), exif_of(1) + file_of(scene(16, 16)))
    assert probe_picture(data).width == 300
    with pytest.raises(InvalidMedia):
        probe_picture(data[:-50])


def test_takes_a_jpeg_with_more_behind_its_end() -> None:
    """Phones append video and maps to a JPEG; the picture is whole."""
    assert probe_picture(file_of(scene(30, 20)) + b"more" * 1000).width == 30


@pytest.mark.parametrize("size", [(7680, 4320), (4320, 7680), (1, 1), (4320, 4320), (1, 7680)])
def test_takes_up_to_8k_either_way_up(size: tuple[int, int]) -> None:
    """The limit holds for the longer and the shorter side, whichever way the picture is turned."""
    header = probe_picture(png(*size, rows=b""))
    assert (header.width, header.height) == size


@pytest.mark.parametrize("size", [(7681, 1), (30_000, 1), (4321, 4321), (60_000, 60_000), (2**31 - 1, 2)])
def test_refuses_more_than_8k(size: tuple[int, int]) -> None:
    """Larger pictures are refused from the header, and the message names the size."""
    with pytest.raises(InvalidMedia, match=f"{size[0]}x{size[1]}"):
        probe_picture(png(*size, rows=b""))


def test_refuses_too_many_bytes() -> None:
    """A file over the limit is too large, whatever is in it."""
    with pytest.raises(MediaTooLarge):
        probe_picture(bytes(MAX_BYTES + 1))


def test_a_bmp_may_run_from_the_top() -> None:
    """A negative height in a BMP means the order of rows."""
    data = bytearray(file_of(scene(30, 20), ".bmp"))
    struct.pack_into("<i", data, 22, -20)
    assert probe_picture(bytes(data)).height == 20


def test_a_jpeg_of_countless_segments_is_refused_quickly() -> None:
    """Walking the header ends after a bounded number of steps."""
    with pytest.raises(InvalidMedia):
        probe_picture(b"\xff\xd8" + b"\xff\xfe\0\x02" * 10_000_000)


@given(
    name=st.sampled_from(sorted(FORMATS)),
    edits=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=12),
    keep=st.floats(0, 1),
)
def test_damaged_headers_never_crash(name: str, edits: list[tuple[float, int]], keep: float) -> None:
    """However a file is damaged, it is either read or refused as the caller's fault."""
    data = bytearray(_SAMPLES[name])
    for where, value in edits:
        data[int(where * (len(data) - 1))] = value
    try:
        header = probe_picture(bytes(data[: int(keep * len(data)) + 1]))
    except CallerError:
        return
    assert 1 <= header.orientation <= 8
    assert header.width >= 1
    assert header.height >= 1


@given(start=st.sampled_from([b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"BM", b"RIFF", b""]), rest=st.binary())
def test_garbage_never_crashes(start: bytes, rest: bytes) -> None:
    """Random bytes after a known start are read or refused."""
    try:
        probe_picture(start + rest)
    except CallerError:
        return


@given(st.binary(max_size=200))
def test_garbage_exif_is_no_orientation(exif: bytes) -> None:
    """Whatever an EXIF block holds, the answer is an orientation."""
    assert 1 <= exif_orientation(b"II*\0" + exif) <= 8


_SAMPLES = {name: _file(name) for name in FORMATS}
