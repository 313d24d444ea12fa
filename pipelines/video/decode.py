"""Gives the sampled frames of one chunk, upright, doing as little of everything else as can be.

    search -> packets -> needed at all? -> referred to, or sampled? -> decoder -> sampled? -> one conversion

Packets up to the next key frame that samples need are not decoded; frames that no other frame is made from
are left out by the decoder unless they are sampled; only sampled frames are converted, and at once to the
size that is asked for. None of it changes a pixel of a sampled frame.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter

from pipelines.decode import upright
from pipelines.video.opening import DECODING_ERRORS, opened, sound_packets, video_stream
from pipelines.video.sampling import Grid, timestamp

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from av.container import InputContainer
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream
    from numpy.typing import NDArray

    from pipelines.video.plan import Chunk, Group
    from pipelines.video.probe import VideoInfo

#: Rows from which an untagged video is taken to have the colours of HDTV, as players do.
_HD_ROWS = 720
_UNSPECIFIED, _RGB = 2, 0


@dataclass(frozen=True, slots=True)
class SampledFrame:
    """A sampled frame.

    Attributes:
        timestamp: seconds from the beginning of the video.
        pixels: upright uint8 BGR [H, W, 3].
    """

    timestamp: float
    pixels: NDArray[np.uint8]


def sampled_frames(
    path: Path,
    info: VideoInfo,
    chunk: Chunk,
    size: tuple[int, int] | None = None,
    *,
    skip_unneeded: bool = True,
) -> Iterator[SampledFrame]:
    """Yield the frames of a chunk in order of time; damaged ones are left out.

    Args:
        path: the video.
        info: what the probe found.
        chunk: what to give.
        size: width and height of the upright pixels; None for those of the video.
        skip_unneeded: leave out frames that no sampled frame is made from; off only to measure.

    Raises:
        InvalidMedia: the file can no longer be opened.
    """
    convert = Converter(info, size)
    ticks = _untimed_frames(path, info, chunk) if chunk.groups is None else None
    frames = ticks or timed_frames(path, info, chunk.groups or (), skip_unneeded=skip_unneeded)
    last_tick: int | None = None
    for tick, frame in frames:
        if last_tick is not None and tick <= last_tick:
            # The times of a damaged file may run backwards where its pictures do not.
            continue
        last_tick = tick
        at = timestamp(tick, info.origin, info.tick_s, chunk.sampling.start_s)
        yield SampledFrame(at, convert(frame))


class Converter:
    """Turns decoded frames into upright BGR pixels of one size, in one step of swscale."""

    def __init__(self, info: VideoInfo, size: tuple[int, int] | None) -> None:
        width, height = size or info.size
        self._orientation = info.orientation
        swapped = info.orientation >= 5  # noqa: PLR2004 - orientations 5..8 swap the sides
        self._size = (height, width) if swapped else (width, height)
        self._reformatter = VideoReformatter()

    def __call__(self, frame: VideoFrame) -> NDArray[np.uint8]:
        """Return the pixels in memory of their own."""
        width, height = self._size
        space = None
        if frame.colorspace in {_UNSPECIFIED, _RGB} and not frame.format.is_rgb:
            space = Colorspace.ITU709 if frame.height >= _HD_ROWS else Colorspace.ITU601
        scaled = self._reformatter.reformat(
            frame,
            width,
            height,
            format="bgr24",
            src_colorspace=space,
            dst_color_range=ColorRange.JPEG,
            threads=1,
        )
        return upright(np.ascontiguousarray(scaled.to_ndarray(), np.uint8), self._orientation)


# --- times are known --------------------------------------------------------------------------------------


def timed_frames(
    path: Path, info: VideoInfo, groups: tuple[Group, ...], *, skip_unneeded: bool = True
) -> Iterator[tuple[int, VideoFrame]]:
    """Yield the wanted frames of these groups with their ticks, as the decoder gives them.

    Raises:
        InvalidMedia: the file can no longer be opened.
    """
    reader = _Reader(groups, skips=skip_unneeded and info.can_skip, drops=skip_unneeded)
    for searches in (info.has_index, False):
        with opened(path, info.kind) as container:
            stream = video_stream(container, info.stream_index)
            packets = _packets(container, stream, groups[0], searches=searches)
            if packets is None:
                continue
            yield from reader.frames(stream, packets)
            return


def _packets(
    container: InputContainer, stream: VideoStream, first: Group, *, searches: bool
) -> Iterator[Packet[VideoStream]] | None:
    """Return the packets from a group's key frame on, or None where searching did not lead there."""
    if not searches or first.key_pts is None:
        return sound_packets(container, stream)
    try:
        container.seek(min(first.key_dts, first.key_pts), stream=stream, backward=True)
    except DECODING_ERRORS:
        return None
    packets = sound_packets(container, stream)
    for packet in packets:
        if _is_key(packet, first):
            return _with(packet, packets)
        if packet.dts is not None and packet.dts > first.key_dts:
            return None
    return None


