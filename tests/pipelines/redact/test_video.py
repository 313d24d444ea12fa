"""Videos of many kinds through both passes: what is masked is, and everything else is as it was."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import av
import numpy as np
import pytest

from pipelines.errors import InvalidMedia, InvalidOption, UnsupportedMedia
from pipelines.redact.join import can_remux
from pipelines.redact.output import Codec, Container, OutputOptions
from pipelines.redact.plan import Span
from pipelines.redact.source import look_at
from pipelines.video.probe import probe_video
from tests.pipelines.redact.redacting import (
    Film,
    described,
    film,
    hour,
    packets,
    pictures,
    redact,
    times,
)
from tests.pipelines.video.edit_list import with_edits
from tests.pipelines.video.rendered import Recipe, render, steady

if TYPE_CHECKING:
    from pathlib import Path

    from pipelines.video.probe import VideoProbe

HDR = (1, 9, 9, 16)
#: The display that an HDR film was made on, and how bright it gets.
BRIGHT = (
    "log-level=none:hdr10=1:max-cll=1000,400:"
    "master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,1)"
)
FACE = (4.0, 4.0, 17.0, 17.0)
UNEVEN = tuple(np.cumsum([0, *np.random.default_rng(1).integers(5, 120, 59)]).tolist())


def grey(frame: Any) -> Any:  # noqa: ANN401 - a frame, an array
    """Return the brightness of a frame's stored picture, 0..255."""
    plane, depth = frame.planes[0], frame.format.components[0].bits
    kind = np.uint16 if depth > 8 else np.uint8
    rows = np.frombuffer(plane, kind).reshape(plane.height, -1)[:, : plane.width]
    return rows.astype(np.float32) / (1 << depth - 8)


def ends(probe: VideoProbe) -> Fraction:
    """Return when the last frame goes, in seconds."""
    return probe.table.end * probe.info.tick_s


KINDS = {
    "plain": Film(),
    "no sound": Film(sounds=0),
    "five sound tracks": Film(sounds=5),
    "uneven times": Film(ticks=UNEVEN),
    "B-frames and open groups": Film(options={"x264-params": "open-gop=1:bframes=3"}),
    "matroska": Film(suffix=".mkv", sounds=2),
    "quicktime": Film(suffix=".mov"),
    "webm": Film(suffix=".webm", codec="libvpx", options={"deadline": "realtime", "cpu-used": "8"}),
    "odd sides": Film(size=(95, 63), pixel_format="yuv444p"),
    "odd sides in webm": Film(
        size=(95, 63), suffix=".webm", codec="libvpx", options={"deadline": "realtime", "cpu-used": "8"}
    ),
    "4:2:2": Film(pixel_format="yuv422p"),
    "full range": Film(colours=(2, 5, 5, 6)),
    "ten bits": Film(pixel_format="yuv420p10le"),
    "HDR": Film(pixel_format="yuv420p10le", codec="libx265", colours=HDR, options={"x265-params": BRIGHT}),
    "interlaced": Film(fields="tff"),
    "interlaced, lower field first": Film(fields="bff"),
    "wide pixels": Film(shape=Fraction(4, 3)),
    "motion JPEG": Film(suffix=".mov", codec="mjpeg", pixel_format="yuvj420p"),
    "ProRes": Film(suffix=".mov", codec="prores_ks", pixel_format="yuv422p10le"),
}


@pytest.mark.parametrize("recipe", KINDS.values(), ids=KINDS.keys())
def test_every_kind_keeps_what_it_is(tmp_path: Path, recipe: Film) -> None:
    """Times, size, shape, colours, depth and sound are the source's; the face is gone in every frame."""
    source = film(tmp_path / f"film{recipe.suffix}", recipe)
    masked = redact(source, tmp_path / f"masked{recipe.suffix}", lambda _: FACE)
    before, after = probe_video(source), probe_video(masked)
    assert after.info.kind is before.info.kind
    assert times(masked) == times(source)
    assert after.info.coded_size == before.info.coded_size
    assert after.table.end * after.info.tick_s == pytest.approx(
        before.table.end * before.info.tick_s, abs=1e-3
    )
    sound = packets(source, "audio")
    assert len(sound) == recipe.sounds
    assert packets(masked, "audio") == sound
    told = [
        [{**each, "codec": None, "header": None} if each["type"] == "video" else each for each in streams]
        for streams in (described(source), described(masked))
    ]
    assert told[1] == told[0]
    looks = look_at(source, before), look_at(masked, after)
    assert (looks[1].field_order, looks[1].shape) == (looks[0].field_order, looks[0].shape)
    assert looks[1].mastering == looks[0].mastering
    assert bool(looks[0].mastering) == (recipe.codec == "libx265")
    old, new = pictures(source), pictures(masked)
    for one, two in zip(old, new, strict=True):
        assert two.interlaced_frame == bool(recipe.fields)
        assert (two.color_primaries, two.color_trc) == (one.color_primaries, one.color_trc)
        if one.colorspace != 2:
            assert two.colorspace == one.colorspace
        assert two.format.components[0].bits == one.format.components[0].bits
        plain, hidden = grey(one), grey(two)
        assert hidden[5:15, 5:15].max() < 40
        rest = np.abs(plain - hidden)
        rest[:32, :48] = 0
        assert rest.mean() < 3
    is_full = old[0].color_range == 2 or old[0].format.name.startswith("yuvj")
    assert (new[0].color_range == 2 or new[0].format.name.startswith("yuvj")) == is_full


