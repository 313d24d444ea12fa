"""The whole: packets of all chunks behind each other, and sound and subtitles as they were, bit for bit.

Nothing else comes along: no other picture, which might show a face, and no word on place, device or time.
"""

from __future__ import annotations

from contextlib import contextmanager
from itertools import chain
from typing import TYPE_CHECKING, Any, cast

import av
from av.packet import Packet

from pipelines.errors import InvalidMedia, InvalidOption
from pipelines.redact.output import Codec, Container, encoder_name, set_up
from pipelines.redact.packets import read_frames
from pipelines.video.opening import DECODING_ERRORS, opened, video_stream

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from fractions import Fraction
    from pathlib import Path

    from av.container import InputContainer, OutputContainer
    from av.stream import Stream
    from av.video.stream import VideoStream

    from pipelines.redact.output import OutputFormat
    from pipelines.redact.packets import EncodedFrame
    from pipelines.video.probe import VideoInfo

_COPIED = {"audio", "subtitle"}


def join(
    path: Path, info: VideoInfo, end: int, output: OutputFormat, chunks: Sequence[Path], target: Path
) -> int:
    """Write the masked video, and return how many frames it has.

    Args:
        path: the source.
        info: what its probe found.
        end: the tick at which its last frame goes.
        output: what the chunks were written as.
        chunks: their packets, in order.
        target: what is written.

    Raises:
        InvalidMedia: no frame could be decoded.
        InvalidOption: the container cannot hold the source's other streams.
    """
    with opened(path, info.kind) as source, _container(target, output.container, info.tick_s) as result:
        stream = cast("VideoStream", result.add_stream(encoder_name(output), rate=output.rate))
        set_up(stream.codec_context, output)
        if output.codec is Codec.HEVC and output.container in {Container.MP4, Container.MOV}:
            # The name under which all players look for it.
            stream.codec_context.codec_tag = "hvc1"
        if output.source.matrix is not None:
            stream.set_display_matrix(output.source.matrix)
        _keep_words(source.streams[info.stream_index], stream)
        copies = _copied_streams(source, result, output.container)
        frames = _Counting(chain.from_iterable(map(read_frames, chunks)))
        _mux(result, _video_packets(frames, stream, info, end), _copied_packets(source, copies))
    if not frames.count:
        message = "no frame of the video can be decoded"
        raise InvalidMedia(message)
    return frames.count


def remux(path: Path, info: VideoInfo, container: Container, target: Path) -> None:
    """Write a video in which nothing is to be hidden: every packet of picture, sound and subtitles as it was.

    Raises:
        InvalidOption: the container cannot hold one of the streams.
    """
    with opened(path, info.kind) as source, _container(target, container, info.tick_s) as result:
        for packet in _copied_packets(source, _all_streams(source, info, result, container)):
            result.mux_one(packet)


def can_remux(path: Path, info: VideoInfo, container: Container, scratch: Path) -> bool:
    """Tell whether a video's picture may be copied where nothing is to be hidden.

    It may not where the container cannot hold it, nor where frames are cut away by the container alone:
    those were never looked at, and a copy would hold them still.

    Args:
        path: the video.
        info: what its probe found.
        container: what it would be copied to.
        scratch: a path at which headers may be written.
    """
    with opened(path, info.kind) as source:
        picture = video_stream(source, info.stream_index)
        try:
            with _container(scratch, container, info.tick_s) as result:
                _copy(result, picture, container)
                result.start_encoding()
        except InvalidOption:
            return False
        finally:
            scratch.unlink(missing_ok=True)
        try:
            return not any(packet.is_discard for packet in source.demux(picture))
        except DECODING_ERRORS:
            return True


def _all_streams(
    source: InputContainer, info: VideoInfo, result: OutputContainer, container: Container
) -> dict[int, Stream]:
    picture = video_stream(source, info.stream_index)
    copy = _copy(result, picture, container)
    _keep_words(picture, copy)
    return {picture.index: copy, **_copied_streams(source, result, container)}


