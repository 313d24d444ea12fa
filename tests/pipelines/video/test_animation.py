"""GIF and APNG: delays as browsers take them, pictures drawn as FFmpeg draws them, bombs refused."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING

import av
import numpy as np
import pytest
from PIL import Image

from pipelines.errors import InvalidMedia, InvalidOption, UnsupportedMedia
from pipelines.video.animation import AnimationInfo, animation_frames, probe_animation
from pipelines.video.sampling import Sampling
from pipelines.video.sniff import Kind
from tests.pipelines.video.rendered import Recipe, drawn, render

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

DELAYS_MS = [0, 10, 20, 100, 50, 200, 300, 10, 40, 500, 70, 0]
SHOWN_MS = [100, 100, 20, 100, 50, 200, 300, 100, 40, 500, 70, 100]


def partial_pictures(mode: str) -> list[Image.Image]:
    """Return pictures that are transparent but for a disc, so that disposal shows."""
    pictures = []
    for index in range(len(DELAYS_MS)):
        alpha = np.zeros((64, 96), np.uint8)
        alpha[10 + index : 40 + index, 5 * index : 5 * index + 30] = 255
        picture = Image.fromarray(np.dstack([drawn(index), alpha]), "RGBA")
        pictures.append(picture.convert(mode))
    return pictures


def written(path: Path, disposal: int | list[int]) -> AnimationInfo:
    """Write an animation of partly transparent frames, and return what the probe says of it."""
    first, *rest = partial_pictures("RGBA")
    first.save(path, save_all=True, append_images=rest, duration=DELAYS_MS, loop=3, disposal=disposal)
    return probe_animation(path)


def drawn_by_ffmpeg(path: Path) -> list[NDArray[np.uint8]]:
    """Return every frame as FFmpeg composes it, on white."""
    frames = []
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            rgba = frame.to_ndarray(format="rgba").astype(np.uint16)
            alpha = rgba[:, :, 3:]
            mixed = (rgba[:, :, :3] * alpha + 255 * (255 - alpha)) // 255
            frames.append(mixed[:, :, ::-1].astype(np.uint8))
    return frames


@pytest.mark.parametrize("suffix", ["gif", "png"])
def test_delays_are_those_of_browsers(suffix: str, tmp_path: Path) -> None:
    """Each frame lasts its own delay; one of ten milliseconds or less lasts a tenth of a second."""
    info = written(tmp_path / f"a.{suffix}", 2 if suffix == "gif" else 1)
    assert info.kind is (Kind.GIF if suffix == "gif" else Kind.APNG)
    assert info.size == (96, 64)
    assert [delay // 1000 for delay in info.delays_us] == SHOWN_MS
    assert info.duration_s == pytest.approx(1.68)


@pytest.mark.parametrize(
    ("suffix", "disposal"),
    [("gif", 0), ("gif", 1), ("gif", 2), ("gif", 3), ("png", 0), ("png", 1), ("png", 2)],
)
def test_frames_are_composed_as_ffmpeg_composes_them(suffix: str, disposal: int, tmp_path: Path) -> None:
    """Whether the last frame stays, goes or gives way to the one before, pictures are the same."""
    path = tmp_path / f"a.{suffix}"
    info = written(path, disposal)
    # At 30 a second every frame of 34 ms and more is met; the shorter one is compared by its neighbours.
    met = {frame.timestamp: frame.pixels for frame in animation_frames(path, info, Sampling(30))}
    begins = np.concatenate([[0], np.cumsum(info.delays_us)[:-1]]) / 1e6
    expected = dict(zip(begins.round(6).tolist(), drawn_by_ffmpeg(path), strict=True))
    assert len(met) >= len(expected) - 1
    for timestamp, pixels in met.items():
        assert np.abs(pixels.astype(int) - expected[timestamp]).max() <= 1


def test_sampling_follows_the_rule_of_videos(tmp_path: Path) -> None:
    """The frame on screen at each half second is given, once, with the time at which it appeared."""
    path = tmp_path / "a.gif"
    info = written(path, 2)
    assert [frame.timestamp for frame in animation_frames(path, info, Sampling(2))] == [0.0, 0.37, 0.97, 1.01]
    part = animation_frames(path, info, Sampling(2, 0.6, 1.2), (48, 32))
    assert [(frame.timestamp, frame.pixels.shape) for frame in part] == [
        (0.6, (32, 48, 3)),
        (1.01, (32, 48, 3)),
    ]
    with pytest.raises(InvalidOption):
        next(animation_frames(path, info, Sampling(2, 9.0)))


@pytest.mark.parametrize("suffix", ["gif", "png"])
def test_one_picture_is_one_frame(suffix: str, tmp_path: Path) -> None:
    """A GIF of one picture, or a PNG that is not animated, gives one frame at zero."""
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(drawn(0)).save(path)
    info = probe_animation(path)
    frames = list(animation_frames(path, info, Sampling(30)))
    assert [frame.timestamp for frame in frames] == [0.0]
    assert frames[0].pixels.shape == (64, 96, 3)


def test_a_default_picture_is_no_frame(tmp_path: Path) -> None:
    """Of a PNG whose first picture is for programs that know no animation, only the others are frames."""
    path = tmp_path / "a.png"
    pictures = [Image.fromarray(drawn(index)) for index in range(4)]
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=100, default_image=True)
    info = probe_animation(path)
    frames = list(animation_frames(path, info, Sampling(30)))
    assert len(frames) == 3
    for index, frame in enumerate(frames, 1):
        assert np.array_equal(frame.pixels, drawn(index)[:, :, ::-1])


@pytest.mark.parametrize("share", [0.05, 0.4, 0.9])
@pytest.mark.parametrize("suffix", ["gif", "png"])
def test_a_cut_off_animation_is_invalid(suffix: str, share: float, tmp_path: Path) -> None:
    """Faces in the lost part would be missed, so it is refused before a frame is given."""
    path = tmp_path / f"a.{suffix}"
    written(path, 2 if suffix == "gif" else 1)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(InvalidMedia):
        probe_animation(path)


def gif_of(frames: int, canvas: tuple[int, int], frame: tuple[int, int] = (1, 1)) -> bytes:
    """Return a GIF that claims a canvas and has frames of a few bytes each."""
    head = b"GIF89a" + struct.pack("<HHBBB", *canvas, 0x80, 0, 0) + bytes(6)
    picture = b"\x2c" + struct.pack("<HHHHB", 0, 0, *frame, 0) + b"\x02\x02\x44\x01\x00"
    return head + picture * frames + b"\x3b"


def apng_of(size: tuple[int, int]) -> bytes:
    """Return a PNG that claims a size and has next to no data."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", *size, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(gif_of(60_000, (1, 1)), id="sixty thousand frames"),
        pytest.param(gif_of(2_000, (4096, 4096)), id="too many pixels in all"),
        pytest.param(gif_of(1, (5000, 10)), id="too wide"),
        pytest.param(gif_of(1, (10, 10), (60_000, 60_000)), id="a frame beyond its canvas"),
        pytest.param(gif_of(0, (10, 10)), id="no frames"),
        pytest.param(apng_of((60_000, 60_000)), id="a wall of a PNG"),
        pytest.param(b"GIF89a", id="a header alone"),
    ],
)
def test_bombs_are_refused_from_their_headers(data: bytes, tmp_path: Path) -> None:
    """What would cost hours or gigabytes is refused before a pixel is drawn."""
    path = tmp_path / "bomb"
    path.write_bytes(data)
    with pytest.raises(InvalidMedia):
        probe_animation(path)


def test_a_video_is_no_animation(tmp_path: Path) -> None:
    """The error says which type of task to create instead."""
    path = render(Recipe((0, 100)), tmp_path / "video.mp4")
    with pytest.raises(UnsupportedMedia, match="type video"):
        probe_animation(path)