@pytest.mark.parametrize("rotation", [90, 180, 270])
def test_a_turned_video_stays_turned(tmp_path: Path, rotation: int) -> None:
    """The picture is stored as it was and turned as it was; what is hidden lies where it is seen."""
    plain = film(tmp_path / "film.mp4", Film())
    source = tmp_path / "turned.mp4"
    with av.open(str(plain)) as reading, av.open(str(source), "w") as writing:
        copy = writing.add_stream_from_template(reading.streams.video[0], opaque=True)
        copy.set_display_rotation(rotation)
        for packet in reading.demux(reading.streams.video[0]):
            if packet.size:
                packet.stream = copy
                writing.mux(packet)
    info = probe_video(source).info
    (x1, y1, x2, y2), (width, height) = FACE, info.size
    seen = {
        90: (y1, height - x2, y2, height - x1),
        180: (width - x2, height - y2, width - x1, height - y1),
        270: (width - y2, x1, width - y1, x2),
    }[rotation]
    masked = redact(source, tmp_path / "masked.mp4", lambda _: seen)
    assert probe_video(masked).info.orientation == info.orientation != 1
    copied = redact(source, tmp_path / "copied.mp4", lambda _: None)
    assert probe_video(copied).info.orientation == info.orientation
    for frame in pictures(masked):
        assert grey(frame)[6:14, 6:14].max() < 40


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov", ".webm"])
def test_without_a_face_packets_are_copied(tmp_path: Path, suffix: str) -> None:
    """A video in which nothing is found comes out as it was, packet by packet, but for words about it."""
    codec = "libvpx" if suffix == ".webm" else "libx264"
    source = film(tmp_path / f"film{suffix}", Film(suffix=suffix, codec=codec, sounds=2))
    masked = redact(source, tmp_path / f"masked{suffix}", lambda _: None)
    assert packets(masked, "video") == packets(source, "video")
    assert packets(masked, "audio") == packets(source, "audio")
    assert described(masked) == described(source)


def test_what_the_container_alone_cuts_away_is_not_copied(tmp_path: Path) -> None:
    """Frames that an edit list hides were never looked at: such a film may not be copied; others may."""
    plain = render(Recipe(steady(90, 30)), tmp_path / "plain.mp4")
    edited = with_edits(plain, tmp_path / "edited.mp4", [(2000, 9_000)])
    for path, container, expected in (
        (plain, Container.MP4, True),
        (plain, Container.WEBM, False),
        (edited, Container.MP4, False),
    ):
        info = probe_video(path).info
        assert can_remux(path, info, container, tmp_path / "headers") == expected
    assert not (tmp_path / "headers").exists()
    masked = redact(edited, tmp_path / "masked.mp4", lambda _: FACE)
    assert times(masked) == times(edited)
    with av.open(str(masked)) as container:
        assert sum(bool(packet.size) for packet in container.demux(video=0)) == len(times(edited))


@pytest.mark.parametrize("face", [FACE, None])
def test_other_pictures_are_left_out(tmp_path: Path, face: Any) -> None:  # noqa: ANN401
    """A cover and a second camera do not come along, and are named."""
    plain = film(tmp_path / "plain.mkv", Film(suffix=".mkv"))
    source = tmp_path / "film.mkv"
    with av.open(str(plain)) as reading, av.open(str(source), "w") as writing:
        copies = [writing.add_stream_from_template(stream, opaque=True) for stream in reading.streams]
        second = writing.add_stream_from_template(reading.streams.video[0], opaque=True)
        writing.add_attachment("cover.jpg", "image/jpeg", b"a picture of somebody")
        for packet in reading.demux():
            if packet.size:
                again = av.Packet(bytes(packet)) if packet.stream_index == 0 else None
                if again is not None:
                    again.pts, again.dts, again.time_base = packet.pts, packet.dts, packet.time_base
                    again.stream = second
                packet.stream = copies[packet.stream_index]
                writing.mux(packet)
                if again is not None:
                    writing.mux(again)
    assert b"somebody" in source.read_bytes()
    left_out = look_at(source, probe_video(source)).left_out
    assert left_out == ("video stream 2", "video stream 3")
    masked = redact(source, tmp_path / "masked.mkv", lambda _: face)
    assert [each["type"] for each in described(masked)] == ["video", "audio"]
    assert b"somebody" not in masked.read_bytes()


