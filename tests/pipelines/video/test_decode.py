"""One chunk or twenty, frames left out or not, give exactly the frames that decoding everything gives."""

from __future__ import annotations

import dataclasses
from fractions import Fraction
from typing import TYPE_CHECKING

import av
import cv2
import numpy as np
import pytest
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines.decode import upright
from pipelines.errors import InvalidOption
from pipelines.video.decode import sampled_frames
from pipelines.video.plan import plan_chunks
from pipelines.video.probe import VideoProbe, probe_video
from pipelines.video.sampling import Sampling
from tests.pipelines.video.edit_list import with_edits
from tests.pipelines.video.rendered import SIZE, Recipe, every_frame, fingerprint, render, steady

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

UNEVEN = tuple(np.cumsum(np.random.default_rng(0).integers(5, 200, 60)).tolist())
OPEN = "open-gop=1:bframes=3:keyint=15:min-keyint=15:scenecut=0"
FAST = {"deadline": "realtime", "cpu-used": "8"}
HIDDEN = {"deadline": "good", "cpu-used": "5", "auto-alt-ref": "1", "lag-in-frames": "16"}
QUIET = "log-level=none:keyint=15"

RECIPES = {
    "h264": Recipe(steady(75, 30)),
    "h264 without B-frames": Recipe(steady(60, 25), options={"bf": "0"}),
    "h264, open groups": Recipe(steady(90, 30), options={"x264-params": OPEN}),
    "h264, open groups, mkv": Recipe(steady(90, 30), suffix=".mkv", options={"x264-params": OPEN}),
    "h264 that heals slowly": Recipe(steady(75, 30), options={"x264-params": "intra-refresh=1:keyint=15"}),
    "h264, uneven": Recipe(UNEVEN),
    "h264, fragments": Recipe(steady(75, 30), container_options={"movflags": "frag_keyframe+empty_moov"}),
    "h264, late start": Recipe(tuple(10_000 + tick for tick in steady(45, 30)), suffix=".mkv"),
    "h264, without index": Recipe(steady(90, 30), suffix=".mkv", container_options={"live": "1"}),
    "h264, one frame": Recipe((0,)),
    "h264, long waits": Recipe((0, 100, 4000, 4100, 9000)),
    "mov, turned": Recipe(steady(45, 24), suffix=".mov", rotation=90),
    "hevc, open groups": Recipe(
        steady(75, 30), codec="libx265", options={"x265-params": QUIET + ":bframes=4:open-gop=1"}
    ),
    "hevc, layers of time": Recipe(
        steady(60, 30), codec="libx265", options={"x265-params": QUIET + ":bframes=4:temporal-layers=3"}
    ),
    "vp9": Recipe(steady(60, 30), codec="libvpx-vp9", suffix=".webm", options=FAST),
    "vp9, hidden frames": Recipe(steady(45, 30), codec="libvpx-vp9", suffix=".webm", options=HIDDEN),
    "vp8": Recipe(steady(60, 30), codec="libvpx", suffix=".webm", options=FAST),
    "vp8, hidden frames": Recipe(steady(45, 30), codec="libvpx", suffix=".webm", options=HIDDEN),
    "av1": Recipe(steady(45, 30), codec="libsvtav1", options={"preset": "12", "svtav1-params": "lp=1"}),
    "mpeg4": Recipe(steady(60, 30), codec="mpeg4", options={"bf": "2"}),
    "mpeg4, mkv": Recipe(steady(60, 25), codec="mpeg4", suffix=".mkv", options={"bf": "2"}),
    "mjpeg": Recipe(steady(30, 15), codec="mjpeg", suffix=".mov"),
}
SAMPLINGS = [Sampling(2), Sampling(1), Sampling(5), Sampling(7, 0.33, 1.9), Sampling(30)]
#: Everything in one chunk, a chunk for every group, and something between.
CHUNK_WORK_S = [1e9, 0.0, 0.1]

Found = list[tuple[float, str]]


def rendered(recipe: Recipe, folder: Path) -> Path:
    """Render a recipe, or say that this build of FFmpeg cannot."""
    try:
        av.codec.Codec(recipe.codec, "w")
    except av.codec.codec.UnknownCodecError:
        pytest.skip(f"this FFmpeg has no encoder {recipe.codec}")
    return render(recipe, folder / f"video{recipe.suffix}")


