"""Files that go out: of the format asked for, with nothing of the original's metadata."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from pipelines.encode import encode_picture
from pipelines.results import EncodeOptions, ImageFormat
from tests.pipelines.drawn import scene


@pytest.mark.parametrize("kind", list(ImageFormat))
def test_writes_the_format_without_metadata(kind: ImageFormat) -> None:
    """The file is what was asked for and carries no EXIF, profile or text."""
    pixels = scene(120, 80, (20, 20, 60, 60))
    image = Image.open(io.BytesIO(encode_picture(pixels, EncodeOptions(kind))))
    assert image.format == kind.value.upper()
    assert not dict(image.getexif())
    assert not set(image.info) - {"jfif", "jfif_version", "jfif_unit", "jfif_density", "loop", "background"}
    back = np.asarray(image.convert("RGB"))[:, :, ::-1]
    assert np.abs(back.astype(int) - pixels).mean() < 4


@pytest.mark.parametrize("kind", [ImageFormat.JPEG, ImageFormat.WEBP])
def test_quality_decides_the_size(kind: ImageFormat) -> None:
    """Less quality makes a smaller file, down to 1 and up to 100."""
    pixels = scene(300, 200, (50, 50, 150, 150))
    sizes = [len(encode_picture(pixels, EncodeOptions(kind, quality))) for quality in (1, 50, 95, 100)]
    assert sizes == sorted(sizes)


def test_png_loses_nothing() -> None:
    """PNG gives back the very pixels."""
    pixels = scene(50, 40)
    image = Image.open(io.BytesIO(encode_picture(pixels, EncodeOptions(ImageFormat.PNG, 1))))
    assert np.array_equal(np.asarray(image)[:, :, ::-1], pixels)