@pytest.mark.parametrize("face", [FACE, None])
def test_words_on_place_and_device_are_left_out(tmp_path: Path, face: Any) -> None:  # noqa: ANN401
    """Neither where nor with what a video was taken comes through; languages do."""
    words = {"location": "+48.85+002.35/", "make": "Camera", "title": "Home", "creation_time": "2026-01-02"}
    source = film(tmp_path / "film.mov", Film(suffix=".mov", metadata=words, sounds=2))
    masked = redact(source, tmp_path / "masked.mov", lambda _: face)
    data = masked.read_bytes()
    assert b"+48.85" in source.read_bytes()
    assert b"+48.85" not in data
    assert b"Camera" not in data
    assert b"Home" not in data
    with av.open(str(masked)) as container:
        assert [stream.language for stream in container.streams.audio] == ["eng", "ger"]


def test_hidden_alone_is_touched(tmp_path: Path) -> None:
    """Frames outside the time span show the face, those inside do not."""
    source = film(tmp_path / "film.mp4", Film())
    masked = redact(source, tmp_path / "masked.mp4", lambda _: FACE, span=Span(0.5, 1.0))
    for at, frame in zip(times(masked), pictures(masked), strict=True):
        is_hidden = grey(frame)[5:15, 5:15].max() < 40
        assert is_hidden == (Fraction(1, 2) <= at < 1), at


def test_container_and_codec_can_be_chosen(tmp_path: Path) -> None:
    """A video changes container and codec where asked; picture and sound stay together to the millisecond."""
    source = film(tmp_path / "film.mp4", Film(sounds=1))
    wanted = OutputOptions(Container.MKV, Codec.HEVC, 60)
    masked = redact(source, tmp_path / "masked.mkv", lambda _: FACE, wanted)
    assert probe_video(masked).info.codec == "hevc"
    # Matroska knows no times before zero: there all begins by as much later as the sound begins before.
    old, new = packets(source, "audio")[0], packets(masked, "audio")[0]
    later = new[0][0] - old[0][0]
    assert times(masked) == [pytest.approx(at + later, abs=1.1e-3) for at in times(source)]
    assert [data for _, data in new] == [data for _, data in old]
    assert [at for at, _ in new] == [pytest.approx(at + later, abs=1.1e-3) for at, _ in old]


@pytest.mark.parametrize(
    "wanted",
    [
        OutputOptions(Container.WEBM, Codec.H264),
        OutputOptions(Container.MOV, Codec.VP9),
        OutputOptions(Container.WEBM),  # it cannot hold the sound
    ],
)
def test_what_does_not_go_together_is_refused(tmp_path: Path, wanted: OutputOptions) -> None:
    """A container that cannot hold the codec or the sound is named."""
    source = film(tmp_path / "film.mp4", Film())
    with pytest.raises(InvalidOption, match=r"webm|mov"):
        redact(source, tmp_path / "masked", lambda _: FACE, wanted)


@pytest.mark.parametrize(
    "recipe",
    [
        Film(suffix=".mov", codec="prores_ks", pixel_format="yuva444p10le", sounds=0),
        Film(
            suffix=".webm",
            codec="libvpx-vp9",
            pixel_format="yuva420p",
            sounds=0,
            options={"deadline": "realtime", "cpu-used": "8"},
        ),
    ],
    ids=["ProRes", "VP9"],
)
def test_alpha_is_refused(tmp_path: Path, recipe: Film) -> None:
    """A video that is partly transparent cannot come out as it was, and says so."""
    source = film(tmp_path / f"film{recipe.suffix}", recipe)
    with pytest.raises(UnsupportedMedia, match="alpha"):
        redact(source, tmp_path / f"masked{recipe.suffix}", lambda _: FACE)


