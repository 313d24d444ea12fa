"""What of a video must come out as it went in: colours, shape, fields and how the picture is turned.

All of it is read from one decoded frame and from the track's header. What no output could carry is refused.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain, islice
from typing import TYPE_CHECKING, cast

from pipelines.errors import InvalidMedia, UnsupportedMedia
from pipelines.video.opening import DECODING_ERRORS, opened, sound_packets, video_stream

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from av.container import InputContainer
    from av.sidedata.sidedata import SideData
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

    from pipelines.video.probe import VideoInfo, VideoProbe

_TRIED_PACKETS = 500
_UNKNOWN_FIELDS, _PROGRESSIVE = 0, 1
_MATRIX_NUMBERS = 9
#: Bytes of FFmpeg's mastering display: ten fractions and two flags; and of its light level: two numbers.
_MASTERING, _LIGHT = "=20i2i", "=2I"


@dataclass(frozen=True, slots=True)
class Colours:
    """How samples mean colours, in FFmpeg's numbers; 2 is unspecified."""

    range: int
    space: int
    primaries: int
    transfer: int


@dataclass(frozen=True, slots=True)
class SourcePicture:
    """What every frame of a video has in common.

    Attributes:
        pixel_format: FFmpeg's name.
        bits: of one sample.
        colours: how they are meant.
        shape: width of a pixel by its height.
        field_order: 1 where frames are whole, else FFmpeg's number.
        matrix: how the picture is turned when shown; None as it is.
        mastering: the mastering display of HDR, in x265's words; empty where there is none.
        left_out: streams that are not in the output, in words.
    """

    pixel_format: str
    bits: int
    colours: Colours
    shape: Fraction
    field_order: int
    matrix: tuple[int, ...] | None
    mastering: str
    left_out: tuple[str, ...]


def look_at(path: Path, probe: VideoProbe) -> SourcePicture:
    """Look at a video's first frame and its header.

    Raises:
        UnsupportedMedia: it has what no output of ours could carry.
        InvalidMedia: nothing of it can be decoded, or a frame's time is not known.
    """
    info = probe.info
    if not probe.table.is_complete:
        message = "not every frame of the video has a time, so that it cannot be masked frame by frame"
        raise InvalidMedia(message)
    with opened(path, info.kind) as container:
        stream = video_stream(container, info.stream_index)
        left_out = _left_out(container, info)
        has_alpha = stream.metadata.get("alpha_mode") == "1"
        field_order = stream.codec_context.field_order
        shape = stream.sample_aspect_ratio or Fraction(1)
        frame = _first_frame(container, stream)
        has_alpha = has_alpha or any(each.is_alpha for each in frame.format.components)
        if has_alpha:
            message = "the video has an alpha channel, which no output can carry: lay it on a background"
            raise UnsupportedMedia(message)
        if frame.interlaced_frame and field_order in {_UNKNOWN_FIELDS, _PROGRESSIVE}:
            field_order = 2
        return SourcePicture(
            pixel_format=frame.format.name,
            bits=max(each.bits for each in frame.format.components),
            colours=Colours(
                int(frame.color_range),
                int(frame.colorspace),
                int(frame.color_primaries),
                int(frame.color_trc),
            ),
            shape=Fraction(shape) if shape else Fraction(1),
            field_order=field_order if frame.interlaced_frame else _PROGRESSIVE,
            matrix=_matrix(frame),
            mastering=_mastering(frame),
            left_out=left_out,
        )


def _first_frame(container: InputContainer, stream: VideoStream) -> VideoFrame:
    for packet in chain(islice(sound_packets(container, stream), _TRIED_PACKETS), [None]):
        try:
            frames = stream.codec_context.decode(packet)
        except DECODING_ERRORS:
            continue
        if frames:
            return frames[0]
    message = "no frame of the video can be decoded: it is damaged or encrypted"
    raise InvalidMedia(message)


def _left_out(container: InputContainer, info: VideoInfo) -> tuple[str, ...]:
    """Name the streams that are not copied: what may show a face, or tell of a place or a device."""
    return tuple(
        f"{stream.type} stream {stream.index}"
        for stream in container.streams
        if stream.index != info.stream_index and stream.type not in {"audio", "subtitle"}
    )


def _side_data(frame: VideoFrame, name: str) -> bytes | None:
    # The container is a mapping from positions to items, and its stubs call it one from names.
    for item in cast("Iterable[SideData]", frame.side_data):
        if str(item.type).endswith(name):
            return bytes(item)
    return None


def _matrix(frame: VideoFrame) -> tuple[int, ...] | None:
    data = _side_data(frame, "DISPLAYMATRIX")
    if data is None:
        return None
    return struct.unpack_from(f"={_MATRIX_NUMBERS}i", data)


def _mastering(frame: VideoFrame) -> str:
    """Return x265's words for the display that HDR was made on, and for how bright it gets."""
    words = []
    data = _side_data(frame, "MASTERING_DISPLAY_METADATA")
    if data is not None and len(data) >= struct.calcsize(_MASTERING):
        *numbers, has_primaries, has_luminance = struct.unpack_from(_MASTERING, data)
        values = [
            Fraction(one, two) if two else Fraction(0)
            for one, two in zip(numbers[::2], numbers[1::2], strict=True)
        ]
        if has_primaries and has_luminance:
            red, green, blue, white = (
                tuple(round(value * 50_000) for value in values[at : at + 2]) for at in (0, 2, 4, 6)
            )
            low, high = (round(value * 10_000) for value in values[8:])
            words.append(
                f"master-display=G({green[0]},{green[1]})B({blue[0]},{blue[1]})R({red[0]},{red[1]})"
                f"WP({white[0]},{white[1]})L({high},{low})"
            )
    light = _side_data(frame, "CONTENT_LIGHT_LEVEL")
    if light is not None and len(light) >= struct.calcsize(_LIGHT):
        words.append("max-cll={},{}".format(*struct.unpack_from(_LIGHT, light)))
    return ":".join(words)