def _with(first: Packet[VideoStream], rest: Iterator[Packet[VideoStream]]) -> Iterator[Packet[VideoStream]]:
    yield first
    yield from rest


def _is_key(packet: Packet[VideoStream], group: Group) -> bool:
    if group.key_pts is None:
        return True
    tick = packet.dts if packet.dts is not None else packet.pts
    return bool(packet.is_keyframe) and packet.pts == group.key_pts and tick == group.key_dts


class _Reader:
    """Feeds a decoder what its groups need, and tells their frames from the others."""

    def __init__(self, groups: tuple[Group, ...], *, skips: bool, drops: bool) -> None:
        self._groups = groups
        self._skips, self._drops = skips, drops
        self._group_of = {tick: index for index, group in enumerate(groups) for tick in group.wanted}
        self._awaited = set(self._group_of)

    def frames(
        self, stream: VideoStream, packets: Iterator[Packet[VideoStream]]
    ) -> Iterator[tuple[int, VideoFrame]]:
        """Yield the wanted frames with their ticks."""
        context = stream.codec_context
        unsent = [len(group.wanted) for group in self._groups]
        sent: set[int] = set()
        current, entered, has_gap = 0, 0, False
        for packet in packets:
            while current < len(unsent) and not unsent[current]:
                current += 1
            if current == len(unsent):
                break
            if entered < len(self._groups) and _is_key(packet, self._groups[entered]):
                entered += 1
            elif entered <= current and (self._drops or not entered):
                has_gap = True
                continue
            if has_gap:
                # Decoding begins anew: what the decoder still holds comes out first.
                yield from self._wanted(_decoded(stream, None))
                context.flush_buffers()
                has_gap = False
            is_wanted = packet.pts in self._group_of and not packet.is_discard and packet.pts not in sent
            if is_wanted and packet.pts is not None:
                sent.add(packet.pts)
                unsent[self._group_of[packet.pts]] -= 1
            if self._skips:
                context.skip_frame = "DEFAULT" if is_wanted else "NONREF"
            yield from self._wanted(_decoded(stream, packet))
        yield from self._wanted(_decoded(stream, None))

    def _wanted(self, frames: list[VideoFrame]) -> Iterator[tuple[int, VideoFrame]]:
        for frame in frames:
            if frame.pts in self._awaited:
                self._awaited.remove(frame.pts)
                yield frame.pts, frame


def _decoded(stream: VideoStream, packet: Packet[VideoStream] | None) -> list[VideoFrame]:
    try:
        return stream.codec_context.decode(packet)
    except DECODING_ERRORS:
        # One damaged frame is no reason to lose the rest.
        return []


# --- times are found while decoding -----------------------------------------------------------------------


def _untimed_frames(path: Path, info: VideoInfo, chunk: Chunk) -> Iterator[tuple[int, VideoFrame]]:
    """Yield sampled frames of a video whose container does not tell the time of each."""
    grid = Grid(chunk.sampling, info.tick_s, info.origin)
    length = max(1, round(1 / (info.frame_rate * info.tick_s))) if info.frame_rate else 1
    before: tuple[int, VideoFrame] | None = None
    with opened(path, info.kind) as container:
        stream = video_stream(container, info.stream_index)
        for packet in _with_end(sound_packets(container, stream)):
            for frame in _decoded(stream, packet):
                tick = frame.pts if frame.pts is not None else frame.dts
                if tick is None:
                    tick = before[0] + length if before else info.origin
                if before and tick <= before[0]:
                    continue
                if before and grid.samples_between(before[0], tick):
                    yield before
                before = (tick, frame)
    if before and grid.samples_between(before[0], before[0] + length):
        yield before


def _with_end(packets: Iterator[Packet[VideoStream]]) -> Iterator[Packet[VideoStream] | None]:
    yield from packets
    yield None
