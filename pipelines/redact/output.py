"""What a masked video is written as: container, codec, samples; one way to set an encoder up for all chunks.

Encoders use no frames that are shown before they are decoded: every packet's time is its frame's time, the
same in chunk and whole, and groups can be laid behind each other as they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from fractions import Fraction
from typing import TYPE_CHECKING, cast

import av

from pipelines.errors import InvalidOption
from pipelines.video.sniff import Kind

if TYPE_CHECKING:
    from av.video.codeccontext import VideoCodecContext

    from pipelines.redact.source import SourcePicture
    from pipelines.video.probe import VideoInfo

#: Seconds between frames that decoding can begin at.
_GROUP_S = 2.0
_USUAL_RATE = 25.0
_LOWEST_QUALITY = 1
_EIGHT = 8
_FULL_RANGE, _BT709 = 2, 1
_PROGRESSIVE = 1
#: FFmpeg's numbers of field orders in which the lower field is shown first; an encoder takes the upper one.
_BOTTOM_FIRST = {3, 4}
_UNSPECIFIED, _RGB = 2, 0


class Container(str, Enum):
    """What the masked video is kept in."""

    MP4 = "mp4"
    MOV = "mov"
    MKV = "mkv"
    WEBM = "webm"

    @property
    def muxer(self) -> str:
        """Return FFmpeg's name of it."""
        return "matroska" if self is Container.MKV else self.value


class Codec(str, Enum):
    """What its picture is encoded with."""

    H264 = "h264"
    HEVC = "hevc"
    VP9 = "vp9"


_ENCODERS = {Codec.H264: "libx264", Codec.HEVC: "libx265", Codec.VP9: "libvpx-vp9"}
_LAYOUTS = {"420": "yuv420p", "422": "yuv422p", "444": "yuv444p"}
#: Which codecs a container may hold.
_HOLDS = {
    Container.MP4: {Codec.H264, Codec.HEVC, Codec.VP9},
    Container.MOV: {Codec.H264, Codec.HEVC},
    Container.MKV: set(Codec),
    Container.WEBM: {Codec.VP9},
}


@dataclass(frozen=True, slots=True)
class OutputOptions:
    """What a caller asks for; None is chosen after the source. `quality` goes from 1 to 100."""

    container: Container | None = None
    codec: Codec | None = None
    quality: int = 80


@dataclass(frozen=True, slots=True)
class OutputFormat:
    """All that the encoders of a video's chunks, and whoever joins them, must have in common."""

    container: Container
    codec: Codec
    pixel_format: str
    size: tuple[int, int]
    time_base: Fraction
    rate: Fraction
    quality: int
    source: SourcePicture

    @property
    def group_frames(self) -> int:
        """Return how many frames lie between two that decoding can begin at."""
        return max(1, round(_GROUP_S * float(self.rate)))


def decide(info: VideoInfo, source: SourcePicture, wanted: OutputOptions) -> OutputFormat:
    """Return what a video is written as.

    Raises:
        InvalidOption: container and codec do not go together, or cannot hold the video.
    """
    container = wanted.container or _container_like(info.kind)
    codec = wanted.codec or _codec_for(source, container)
    if codec not in _HOLDS[container]:
        message = f"codec: {container.value} cannot hold {codec.value}"
        raise InvalidOption(message)
    if source.field_order != _PROGRESSIVE and codec is not Codec.H264:
        message = "codec: only h264 can hold an interlaced video"
        raise InvalidOption(message)
    return OutputFormat(
        container=container,
        codec=codec,
        pixel_format=_pixel_format(source, codec, info.coded_size),
        size=info.coded_size,
        time_base=info.tick_s,
        rate=Fraction(info.frame_rate or _USUAL_RATE).limit_denominator(1001),
        quality=wanted.quality,
        source=source,
    )


