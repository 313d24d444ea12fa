"""What a video is, and that files which are no sound video are refused with a reason."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import av
import numpy as np
import pytest

from pipelines.errors import InvalidMedia, MediaTooLarge, UnsupportedMedia
from pipelines.video.probe import probe_video
from pipelines.video.sniff import Kind, sniff
from tests.pipelines.video.rendered import Recipe, render, steady

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def mp4(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return two seconds of H.264 with its index behind the media."""
    return render(Recipe(steady(60, 30)), tmp_path_factory.mktemp("video") / "video.mp4")


@pytest.fixture(scope="module")
def mkv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return two seconds of H.264 in Matroska."""
    return render(Recipe(steady(60, 30), suffix=".mkv"), tmp_path_factory.mktemp("video") / "video.mkv")


def test_tells_what_a_video_is(mp4: Path) -> None:
    """Container, codec, size, times and key frames come out as they were rendered."""
    probe = probe_video(mp4)
    info = probe.info
    assert (info.kind, info.codec, info.size, info.orientation) == (Kind.MP4, "h264", (96, 64), 1)
    assert (info.frames, info.key_frames, info.is_variable, info.has_index) == (60, 5, False, True)
    assert info.duration_s == pytest.approx(2.0, abs=0.01)
    assert info.frame_rate == pytest.approx(30, abs=0.01)
    keys_s = [float((entrance.pts - info.origin) * info.tick_s) for entrance in probe.table.entrances]
    assert keys_s == pytest.approx([0, 0.4, 0.8, 1.2, 1.6], abs=0.001)


@pytest.mark.parametrize(
    ("suffix", "codec", "kind"),
    [
        (".mp4", "libx264", Kind.MP4),
        (".mov", "libx264", Kind.MOV),
        (".m4v", "libx264", Kind.M4V),
        (".mkv", "libx264", Kind.MKV),
        (".webm", "libvpx", Kind.WEBM),
    ],
)
def test_knows_every_container_by_its_bytes(suffix: str, codec: str, kind: Kind, tmp_path: Path) -> None:
    """The kind is read from the file, not from its name."""
    path = render(Recipe(steady(5, 10), codec=codec, suffix=suffix), tmp_path / "video")
    assert sniff(path) is kind
    assert probe_video(path).info.kind is kind


def test_uneven_frames_are_told(tmp_path: Path) -> None:
    """A video whose frames last unequal times says so; the rounding of a clock does not count."""
    uneven = render(Recipe((0, 30, 200, 230, 900)), tmp_path / "uneven.mp4")
    rounded = render(Recipe(steady(60, 29.97), suffix=".mkv"), tmp_path / "rounded.mkv")
    assert probe_video(uneven).info.is_variable
    assert not probe_video(rounded).info.is_variable


def test_a_recording_without_index_is_told(tmp_path: Path) -> None:
    """Live recordings have no list of key frames; they are read from their start."""
    recipe = Recipe(steady(60, 30), suffix=".mkv", container_options={"live": "1"})
    assert not probe_video(render(recipe, tmp_path / "live.mkv")).info.has_index


def test_time_begins_with_what_is_heard_or_seen_first(tmp_path: Path) -> None:
    """Where sound begins a second before the picture, the first frame is at one second."""
    path = tmp_path / "late.mkv"
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=10)
        video.width, video.height, video.pix_fmt = 96, 64, "yuv420p"
        sound = container.add_stream("pcm_s16le", rate=8000)
        for index in range(20):
            samples = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
            samples.sample_rate, samples.pts = 8000, index * 800
            container.mux(sound.encode(samples))
        for index in range(10):
            frame = av.VideoFrame.from_ndarray(np.zeros((64, 96, 3), np.uint8), format="bgr24")
            frame.pts = 10 + index
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
    probe = probe_video(path)
    assert float((probe.table.shown[0] - probe.info.origin) * probe.info.tick_s) == pytest.approx(
        1.0, abs=0.05
    )
    assert probe.info.duration_s == pytest.approx(2.0, abs=0.1)


def written(path: Path, data: bytes) -> Path:
    """Write a file and return its path."""
    path.write_bytes(data)
    return path


def test_an_empty_file_is_invalid(tmp_path: Path) -> None:
    """Zero bytes are named as what they are."""
    with pytest.raises(InvalidMedia, match="empty"):
        probe_video(written(tmp_path / "empty.mp4", b""))


@pytest.mark.parametrize("share", [0.02, 0.3, 0.7, 0.95, 0.999])
@pytest.mark.parametrize("which", ["mp4", "mkv"])
def test_a_file_that_is_cut_off_is_invalid(
    which: str, share: float, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Wherever a download broke off, the error says that the file is cut off."""
    data = request.getfixturevalue(which).read_bytes()
    with pytest.raises(InvalidMedia, match="cut off"):
        probe_video(written(tmp_path / "cut", data[: int(len(data) * share)]))


