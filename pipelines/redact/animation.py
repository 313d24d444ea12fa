"""GIF and APNG: every frame drawn, hidden where it is to be, and written with its own delay.

    GIF:  frames in colours that the source has, wherever it has few enough; delays and rounds as they were
    APNG: frames whole, with the delays' own fractions; rounds as they were

Where nothing is hidden the file's own blocks are kept, but for words about it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import accumulate
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from pipelines.boxes import pixel_regions
from pipelines.decode import on_white
from pipelines.errors import InvalidMedia
from pipelines.masking import hide
from pipelines.redact.apng import clean_png, has_unseen_picture, write_apng
from pipelines.redact.find import look_of
from pipelines.redact.gif import clean_gif, own_colours, write_gif
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
    data = path.read_bytes()
    is_gif = info.kind is Kind.GIF
    if not any(boxes.values()) and (is_gif or not has_unseen_picture(data)):
        target.write_bytes(clean_gif(data) if is_gif else clean_png(data))
        return len(info.delays_us)
    seen = _drawn(path, info)
    if is_gif:
        frames = (
            (own_colours(image), _hidden(image, boxes.get(index, ()), mask))
            for index, image in enumerate(seen)
        )
        return write_gif(data, info.size, frames, target)
    pictures = (_hidden(image, boxes.get(index, ()), mask) for index, image in enumerate(seen))
    return write_apng(data, pictures, target)


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