def test_a_broken_tail_is_left_out(tmp_path: Path) -> None:
    """A file that is cut off is masked as far as it is sound, or refused; never left plain."""
    source = film(tmp_path / "film.mkv", Film(suffix=".mkv"))
    data = bytearray(source.read_bytes())
    at = data.find(b"\x18\x53\x80\x67") + 4
    data[at : at + 8] = b"\x01" + b"\xff" * 7  # as of a live recording, which ends where it ends
    broken = tmp_path / "broken.mkv"
    broken.write_bytes(data[: len(data) * 2 // 3])
    masked = redact(broken, tmp_path / "masked.mkv", lambda _: FACE)
    assert 10 < len(times(masked)) < len(times(source))
    assert times(masked) == times(broken)
    assert all(grey(frame)[5:15, 5:15].max() < 40 for frame in pictures(masked))
    (tmp_path / "cut.mp4").write_bytes(film(tmp_path / "film.mp4", Film()).read_bytes()[:-500])
    with pytest.raises(InvalidMedia, match="cut off"):
        redact(tmp_path / "cut.mp4", tmp_path / "masked.mp4", lambda _: FACE)


def test_noise_in_the_middle_is_survived(tmp_path: Path) -> None:
    """Frames that cannot be decoded are lost, and no other is; those that are left are masked."""
    source = film(tmp_path / "film.mkv", Film(suffix=".mkv", sounds=0))
    data = bytearray(source.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 200] = b"\xa5" * 200
    source.write_bytes(data)
    masked = redact(source, tmp_path / "masked.mkv", lambda _: FACE)
    assert set(times(masked)) <= set(times(source))
    assert len(times(masked)) > 30
    assert all(grey(frame)[6:14, 6:14].max() < 60 for frame in pictures(masked))


@pytest.mark.parametrize("face", [FACE, None])
def test_subtitles_are_copied(tmp_path: Path, face: Any) -> None:  # noqa: ANN401
    """Every subtitle comes through as it was, at its time."""
    plain = film(tmp_path / "plain.mkv", Film(suffix=".mkv"))
    (tmp_path / "words.srt").write_text(
        "1\n00:00:00,500 --> 00:00:01,000\nHello\n\n2\n00:00:01,200 --> 00:00:01,500\nyou\n"
    )
    source = tmp_path / "film.mkv"
    with (
        av.open(str(plain)) as one,
        av.open(str(tmp_path / "words.srt")) as two,
        av.open(str(source), "w") as writing,
    ):
        runs = [(one, stream) for stream in one.streams] + [(two, two.streams[0])]
        copies = [writing.add_stream_from_template(stream, opaque=True) for _, stream in runs]
        for (container, stream), copy in zip(runs, copies, strict=True):
            for packet in container.demux(stream):
                if packet.size:
                    packet.stream = copy
                    writing.mux(packet)
            if container is one:
                container.seek(0)
    words = packets(source, "subtitle")
    assert [data for _, data in words[0]] == [b"Hello", b"you"]
    masked = redact(source, tmp_path / "masked.mkv", lambda _: face)
    assert packets(masked, "subtitle") == words
    assert packets(masked, "audio") == packets(source, "audio")


def test_frames_without_times_are_refused(tmp_path: Path) -> None:
    """A video whose frames' times are not all known is not masked by guesswork."""
    source = film(tmp_path / "film.mp4", Film())
    probe = probe_video(source)
    untimed = replace(probe, table=replace(probe.table, is_complete=False))
    with pytest.raises(InvalidMedia, match="has a time"):
        look_at(source, untimed)


@pytest.mark.parametrize("face", [FACE, None])
@pytest.mark.parametrize(
    ("suffix", "container"),
    [(".mp4", None), (".mkv", None), (".mp4", Container.MOV), (".mp4", Container.MKV)],
)
@pytest.mark.parametrize("tick_s", [Fraction(1, 1000), Fraction(1001, 30_000)], ids=["ms", "29.97"])
def test_sound_and_picture_stay_together_for_an_hour(
    tmp_path: Path,
    suffix: str,
    container: Container | None,
    tick_s: Fraction,
    face: Any,  # noqa: ANN401
) -> None:
    """At the end of an hour sound and picture are as far apart as they were, to a millisecond or less."""
    source = hour(tmp_path / f"film{suffix}", tick_s)
    masked = redact(source, tmp_path / "masked", lambda _: face, OutputOptions(container))
    before, after = times(source), times(masked)
    assert before[-1] == pytest.approx(3600, abs=0.02)
    sound, kept = packets(source, "audio"), packets(masked, "audio")
    assert sound[0][-1][0] > 3590
    drift = (after[-1] - before[-1]) - (kept[0][-1][0] - sound[0][-1][0])
    assert abs(drift) < Fraction(1, 1000)
    if container is not Container.MKV:
        assert after == before
        assert kept == sound
