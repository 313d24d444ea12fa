"""GIF and APNG: masked, with delays, rounds and colours as they were."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from pipelines.redact.animation import EveryPicture, picture_times, write_animation
from pipelines.results import MaskMethod, MaskOptions
from pipelines.video.animation import probe_animation
from tests.pipelines.redact.redacting import scene

if TYPE_CHECKING:
    from pathlib import Path

SOLID = MaskOptions(MaskMethod.SOLID, padding=0.0)
BOX = (4.0, 4.0, 17.0, 17.0)
DELAYS = [70, 20, 500, 110, 40]


def animation(path: Path, kind: str, **options: Any) -> Path:  # noqa: ANN401 - what Pillow takes
    """Render five different frames."""
    frames = [Image.fromarray(scene(index, (64, 48))[:, :, ::-1]) for index in range(5)]
    if kind == "GIF":
        frames = [frame.quantize(64) for frame in frames]
    frames[0].save(path, kind, save_all=True, append_images=frames[1:], duration=DELAYS, **options)
    return path


def frames_of(path: Path) -> list[Any]:
    """Return each frame as it is seen, RGBA."""
    with Image.open(path) as image:
        found = []
        for index in range(getattr(image, "n_frames", 1)):
            image.seek(index)
            found.append(np.asarray(image.convert("RGBA")))
        return found


def said(path: Path, name: str) -> list[Any]:
    """Return what each frame says of itself."""
    with Image.open(path) as image:
        found = []
        for index in range(getattr(image, "n_frames", 1)):
            image.seek(index)
            found.append(image.info.get(name))
        return found


def masked(path: Path, boxes: dict[int, list[tuple[float, float, float, float]]]) -> Path:
    """Write the animation with these boxes hidden."""
    target = path.with_name(f"masked-{path.name}")
    write_animation(path, probe_animation(path), boxes, SOLID, target)
    return target


@pytest.mark.parametrize("loop", [0, 3, None])
@pytest.mark.parametrize("kind", ["GIF", "PNG"])
def test_all_but_the_face_stays(tmp_path: Path, kind: str, loop: int | None) -> None:
    """Delays and rounds are those of the source, and so is every pixel that is not hidden."""
    options = {} if loop is None else {"loop": loop}
    source = animation(tmp_path / f"a.{kind.lower()}", kind, **options)
    out = masked(source, {index: [BOX] for index in range(5)})
    assert said(out, "duration") == said(source, "duration") == DELAYS
    assert said(out, "loop")[0] == said(source, "loop")[0]
    for old, new in zip(frames_of(source), frames_of(out), strict=True):
        assert new[4:17, 4:17, :3].max() < 60
        hidden = np.zeros(old.shape[:2], bool)
        hidden[4:17, 4:17] = True
        assert (old[~hidden] == new[~hidden]).all()


def test_a_gif_keeps_its_palette(tmp_path: Path) -> None:
    """No colour is in the output that was not in the frame."""
    source = animation(tmp_path / "a.gif", "GIF")
    out = masked(source, {index: [BOX] for index in range(5)})
    for old, new in zip(frames_of(source), frames_of(out), strict=True):
        before = {tuple(each) for each in old.reshape(-1, 4).tolist()}
        assert {tuple(each) for each in new.reshape(-1, 4).tolist()} <= before


def test_clear_pixels_stay_clear(tmp_path: Path) -> None:
    """What can be seen through can be seen through afterwards."""
    pixels = [np.dstack([scene(index, (64, 48)), np.full((48, 64), 255, np.uint8)]) for index in range(3)]
    for each in pixels:
        each[30:, :, 3] = 0
    frames = [Image.fromarray(each) for each in pixels]
    for kind in ("GIF", "PNG"):
        path = tmp_path / f"clear.{kind.lower()}"
        frames[0].save(path, kind, save_all=True, append_images=frames[1:], duration=100, disposal=2)
        for frame in frames_of(masked(path, {1: [BOX]})):
            assert (frame[30:, :, 3] == 0).all()
            assert (frame[:30, :, 3] == 255).all()


def test_fractions_of_a_second_stay(tmp_path: Path) -> None:
    """An APNG's delay of a thirtieth stays a thirtieth."""
    source = animation(tmp_path / "a.png", "PNG")
    data = bytearray(source.read_bytes())
    at = data.find(b"fcTL")
    while at > 0:
        struct.pack_into(">HH", data, at + 24, 1, 30)
        struct.pack_into(">I", data, at + 30, zlib.crc32(data[at : at + 30]))
        at = data.find(b"fcTL", at + 4)
    source.write_bytes(data)
    out = masked(source, {0: [BOX]}).read_bytes()
    places = [at for at in range(len(out)) if out.startswith(b"fcTL", at)]
    assert [struct.unpack_from(">HH", out, at + 24) for at in places] == [(1, 30)] * 5


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("kind", ["GIF", "PNG"])
def test_frames_come_and_go(tmp_path: Path, kind: str, seed: int) -> None:
    """Frames that are alike, that change in part, that are clear in part: each is seen as it was."""
    rng = np.random.default_rng(seed)
    pixels = [np.dstack([scene(0, (32, 24)) // 64 * 64, np.full((24, 32), 255, np.uint8)])]
    for _ in range(7):
        after = pixels[-1].copy()
        x, y = rng.integers(0, 24), rng.integers(0, 18)
        if change := rng.integers(0, 4):
            after[y : y + 6, x : x + 8] = [(200, 30, 60, 255), (0, 0, 0, 0), pixels[0][0, 0]][change - 1]
        pixels.append(after)
    frames = [Image.fromarray(each) for each in pixels]
    delays = rng.choice([0, 10, 40, 250, 65_000], 8).tolist()
    path = tmp_path / f"a.{kind.lower()}"
    frames[0].save(path, kind, save_all=True, append_images=frames[1:], duration=delays, disposal=2)
    count = len(frames_of(path))
    out = masked(path, {count - 1: [(0.0, 0.0, 2.0, 2.0)]})
    assert said(out, "duration") == said(path, "duration")
    for old, new in zip(frames_of(path), frames_of(out), strict=True):
        shown = old[:, :, 3] > 0
        assert ((new[:, :, 3] > 0) == shown).all()
        shown[:2, :2] = False
        assert (old[shown] == new[shown]).all()


def test_where_frames_differ_by_what_is_hidden_alone(tmp_path: Path) -> None:
    """Frames that only a face tells apart are all there afterwards, with the longest delays there are."""
    frames = [scene(0, (64, 48))[:, :, ::-1].copy() for _ in range(4)]
    for index, pixels in enumerate(frames):
        pixels[6:14, 6:14] = 60 * index
    stills = [Image.fromarray(pixels).quantize(64) for pixels in frames]
    path, delays = tmp_path / "a.gif", [100, 655_350, 655_350, 20]
    stills[0].save(path, "GIF", save_all=True, append_images=stills[1:], duration=delays, loop=0)
    out = masked(path, {index: [BOX] for index in range(4)})
    assert said(out, "duration") == delays
    assert all(new[4:17, 4:17, :3].max() < 60 for new in frames_of(out))


@pytest.mark.parametrize("boxes", [{}, {1: [BOX]}])
def test_words_are_left_out(
    tmp_path: Path, boxes: dict[int, list[tuple[float, float, float, float]]]
) -> None:
    """Delays and rounds stay whether a face is hidden or not; words are gone, and without a face no pixel."""
    gif = animation(tmp_path / "a.gif", "GIF", comment=b"taken at home", loop=2)
    words = PngImagePlugin.PngInfo()
    words.add_text("Comment", "taken at home")
    words.add(b"gAMA", struct.pack(">I", 33_333))
    png = animation(tmp_path / "a.png", "PNG", pnginfo=words)
    for path in (gif, png):
        assert b"taken at home" in path.read_bytes()
        out = masked(path, boxes)
        assert b"taken at home" not in out.read_bytes()
        assert said(out, "duration") == DELAYS
        assert said(out, "loop") == said(path, "loop")
        assert said(out, "gamma")[0] == said(path, "gamma")[0]
        if not boxes:
            assert all((one == two).all() for one, two in zip(frames_of(path), frames_of(out), strict=True))


def test_a_picture_that_is_no_frame_does_not_come_along(tmp_path: Path) -> None:
    """What an APNG shows where animations are unknown was never looked at, and is not in the output."""
    frames = [Image.fromarray(scene(index, (64, 48))) for index in range(3)]
    path = tmp_path / "a.png"
    frames[0].save(path, "PNG", save_all=True, default_image=True, append_images=frames[1:], duration=50)
    out = masked(path, {})
    assert b"IDAT" in out.read_bytes()
    assert out.read_bytes().index(b"fcTL") < out.read_bytes().index(b"IDAT")
    assert all((one == two).all() for one, two in zip(frames_of(path)[1:], frames_of(out), strict=True))


def test_every_frame_is_given(tmp_path: Path) -> None:
    """Frames come by their place, at the times that browsers show them."""
    path = animation(tmp_path / "a.gif", "GIF")
    info = probe_animation(path)
    given = list(EveryPicture(path, info).decoded(None))
    assert [frame.timestamp for frame in given] == [0, 1, 2, 3, 4]
    assert picture_times(info) == [0, 0.07, 0.09, 0.59, 0.7]
