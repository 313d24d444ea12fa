"""Small videos, rendered by FFmpeg's own encoders, and the frames that a plain loop over them gives."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any, cast

import av
import cv2
import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    from av.video.stream import VideoStream
    from numpy.typing import NDArray

SIZE = (96, 64)
_MUXERS = {".mp4": "mp4", ".mov": "mov", ".m4v": "ipod", ".mkv": "matroska", ".webm": "webm"}


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to render a video: every frame is different, and its ticks are free to choose.

    Attributes:
        ticks: presentation times of the frames, in thousandths of a second.
        codec: FFmpeg's encoder.
        suffix: the container, by its file name's end.
        options: of the encoder.
        container_options: of the muxer.
        gop: frames between key frames.
        rotation: degrees, counterclockwise, that a player turns the picture by.
        size: width and height.
    """

    ticks: tuple[int, ...]
    codec: str = "libx264"
    suffix: str = ".mp4"
    options: dict[str, str] = field(default_factory=dict)
    container_options: dict[str, str] = field(default_factory=dict)
    gop: int = 12
    rotation: int = 0
    size: tuple[int, int] = SIZE


def steady(frames: int, rate: float) -> tuple[int, ...]:
    """Return the ticks of so many frames at so many a second."""
    return tuple(round(index * 1000 / rate) for index in range(frames))


def drawn(index: int, size: tuple[int, int] = SIZE) -> NDArray[np.uint8]:
    """Return a picture that no other index has: a disc that wanders over a pattern that drifts."""
    width, height = size
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    pattern = 128 + 60 * np.sin((x + 3 * index) / 9) + 50 * np.cos((y - 2 * index) / 7)
    picture = np.repeat(pattern[:, :, None], 3, axis=2).clip(0, 255).astype(np.uint8)
    at = (int(width * (0.5 + 0.4 * np.sin(index / 3))), int(height * (0.5 + 0.4 * np.cos(index / 5))))
    cv2.circle(picture, at, height // 6, (index * 37 % 256, 255, index * 91 % 256), -1)
    return picture


def render(recipe: Recipe, path: Path) -> Path:
    """Write the video, and return its path."""
    with av.open(
        str(path), "w", format=_MUXERS[recipe.suffix], options=recipe.container_options
    ) as container:
        stream = cast("VideoStream", container.add_stream(recipe.codec, rate=30, options=recipe.options))
        stream.width, stream.height = recipe.size
        stream.pix_fmt = "yuvj420p" if recipe.codec == "mjpeg" else "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        stream.codec_context.gop_size = recipe.gop
        stream.codec_context.thread_count = 1
        if recipe.rotation:
            stream.set_display_rotation(recipe.rotation)
        for index, tick in enumerate(recipe.ticks):
            frame = av.VideoFrame.from_ndarray(drawn(index, recipe.size), format="bgr24")
            frame.pts, frame.time_base = tick, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def every_frame(path: Path) -> list[tuple[int, Any]]:
    """Return every frame that a plain decoding loop gives, with its tick, in order of time."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        return sorted(
            ((int(frame.pts or 0), frame) for frame in container.decode(stream)), key=lambda pair: pair[0]
        )


def fingerprint(pixels: NDArray[np.uint8]) -> str:
    """Return a short text that differs wherever a pixel does."""
    return hashlib.sha256(np.ascontiguousarray(pixels).tobytes()).hexdigest()[:16]