def by_decoding_everything(path: Path, probe: VideoProbe, sampling: Sampling) -> Found:
    """Return timestamps and pixels of the sampled frames by the rule's words, from a plain loop."""
    frames = every_frame(path)
    info, origin, base = probe.info, probe.info.origin, probe.info.tick_s
    start = Fraction(round(sampling.start_s * 1000), 1000)
    stop = None if sampling.end_s is None else Fraction(round(sampling.end_s * 1000), 1000)
    found: Found = []
    reformatter, last, k = VideoReformatter(), -1, 0
    while (time := start + Fraction(k, sampling.rate)) < (probe.table.end - origin) * base:
        if stop is not None and time >= stop:
            break
        k += 1
        on_screen = sum((tick - origin) * base <= time for tick, _ in frames) - 1
        if on_screen > last:
            last = on_screen
            tick, frame = frames[last]
            pixels = reformatter.reformat(
                frame,
                format="bgr24",
                src_colorspace=Colorspace.ITU601,
                dst_color_range=ColorRange.JPEG,
                threads=1,
            ).to_ndarray()
            at = round(max(float((tick - origin) * base), sampling.start_s), 6)
            found.append((at, fingerprint(upright(np.asarray(pixels, np.uint8), info.orientation))))
    return found


def by_chunks(
    path: Path, probe: VideoProbe, sampling: Sampling, work_s: float, *, skip: bool = True
) -> Found:
    """Return timestamps and pixels of all chunks, the last chunk decoded first."""
    chunks = plan_chunks(probe, sampling, work_s)
    parts = {
        chunk.index: [
            (frame.timestamp, fingerprint(frame.pixels))
            for frame in sampled_frames(path, probe.info, chunk, skip_unneeded=skip)
        ]
        for chunk in reversed(chunks)
    }
    return [pair for chunk in chunks for pair in parts[chunk.index]]


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_chunks_give_what_decoding_everything_gives(recipe: Recipe, tmp_path: Path) -> None:
    """Same timestamps and same pixels, for every codec and container, however chunks are cut."""
    path = rendered(recipe, tmp_path)
    probe = probe_video(path)
    for sampling in SAMPLINGS:
        if sampling.start_s >= probe.info.duration_s:
            continue
        expected = by_decoding_everything(path, probe, sampling)
        for work_s in CHUNK_WORK_S:
            assert by_chunks(path, probe, sampling, work_s) == expected, (sampling, work_s)
        assert by_chunks(path, probe, sampling, 0.0, skip=False) == expected, sampling


@pytest.mark.parametrize(
    "edits",
    [
        pytest.param([(5000, 17_024)], id="begins within a group"),
        pytest.param([(1000, -1), (3000, 32_512)], id="waits before it begins"),
        pytest.param([(2000, 0), (3000, 80_100)], id="leaves out the middle"),
        pytest.param([(2000, 80_100), (3000, 16_100)], id="plays the end first"),
    ],
)
def test_edit_lists_are_obeyed(edits: list[tuple[int, int]], tmp_path: Path) -> None:
    """What an edit list does not show is not sampled, and chunks agree about what it shows."""
    plain = render(Recipe(steady(240, 30)), tmp_path / "plain.mp4")
    path = with_edits(plain, tmp_path / "edited.mp4", edits)
    probe = probe_video(path)
    assert probe.info.frames < 240
    for sampling in SAMPLINGS:
        expected = by_decoding_everything(path, probe, sampling)
        for work_s in CHUNK_WORK_S:
            assert by_chunks(path, probe, sampling, work_s) == expected, (sampling, work_s)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.integers(2, 300), min_size=2, max_size=40),
    st.integers(1, 20),
    st.sampled_from([".mp4", ".mkv"]),
    st.integers(1, 30),
    st.integers(0, 800),
)
def test_any_rhythm(
    tmp_path: Path, steps: list[int], gop: int, suffix: str, rate: int, start_ms: int
) -> None:
    """Whatever the times between frames and the distance of key frames, chunks agree with the plain loop."""
    ticks = tuple(np.cumsum(steps).tolist())
    path = render(Recipe(ticks, suffix=suffix, gop=gop), tmp_path / f"any{suffix}")
    probe = probe_video(path)
    sampling = Sampling(rate, min(start_ms / 1000, probe.info.duration_s / 2))
    sampling = Sampling(rate, round(sampling.start_s, 3))
    expected = by_decoding_everything(path, probe, sampling)
    assert by_chunks(path, probe, sampling, 0.0) == expected
    assert by_chunks(path, probe, sampling, 1e9) == expected


