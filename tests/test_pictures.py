"""The pictures that other tests rely on are what their names say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PIL import Image

if TYPE_CHECKING:
    from pathlib import Path


def test_pictures_have_their_known_sizes(group_photo_path: Path, portrait_path: Path, cat_path: Path) -> None:
    """Each opens as a picture of the documented size."""
    sizes = []
    for path in (group_photo_path, portrait_path, cat_path):
        with Image.open(path) as picture:
            sizes.append(picture.size)
    assert sizes == [(1280, 886), (512, 512), (451, 300)]