@contextmanager
def _container(target: Path, container: Container, tick_s: Fraction) -> Iterator[OutputContainer]:
    options = {"fflags": "+bitexact"}
    if container in {Container.MP4, Container.MOV}:
        options["movflags"] = "+faststart"
        if tick_s.numerator == 1:
            options["video_track_timescale"] = str(tick_s.denominator)
    with av.open(str(target), "w", format=container.muxer, container_options=options) as result:
        try:
            yield result
        except av.FFmpegError as error:
            message = f"container: {container.value} cannot hold this video's streams; choose mkv"
            raise InvalidOption(message) from error


def _copied_streams(
    source: InputContainer, result: OutputContainer, container: Container
) -> dict[int, Stream]:
    """Return the output's streams by the index of those whose packets they take over."""
    copies = {}
    for stream in source.streams:
        if stream.type in _COPIED:
            copies[stream.index] = _copy(result, stream, container)
            _keep_words(stream, copies[stream.index])
    return copies


def _copy(result: OutputContainer, stream: Any, container: Container) -> Stream:  # noqa: ANN401 - of any type
    try:
        return cast("Stream", result.add_stream_from_template(stream, opaque=True))
    except (ValueError, av.FFmpegError) as error:
        name = stream.codec_context.name if stream.codec_context else stream.type
        message = f"container: {container.value} cannot hold the {stream.type} stream ({name}); choose mkv"
        raise InvalidOption(message) from error


def _keep_words(source: Stream, copy: Stream) -> None:
    """Keep what a player chooses streams by: the language, and which is the usual one."""
    if language := source.metadata.get("language"):
        copy.metadata["language"] = language
    copy.disposition = source.disposition


class _Counting:
    """Counts frames as they pass."""

    def __init__(self, frames: Iterator[EncodedFrame]) -> None:
        self._frames = frames
        self.count = 0

    def __iter__(self) -> Iterator[EncodedFrame]:
        for frame in self._frames:
            self.count += 1
            yield frame


def _video_packets(
    frames: Iterable[EncodedFrame], stream: VideoStream, info: VideoInfo, end: int
) -> Iterator[Packet[Any]]:
    """Yield packets of which each lasts until the next one's time."""
    before: EncodedFrame | None = None
    for frame in frames:
        if before is not None:
            yield _packet(before, frame.tick, stream, info)
        before = frame
    if before is not None:
        yield _packet(before, max(end, before.tick + 1), stream, info)


def _packet(frame: EncodedFrame, until: int, stream: VideoStream, info: VideoInfo) -> Packet[Any]:
    packet: Packet[Any] = Packet(frame.data)
    packet.stream = stream
    packet.time_base = info.tick_s
    packet.pts = packet.dts = frame.tick
    packet.duration = until - frame.tick
    packet.is_keyframe = frame.is_key
    return packet


def _copied_packets(source: InputContainer, copies: dict[int, Stream]) -> Iterator[Packet[Any]]:
    """Yield the packets of the copied streams until the end of the file, or until where it is damaged."""
    wanted = [stream for stream in source.streams if stream.index in copies]
    if not wanted:
        return
    try:
        for packet in source.demux(wanted):
            if packet.size and (packet.dts is not None or packet.pts is not None):
                packet.stream = copies[packet.stream_index]
                yield packet
    except DECODING_ERRORS:
        return


def _mux(result: OutputContainer, one: Iterable[Packet[Any]], two: Iterable[Packet[Any]]) -> None:
    """Mux two runs of packets as their times come, so that the muxer holds few of them back."""
    runs = [iter(one), iter(two)]
    heads = [next(run, None) for run in runs]
    while waiting := [at for at, head in enumerate(heads) if head is not None]:
        first = min(waiting, key=lambda at: _time(heads[at]))
        packet = heads[first]
        heads[first] = next(runs[first], None)
        if packet is not None:
            result.mux_one(packet)


def _time(packet: Packet[Any] | None) -> Fraction | float:
    if packet is None or packet.time_base is None:
        return 0.0
    tick = packet.dts if packet.dts is not None else packet.pts
    return (tick or 0) * packet.time_base
