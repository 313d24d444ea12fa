"""Damaged files give frames or an error of the domain: they never crash, hang or grow."""

from __future__ import annotations

import resource
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from pipelines.errors import CallerError
from pipelines.video.animation import animation_frames, probe_animation
from pipelines.video.decode import sampled_frames
from pipelines.video.plan import plan_chunks
from pipelines.video.probe import probe_video
from pipelines.video.sampling import Sampling
from tests.pipelines.video.rendered import Recipe, drawn, render, steady

if TYPE_CHECKING:
    from pathlib import Path

SOURCES = {
    "mp4": Recipe(steady(20, 30)),
    "fragments.mp4": Recipe(steady(20, 30), container_options={"movflags": "frag_keyframe+empty_moov"}),
    "mkv": Recipe(steady(20, 30), suffix=".mkv"),
    "hevc.mkv": Recipe(
        steady(10, 30), codec="libx265", suffix=".mkv", options={"x265-params": "log-level=none"}
    ),
    "webm": Recipe(steady(20, 30), codec="libvpx", suffix=".webm"),
    "vp9.webm": Recipe(steady(10, 30), codec="libvpx-vp9", suffix=".webm", options={"cpu-used": "8"}),
}
ANIMATIONS = ("gif", "png")

mutations = st.lists(
    st.tuples(st.floats(0, 1, exclude_max=True), st.sampled_from(["flip", "cut", "zero", "repeat", "ones"])),
    min_size=1,
    max_size=6,
)
values = st.integers(0, 255)
poison = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


def mutated(data: bytes, changes: list[tuple[float, str]], value: int) -> bytes:
    """Return the bytes with something wrong in some places."""
    damaged = bytearray(data)
    for share, how in changes:
        at = int(share * len(damaged))
        if how == "flip":
            damaged[at : at + 1] = bytes([value])
        elif how == "cut":
            del damaged[at : at + value + 1]
        elif how == "repeat":
            damaged[at:at] = damaged[at : at + value + 1]
        else:
            damaged[at : at + 8] = (b"\0" if how == "zero" else b"\xff") * len(damaged[at : at + 8])
    return bytes(damaged)


@pytest.fixture(scope="module", params=SOURCES)
def video(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a sound video."""
    recipe = SOURCES[request.param]
    return render(recipe, tmp_path_factory.mktemp("sound") / f"video{recipe.suffix}")


@pytest.fixture(scope="module", params=ANIMATIONS)
def animation(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a sound animation."""
    path = tmp_path_factory.mktemp("sound") / f"animation.{request.param}"
    pictures = [Image.fromarray(drawn(index)) for index in range(6)]
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=50, disposal=2)
    return path


@poison
@given(mutations, values)
def test_damaged_videos(tmp_path: Path, video: Path, changes: list[tuple[float, str]], value: int) -> None:
    """Whatever bytes are wrong, frames of the right shape come out, or an error of the caller."""
    path = tmp_path / "damaged"
    path.write_bytes(mutated(video.read_bytes(), changes, value))
    try:
        probe = probe_video(path)
        for chunk in plan_chunks(probe, Sampling(10), 0.0)[:20]:
            times = []
            for frame in sampled_frames(path, probe.info, chunk, (48, 32)):
                assert frame.pixels.shape == (32, 48, 3)
                times.append(frame.timestamp)
            assert times == sorted(set(times))
    except CallerError:
        pass


@poison
@given(mutations, values)
def test_damaged_animations(
    tmp_path: Path, animation: Path, changes: list[tuple[float, str]], value: int
) -> None:
    """Whatever bytes are wrong, frames of the right shape come out, or an error of the caller."""
    path = tmp_path / "damaged"
    path.write_bytes(mutated(animation.read_bytes(), changes, value))
    try:
        info = probe_animation(path)
        for count, frame in enumerate(animation_frames(path, info, Sampling(10))):
            assert frame.pixels.shape == (info.size[1], info.size[0], 3)
            if count > 20:
                break
    except CallerError:
        pass


def test_memory_stays_flat(tmp_path: Path) -> None:
    """Decoding a video many times over takes no more memory than decoding it a few times."""
    path = render(Recipe(steady(60, 30), size=(320, 240)), tmp_path / "video.mp4")

    def once() -> None:
        probe = probe_video(path)
        for chunk in plan_chunks(probe, Sampling(30), 0.2):
            for _ in sampled_frames(path, probe.info, chunk):
                pass

    for _ in range(5):
        once()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(30):
        once()
    grown_mb = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert grown_mb < 15