@pytest.mark.parametrize("name", ["h264", "h264, uneven", "vp9", "mpeg4"])
def test_times_may_be_found_while_decoding(name: str, tmp_path: Path) -> None:
    """A video whose container tells no times is decoded in one piece and gives the same."""
    path = rendered(RECIPES[name], tmp_path)
    probe = probe_video(path)
    untimed = dataclasses.replace(probe, table=dataclasses.replace(probe.table, is_complete=False))
    last_s = float((probe.table.shown[-1] - probe.info.origin) * probe.info.tick_s)
    for asked in SAMPLINGS:
        # How long the last frame lasts is not known, so its beginning is where this looks no further.
        sampling = Sampling(asked.rate, asked.start_s, min(asked.end_s or last_s, last_s))
        assert len(plan_chunks(untimed, sampling)) == 1
        assert by_chunks(path, untimed, sampling, 0.0) == by_decoding_everything(path, probe, sampling)


def test_long_groups_are_not_decoded_for_nothing(tmp_path: Path) -> None:
    """Groups from which nothing is sampled are in no chunk."""
    path = render(Recipe(steady(110, 30), gop=6), tmp_path / "video.mp4")
    chunks = plan_chunks(probe_video(path), Sampling(1), 0.0)
    assert [chunk.samples for chunk in chunks] == [1, 1, 1, 1]


@pytest.mark.parametrize(("rotation", "turns"), [(90, 1), (180, 2), (-90, 3)])
def test_pixels_are_upright_and_scaled(rotation: int, turns: int, tmp_path: Path) -> None:
    """A turned video gives turned pixels, of the size that was asked for."""
    plain = render(Recipe((0, 100)), tmp_path / "plain.mp4")
    path = render(Recipe((0, 100), rotation=rotation), tmp_path / "turned.mp4")
    straight, probe = probe_video(plain), probe_video(path)
    assert probe.info.size == (SIZE if turns == 2 else SIZE[::-1])
    first = next(sampled_frames(plain, straight.info, plan_chunks(straight, Sampling())[0])).pixels
    chunk = plan_chunks(probe, Sampling())[0]
    turned = next(sampled_frames(path, probe.info, chunk)).pixels
    assert np.array_equal(turned, np.rot90(first, turns))
    width, height = probe.info.size[0] // 2, probe.info.size[1] // 2
    small = next(sampled_frames(path, probe.info, chunk, (width, height))).pixels
    assert small.shape == (height, width, 3)
    expected = cv2.resize(turned, (width, height), interpolation=cv2.INTER_AREA)
    assert np.abs(small.astype(int) - expected).mean() < 6


@pytest.mark.parametrize("size", [(96, 64), (1280, 720)])
def test_colours_are_right(size: tuple[int, int], tmp_path: Path) -> None:
    """White, blue, green and black come back as such: whole range, and the matrix of the size."""
    width, height = size
    picture: NDArray[np.uint8] = np.zeros((height, width, 3), np.uint8)
    colours = [(255, 255, 255), (255, 0, 0), (0, 255, 0), (0, 0, 0)]
    for index, colour in enumerate(colours):
        picture[:, index * width // 4 : (index + 1) * width // 4] = colour
    space = Colorspace.ITU709 if height >= 720 else Colorspace.ITU601
    path = tmp_path / "colours.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10, options={"qp": "4"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        frame = av.VideoFrame.from_ndarray(picture, format="bgr24").reformat(
            format="yuv420p", dst_colorspace=space
        )
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    probe = probe_video(path)
    pixels = next(sampled_frames(path, probe.info, plan_chunks(probe, Sampling())[0])).pixels
    for index, colour in enumerate(colours):
        seen = pixels[height // 2, (2 * index + 1) * width // 8]
        assert np.abs(seen.astype(int) - colour).max() < 10


def test_a_start_behind_the_end_is_refused(tmp_path: Path) -> None:
    """Nothing to sample is the caller's mistake, and the message says how long the video is."""
    path = render(Recipe(steady(30, 30)), tmp_path / "video.mp4")
    with pytest.raises(InvalidOption, match="lasts 1"):
        plan_chunks(probe_video(path), Sampling(2, 5.0))
