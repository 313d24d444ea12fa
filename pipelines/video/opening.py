"""Opens a video with FFmpeg: a local file, by the demuxer that its bytes name, memory and time limited."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import av

from pipelines.errors import InvalidMedia, UnsupportedMedia

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from av.container import InputContainer
    from av.packet import Packet
    from av.video.stream import VideoStream

    from pipelines.video.sniff import Kind

#: Everything that FFmpeg raises through PyAV, and what PyAV itself raises over a damaged file.
DECODING_ERRORS = (av.FFmpegError, ValueError, EOFError, IndexError, OverflowError)

#: Codecs that are decoded. Each further one is more code that strangers' bytes go through.
CODECS = frozenset(
    {"h264", "hevc", "vp8", "vp9", "av1", "mpeg4", "mpeg1video", "mpeg2video"}
    | {"h263", "mjpeg", "prores", "dnxhd", "vc1", "theora", "ffv1"}
)

#: Pixels that a decoder may lay out memory for: 8K, with the padding to whole blocks of codecs.
_MAX_PIXELS = 7744 * 4416
_OPTIONS = {"protocol_whitelist": "file", "enable_drefs": "0", "max_pixels": str(_MAX_PIXELS)}
#: Seconds that opening, and reading one packet, may take.
_TIMEOUT_S = (30.0, 30.0)


@contextmanager
def opened(path: Path, kind: Kind) -> Iterator[InputContainer]:
    """Open a video for the length of a with block.

    Raises:
        InvalidMedia: FFmpeg cannot make sense of it.
    """
    try:
        # With its protocol named, no path can be taken for an address or a script.
        container = av.open(
            f"file:{path.resolve()}",
            format=kind.demuxer,
            options=_OPTIONS,
            metadata_errors="ignore",
            timeout=_TIMEOUT_S,
        )
    except DECODING_ERRORS as error:
        message = "the video is cut off or its header is malformed"
        raise InvalidMedia(message) from error
    with container:
        yield container


def video_stream(container: InputContainer, index: int | None = None) -> VideoStream:
    """Return the video track to analyse, set up to decode on this thread alone.

    Args:
        container: an open video.
        index: the track that the probe chose; None lets FFmpeg choose as players do.

    Raises:
        UnsupportedMedia: there is no video track, or none that is decoded here.
    """
    tracks = [track for track in container.streams.video if not is_cover(track)]
    if not tracks:
        message = "the file has no video track"
        raise UnsupportedMedia(message)
    best = container.streams.best("video")
    stream = best if best in tracks else tracks[0]
    if index is not None:
        stream = next((track for track in tracks if track.index == index), stream)
    context = stream.codec_context
    if context is None or context.codec.canonical_name not in CODECS:  # type: ignore[redundant-expr] # its stubs err
        message = "the codec of the video track is not supported"
        raise UnsupportedMedia(message)
    context.thread_count = 1
    context.options = {"max_pixels": str(_MAX_PIXELS)}
    return stream


def sound_packets(container: InputContainer, stream: VideoStream) -> Iterator[Packet[VideoStream]]:
    """Yield a track's packets until the end of the file, or until where it is damaged."""
    try:
        yield from (packet for packet in container.demux(stream) if packet.size)
    except DECODING_ERRORS:
        return


def is_cover(stream: VideoStream) -> bool:
    """Tell whether a track is the cover picture of a song."""
    return bool(stream.disposition & av.stream.Disposition.attached_pic)
