"""What a video is: container, codec, size, times, key frames, and whether its index can be trusted.

    sniff (own eyes) -> open -> limits from the header -> every packet's time -> one frame decoded

The one frame tells how the picture is turned, and that the codec's data can be decoded at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from itertools import chain, islice
from typing import TYPE_CHECKING

import numpy as np

from pipelines.errors import InvalidMedia, UnsupportedMedia
from pipelines.probe import MAX_SIDES
from pipelines.video.frame_table import FrameTable, read_frame_table
from pipelines.video.key_frames import may_skip_frames
from pipelines.video.opening import DECODING_ERRORS, opened, sound_packets, video_stream
from pipelines.video.orientation import frame_orientation
from pipelines.video.sniff import Kind, sniff

if TYPE_CHECKING:
    from pathlib import Path

    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

#: Packets that may be decoded in search of the first sound frame.
_TRIED_PACKETS = 500
#: Frames' durations that differ by no more than this share are the rounding of a container's clock.
_JITTER = 0.1
_MICROSECONDS = 1_000_000
#: The name of Matroska's index, which stands in the list of contents that opens the file.
_CUES = b"\x1c\x53\xbb\x6b"
_HEAD_BYTES = 4096


@dataclass(frozen=True, slots=True)
class VideoInfo:
    """What a decoder of one chunk, and a reader of the result, must know of a video.

    Attributes:
        kind: the container.
        codec: FFmpeg's name of the codec.
        stream_index: which track of the file is analysed.
        time_base: seconds of one tick, as numerator and denominator.
        origin: the tick at which players begin to count.
        coded_size: width and height as stored.
        orientation: how it is turned when shown, as an EXIF orientation 1..8.
        duration_s: from the beginning until the last frame goes.
        frames: how many frames are shown.
        frame_rate: frames a second, on average.
        is_variable: whether frames last unequal times.
        key_frames: how many frames decoding can begin at.
        has_index: whether the file can be searched by time; else it is read from its start.
        can_skip: whether unneeded frames can be left out by the decoder.
    """

    kind: Kind
    codec: str
    stream_index: int
    time_base: tuple[int, int]
    origin: int
    coded_size: tuple[int, int]
    orientation: int
    duration_s: float
    frames: int
    frame_rate: float
    is_variable: bool
    key_frames: int
    has_index: bool
    can_skip: bool

    @property
    def tick_s(self) -> Fraction:
        """Seconds of one tick."""
        return Fraction(*self.time_base)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the upright picture: what boxes refer to."""
        width, height = self.coded_size
        return (height, width) if self.orientation >= 5 else (width, height)  # noqa: PLR2004 - 5..8 swap


@dataclass(frozen=True, slots=True)
class VideoProbe:
    """A video and the times of its frames."""

    info: VideoInfo
    table: FrameTable


def probe_video(path: Path) -> VideoProbe:
    """Find out what a video in a local file is.

    Reads the whole file once, and holds a few bytes for each frame.

    Raises:
        UnsupportedMedia: no container or codec that is accepted, or no video in it.
        InvalidMedia: cut off, damaged, encrypted, without frames, or larger than 8K.
        MediaTooLarge: more bytes than are accepted.
    """
    kind = sniff(path)
    if kind.is_animation:
        message = "the file is an animation; create a task of type gif"
        raise UnsupportedMedia(message)
    with opened(path, kind) as container:
        # A stream is memory of its container: all that is asked of it is asked before that is closed.
        stream = video_stream(container)
        index, tick = stream.index, Fraction(stream.time_base or 1)
        codec, extradata = stream.codec_context.codec.canonical_name, stream.codec_context.extradata
        _check_size(stream.codec_context.width, stream.codec_context.height)
        table = read_frame_table(container, stream)
        origin = _origin(table, container.start_time, tick)
    with opened(path, kind) as container:
        first = _first_frame(container, video_stream(container, index))
        coded_size, orientation = (first.width, first.height), frame_orientation(first)
    _check_size(*coded_size)
    rate, is_variable = _rates(table, tick)
    info = VideoInfo(
        kind=kind,
        codec=codec,
        stream_index=index,
        time_base=(tick.numerator, tick.denominator),
        origin=origin,
        coded_size=coded_size,
        orientation=orientation,
        duration_s=round(float((table.end - origin) * tick), 6),
        frames=len(table.shown),
        frame_rate=rate,
        is_variable=is_variable,
        key_frames=len(table.entrances),
        has_index=_has_index(path, kind, table, index),
        can_skip=may_skip_frames(codec, extradata),
    )
    return VideoProbe(info, table)


def _check_size(width: int, height: int) -> None:
    if width < 1 or height < 1:
        message = "the video has no pixels"
        raise InvalidMedia(message)
    if max(width, height) > MAX_SIDES[0] or min(width, height) > MAX_SIDES[1]:
        message = f"the video is {width}x{height}; at most {MAX_SIDES[0]}x{MAX_SIDES[1]} is accepted"
        raise InvalidMedia(message)


def _first_frame(container: InputContainer, stream: VideoStream) -> VideoFrame:
    """Decode until there is one frame: of a recording that begins within a group, some are lost."""
    packets = islice(sound_packets(container, stream), _TRIED_PACKETS)
    for packet in chain(packets, [None]):
        try:
            frames = stream.codec_context.decode(packet)
        except DECODING_ERRORS:
            continue
        if frames:
            return frames[0]
    message = "no frame of the video can be decoded: it is damaged or encrypted"
    raise InvalidMedia(message)


def _origin(table: FrameTable, earliest_us: int | None, tick: Fraction) -> int:
    """Return the tick that players call zero.

    That is where the first of sound and picture begins. Sound that begins before zero is what its decoder
    needs to run in and is never heard.
    """
    first = table.shown[0] if table.shown else 0
    if earliest_us is None:
        return first
    return min(first, max(0, round(Fraction(earliest_us, _MICROSECONDS) / tick)))


def _rates(table: FrameTable, tick: Fraction) -> tuple[float, bool]:
    shown = table.shown
    if len(shown) < 2:  # noqa: PLR2004 - one frame has no rate
        return 0.0, False
    mean = (shown[-1] - shown[0]) / (len(shown) - 1)
    steps = np.diff(np.asarray(shown, np.int64))
    allowed = max(mean * _JITTER, 1, 0.0011 / float(tick))
    is_variable = bool(steps.max() - mean > allowed or mean - steps.min() > allowed)
    return round(1 / (mean * float(tick)), 3), is_variable


def _has_index(path: Path, kind: Kind, table: FrameTable, stream_index: int) -> bool:
    """Tell whether searching by time leads near the middle key frame without reading all before it."""
    if len(table.entrances) < 3:  # noqa: PLR2004 - nothing to search for
        return True
    if kind.demuxer == "matroska":
        # Without cues FFmpeg searches too, by reading all that lies before.
        with path.open("rb") as file:
            if _CUES not in file.read(_HEAD_BYTES):
                return False
    middle = len(table.entrances) // 2
    wanted, before = table.entrances[middle], table.entrances[max(0, middle - 2)]
    with opened(path, kind) as container:
        stream = video_stream(container, stream_index)
        try:
            container.seek(min(wanted.dts, wanted.pts), stream=stream, backward=True)
            packet = next(iter(container.demux(stream)))
        except (*DECODING_ERRORS, StopIteration):
            return False
        return packet.pts is not None and before.pts <= packet.pts <= wanted.pts