def _container_like(kind: Kind) -> Container:
    return {Kind.MOV: Container.MOV, Kind.MKV: Container.MKV, Kind.WEBM: Container.WEBM}.get(
        kind, Container.MP4
    )


def _codec_for(source: SourcePicture, container: Container) -> Codec:
    if container is Container.WEBM:
        return Codec.VP9
    # Players know H.264 of ten bits hardly, but HEVC of ten bits well.
    return Codec.HEVC if source.bits > _EIGHT and source.field_order == _PROGRESSIVE else Codec.H264


def _pixel_format(source: SourcePicture, codec: Codec, size: tuple[int, int]) -> str:
    name = source.pixel_format
    sampling = next((each for each in ("420", "422", "444") if each in name), None)
    if sampling is None:
        sampling = "420" if name.startswith(("gray", "nv12", "nv21", "p01")) else "444"
    is_odd = bool(size[0] % 2) or bool(sampling == "420" and size[1] % 2)
    if is_odd and codec is not Codec.VP9 and sampling != "444":
        # Their samples of colour cannot end within a pixel of the picture's rim.
        sampling = "444"
    return _LAYOUTS[sampling] + ("10le" if source.bits > _EIGHT and codec is not Codec.VP9 else "")


def set_up(context: VideoCodecContext, output: OutputFormat) -> None:
    """Set an encoder up that was not opened yet; the same for each chunk of a video, and for the whole."""
    context.width, context.height = output.size
    context.pix_fmt = output.pixel_format
    context.time_base = output.time_base
    context.framerate = output.rate
    context.gop_size = output.group_frames
    context.max_b_frames = 0
    context.thread_count = 1
    context.sample_aspect_ratio = output.source.shape
    colours = output.source.colours
    is_rgb = colours.space == _RGB or output.source.pixel_format.startswith(("gbr", "rgb", "bgr"))
    is_full = colours.range == _FULL_RANGE or output.source.pixel_format.startswith("yuvj")
    context.color_range = _FULL_RANGE if is_full else colours.range
    context.colorspace = _BT709 if is_rgb else colours.space
    context.color_primaries = colours.primaries
    context.color_trc = colours.transfer
    # Headers stand once in the container, not in each group.
    context.flags |= av.codec.context.Flags.global_header
    context.options = _options(output)
    if output.source.field_order != _PROGRESSIVE:
        context.flags |= av.codec.context.Flags.interlaced_dct | av.codec.context.Flags.interlaced_me
        context.field_order = output.source.field_order


def new_encoder(output: OutputFormat) -> VideoCodecContext:
    """Return an encoder for one chunk."""
    context = cast("VideoCodecContext", av.CodecContext.create(_ENCODERS[output.codec], "w"))
    set_up(context, output)
    return context


def encoder_name(output: OutputFormat) -> str:
    """Return FFmpeg's name of the encoder."""
    return _ENCODERS[output.codec]


def _options(output: OutputFormat) -> dict[str, str]:
    # 100 is a little better than what is called visually lossless, 80 what nobody sees beside the source.
    crf = 40 - 0.25 * output.quality
    if output.codec is Codec.VP9:
        # Its scale is longer; `lag-in-frames` 0 keeps it from hiding frames in others.
        return {
            "crf": str(round(crf * 1.4)),
            "b:v": "0",
            "deadline": "realtime",
            "cpu-used": "7",
            "lag-in-frames": "0",
            "row-mt": "0",
        }
    if output.codec is Codec.HEVC:
        rest = f":{output.source.mastering}:hdr10=1" if output.source.mastering else ""
        return {
            "crf": f"{crf:g}",
            "preset": "superfast",
            "x265-params": "log-level=none:bframes=0:open-gop=0:pools=none:frame-threads=1:repeat-headers=0"
            + rest,
        }
    fields = {"x264-params": "bff=1"} if output.source.field_order in _BOTTOM_FIRST else {}
    return {"crf": f"{crf:g}", "preset": "veryfast", "bf": "0", **fields}