@pytest.mark.parametrize(
    "data",
    [
        b"#EXTM3U\n#EXTINF:10,\nfile:///etc/passwd\n",
        b"ffconcat version 1.0\nfile '/etc/passwd'\n",
        b'<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"></MPD>',
        b"<?xml version='1.0'?><smil/>",
        b"\xff\xd8\xff\xe0" + bytes(100),
        b"RIFF\x24\0\0\0AVI LIST" + bytes(100),
        b"FLV\x01" + bytes(100),
        b"\0\0\0\x18ftypheic" + bytes(100),
        b"ID3\x04" + bytes(100),
        b"G" + bytes(187),
        b"plain text",
        b"\x1a\x45\xdf\xa3\x8b\x42\x82\x88webmdash" + bytes(50),
        b"\x1a\x45\xdf\xa3",
    ],
)
def test_other_files_are_unsupported(data: bytes, tmp_path: Path) -> None:
    """Playlists, scripts, pictures and other containers never reach FFmpeg, whatever they are called."""
    with pytest.raises(UnsupportedMedia):
        probe_video(written(tmp_path / "video.mp4", data))


def test_a_song_with_a_cover_has_no_video(tmp_path: Path) -> None:
    """Sound alone is refused as having no video track."""
    path = tmp_path / "song.m4a"
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("aac", rate=8000)
        samples = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.float32), format="fltp", layout="mono")
        samples.sample_rate = 8000
        container.mux(stream.encode(samples))
        container.mux(stream.encode(None))
    with pytest.raises(UnsupportedMedia, match="no video track"):
        probe_video(path)


def test_an_encrypted_video_is_invalid(mp4: Path, tmp_path: Path) -> None:
    """A track of encrypted samples is told from one that is merely damaged."""
    data = mp4.read_bytes().replace(b"avc1\0\0\0\0\0\0\0\1", b"encv\0\0\0\0\0\0\0\1")
    with pytest.raises(InvalidMedia, match="encrypted"):
        probe_video(written(tmp_path / "encrypted.mp4", data))


def test_noise_instead_of_pictures_is_invalid(mp4: Path, tmp_path: Path) -> None:
    """A sound index over media that cannot be decoded is refused when it is probed."""
    data = bytearray(mp4.read_bytes())
    at = data.index(b"mdat")
    end = at - 4 + struct.unpack_from(">I", data, at - 4)[0]
    data[at + 4 : end] = np.random.default_rng(0).bytes(end - at - 4)
    with pytest.raises(InvalidMedia, match="decoded"):
        probe_video(written(tmp_path / "noise.mp4", bytes(data)))


def test_an_index_that_claims_a_billion_frames_is_invalid(mp4: Path, tmp_path: Path) -> None:
    """The claim is refused before FFmpeg would lay out memory for it."""
    data = bytearray(mp4.read_bytes())
    at = data.index(b"stsz")
    struct.pack_into(">II", data, at + 8, 1, 1_000_000_000)
    with pytest.raises(InvalidMedia, match="claims"):
        probe_video(written(tmp_path / "bomb.mp4", bytes(data)))


@pytest.mark.parametrize("size", [(8192, 64), (4336, 4336)])
def test_beyond_8k_is_invalid(size: tuple[int, int], tmp_path: Path) -> None:
    """A video that is too long on a side is refused, and told the size that is accepted."""
    path = render(Recipe((0,), size=size, options={"preset": "ultrafast"}), tmp_path / "large.mp4")
    with pytest.raises(InvalidMedia, match="7680x4320"):
        probe_video(path)


def test_more_than_two_gigabytes_are_refused(mp4: Path, tmp_path: Path) -> None:
    """The limit is on bytes, and none of them is read."""
    path = written(tmp_path / "large.mp4", mp4.read_bytes())
    with path.open("r+b") as file:
        file.truncate(2_000_000_001)
    with pytest.raises(MediaTooLarge, match="2000 MB"):
        probe_video(path)


def test_names_cannot_be_addresses(tmp_path: Path, mp4: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file whose name looks like a script for FFmpeg is a file."""
    odd = tmp_path / "concat:a|b.mp4"
    odd.write_bytes(mp4.read_bytes())
    monkeypatch.chdir(tmp_path)
    assert probe_video(odd.relative_to(tmp_path)).info.frames == 60
