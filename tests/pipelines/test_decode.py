"""Pixels: every kind of picture comes out upright, as ordinary colour, or is refused."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pillow_heif
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from pipelines.decode import decode_picture, reduction_for, upright
from pipelines.errors import CallerError, InvalidMedia
from pipelines.probe import PictureHeader, probe_picture
from tests.pipelines.drawn import (
    Pixels,
    chunk,
    exif_of,
    file_of,
    noise,
    png,
    saved,
    scene,
    stored_as,
    with_exif,
)

pillow_heif.register_heif_opener()

CLOSE = 6
"""How far lossy formats may stray on smooth pictures, in levels."""


def _decode(data: bytes) -> Pixels:
    return decode_picture(data, probe_picture(data))


def _rgb(pixels: Pixels) -> Image.Image:
    return Image.fromarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB))


def _strays(one: Pixels, other: Pixels) -> float:
    assert one.shape == other.shape
    return float(np.abs(one.astype(int) - other.astype(int)).mean())


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".bmp"])
def test_returns_the_pixels(suffix: str) -> None:
    """Each format comes back as what was drawn."""
    pixels = scene(120, 80, (30, 20, 60, 60))
    assert _strays(_decode(file_of(pixels, suffix)), pixels) < CLOSE


def test_reads_heic() -> None:
    """HEIC from a phone is an ordinary picture."""
    pixels = scene(128, 64)
    assert _strays(_decode(saved(_rgb(pixels), "HEIF", quality=95)), pixels) < CLOSE


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_comes_out_upright(kind: str, orientation: int) -> None:
    """A picture stored in any of the eight orientations comes out as it was seen."""
    seen = scene(96, 64, (8, 8, 40, 24))
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = saved(_rgb(stored_as(seen, orientation)), kind, exif=exif, quality=95)
    assert _strays(_decode(data), seen) < CLOSE


@pytest.mark.parametrize("orientation", range(1, 9))
def test_heic_comes_out_upright(orientation: int) -> None:
    """A turned HEIC is turned once, by its decoder, and not again."""
    seen = scene(128, 64, (8, 8, 56, 24))
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = saved(_rgb(stored_as(seen, orientation)), "HEIF", exif=exif.tobytes(), quality=95)
    assert _strays(_decode(data), seen) < CLOSE


@given(st.integers(1, 8), st.integers(1, 9), st.integers(1, 9))
def test_upright_undoes_every_orientation(orientation: int, width: int, height: int) -> None:
    """Turning a stored picture upright gives the seen one, pixel for pixel."""
    seen = noise(width, height)
    assert np.array_equal(upright(stored_as(seen, orientation), orientation), seen)


def test_transparent_pixels_are_seen_on_white() -> None:
    """What full transparency hides stays hidden, and half of it is half of the way to white."""
    image = Image.new("RGBA", (2, 1))
    image.putpixel((0, 0), (200, 0, 0, 0))
    image.putpixel((1, 0), (200, 0, 0, 128))
    for kind, options in (("PNG", {}), ("WEBP", {"lossless": True, "exact": True})):
        assert _decode(saved(image, kind, **options)).tolist() == pytest.approx(
            np.array([[[255, 255, 255], [127, 127, 227]]]), abs=1
        )


@pytest.mark.parametrize(
    ("image", "kind", "options", "blue_green_red"),
    [
        pytest.param(Image.new("L", (8, 8), 77), "JPEG", {}, (77, 77, 77), id="grey JPEG"),
        pytest.param(Image.new("L", (8, 8), 77), "PNG", {}, (77, 77, 77), id="grey PNG"),
        pytest.param(Image.new("L", (64, 64), 77), "HEIF", {}, (77, 77, 77), id="grey HEIC"),
        pytest.param(Image.new("LA", (8, 8), (77, 255)), "PNG", {}, (77, 77, 77), id="grey with alpha"),
        pytest.param(Image.new("1", (8, 8), 1), "PNG", {}, (255, 255, 255), id="one bit"),
        pytest.param(Image.new("1", (8, 8), 1), "BMP", {}, (255, 255, 255), id="one-bit BMP"),
        pytest.param(
            Image.new("RGB", (8, 8), (9, 99, 199)).quantize(4), "PNG", {}, (199, 99, 9), id="palette"
        ),
        pytest.param(
            Image.new("RGB", (8, 8), (9, 99, 199)).quantize(4),
            "PNG",
            {"transparency": 0},
            (255, 255, 255),
            id="palette with a transparent colour",
        ),
        pytest.param(
            Image.new("RGB", (64, 64), (200, 60, 30)).convert("CMYK"), "JPEG", {}, (30, 60, 200), id="CMYK"
        ),
        pytest.param(Image.new("I;16", (8, 8), 77 * 257), "PNG", {}, (77, 77, 77), id="16-bit grey"),
    ],
)
def test_every_kind_of_colour_becomes_bgr(
    image: Image.Image, kind: str, options: dict[str, Any], blue_green_red: tuple[int, int, int]
) -> None:
    """Grey, palette, CMYK and deep pictures come out as the 8-bit colour that they show."""
    pixels = _decode(saved(image, kind, **options))
    assert pixels.dtype == np.uint8
    assert pixels[0, 0].tolist() == pytest.approx(blue_green_red, abs=4)


@pytest.mark.parametrize("channels", [3, 4])
def test_16_bit_colour_becomes_8_bit(channels: int) -> None:
    """Deep colour keeps its levels, with and without transparency."""
    deep = np.full((4, 4, channels), 65535, np.uint16)
    deep[:, :, :3] = (10 * 257, 100 * 257, 200 * 257)
    assert _decode(file_of(deep, ".png"))[0, 0].tolist() == pytest.approx([10, 100, 200], abs=1)


@pytest.mark.parametrize("kind", ["WEBP", "PNG"])
def test_the_first_frame_of_an_animation_is_taken(kind: str) -> None:
    """An animated WebP or PNG is its first picture."""
    frames = [Image.new("RGB", (16, 16), colour) for colour in ("red", "lime", "blue")]
    data = saved(frames[0], kind, save_all=True, append_images=frames[1:], duration=100, lossless=True)
    assert _decode(data)[5, 5].tolist() == pytest.approx([0, 0, 255], abs=3)


@pytest.mark.parametrize("suffix", [".png", ".webp", ".bmp"])
@pytest.mark.parametrize("keep", [0.3, 0.9])
def test_refuses_what_is_cut_off(suffix: str, keep: float) -> None:
    """Half a picture is not a picture."""
    data = file_of(noise(90, 60), suffix)
    with pytest.raises(InvalidMedia):
        _decode(data[: int(len(data) * keep)])


def test_refuses_a_cut_off_heic() -> None:
    """Half a HEIC is refused too."""
    data = saved(_rgb(noise(128, 128)), "HEIF")
    with pytest.raises(InvalidMedia):
        _decode(data[: len(data) // 2])


def test_refuses_a_picture_that_is_not_what_its_header_claims() -> None:
    """A PNG whose rows end long before its header says so is refused."""
    with pytest.raises(InvalidMedia):
        _decode(png(4000, 4000, rows=b"\0" * 100))


def test_a_lying_profile_does_no_harm() -> None:
    """Metadata that is not what it should be is ignored."""
    data = png(16, 16, chunk(b"iCCP", b"name\0\0not deflated"), chunk(b"eXIf", b"II*\0\xff\xff\xff\xff"))
    assert _decode(data).shape == (16, 16, 3)


@pytest.mark.parametrize(
    ("size", "needed", "reduction"),
    [
        ((1280, 886), (640, 443), 2),
        ((1279, 886), (640, 443), 1),
        ((5120, 2880), (640, 360), 8),
        ((9, 9), (640, 640), 1),
    ],
)
def test_reduces_as_far_as_the_canvas_allows(
    size: tuple[int, int], needed: tuple[int, int], reduction: int
) -> None:
    """A JPEG is decoded as small as the canvas allows, and never smaller."""
    assert reduction_for(PictureHeader("jpeg", *size), needed) == reduction
    assert reduction_for(PictureHeader("jpeg", size[1], size[0], orientation=6), needed) == reduction
    assert reduction_for(PictureHeader("png", *size), needed) == 1


@pytest.mark.parametrize("reduction", [2, 4, 8])
def test_a_reduced_picture_is_the_same_picture(reduction: int) -> None:
    """Reduced decoding gives the upright picture, averaged."""
    seen = scene(403, 301, (80, 80, 240, 160))
    data = with_exif(file_of(stored_as(seen, 6)), exif_of(6))
    small = decode_picture(data, probe_picture(data), reduction)
    assert small.shape == (-(-301 // reduction), -(-403 // reduction), 3)
    averaged = cv2.resize(seen, small.shape[1::-1], interpolation=cv2.INTER_AREA)
    assert _strays(small, np.asarray(averaged, np.uint8)) < CLOSE


@settings(max_examples=60)
@given(
    suffix=st.sampled_from([".jpg", ".png", ".webp", ".bmp"]),
    edits=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=12),
)
def test_damaged_pictures_never_crash(suffix: str, edits: list[tuple[float, int]]) -> None:
    """However a file is damaged, it is either decoded or refused as the caller's fault."""
    data = bytearray(_SAMPLES[suffix])
    for where, value in edits:
        data[int(where * (len(data) - 1))] = value
    try:
        pixels = _decode(bytes(data))
    except CallerError:
        return
    assert pixels.dtype == np.uint8
    assert pixels.ndim == 3


_SAMPLES = {suffix: file_of(noise(40, 30), suffix) for suffix in (".jpg", ".png", ".webp", ".bmp")}
