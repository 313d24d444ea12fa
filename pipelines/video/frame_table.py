"""Every frame of a video by its place and time, read from the container alone: nothing is decoded.

This is what makes sampling exact and chunks independent: which frame is on screen at which time is known
before the first one is decoded, and each chunk is told which frames to give.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pipelines.errors import InvalidMedia
from pipelines.video.key_frames import is_entrance, is_hidden
from pipelines.video.opening import DECODING_ERRORS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from av.container import InputContainer
    from av.packet import Packet
    from av.video.stream import VideoStream

#: Frames that a video may have: nine hours at 240 a second.
MAX_FRAMES = 9 * 3600 * 240


@dataclass(frozen=True, slots=True)
class Entrance:
    """A key frame that decoding can begin at.

    Attributes:
        pts: its presentation tick.
        dts: its decoding tick, by which containers are searched; equal to `pts` where there is none.
        place: its place among all packets, in decoding order.
    """

    pts: int
    dts: int
    place: int


@dataclass(frozen=True, slots=True)
class FrameTable:
    """The frames that are shown, in the order in which they are shown.

    Attributes:
        shown: presentation tick of each, rising, none twice.
        places: each one's place among all packets, in decoding order.
        entrances: where decoding can begin, in decoding order.
        end: the tick at which the last frame goes.
        packets: how many packets the track has.
        is_complete: whether every frame's time is known. Where one is not, the video has to be decoded from
            its start to its end in one piece.
    """

    shown: Sequence[int]
    places: Sequence[int]
    entrances: tuple[Entrance, ...]
    end: int
    packets: int
    is_complete: bool

    def index_at(self, tick: int) -> int:
        """Return which frame has this presentation tick, or the first one after it."""
        return bisect_left(self.shown, tick)


def read_frame_table(container: InputContainer, stream: VideoStream) -> FrameTable:
    """Read every packet of a track.

    Raises:
        InvalidMedia: there are no frames, or more than any video has.
    """
    codec, extradata = stream.codec_context.codec.canonical_name, stream.codec_context.extradata
    ticks, places = array("q"), array("q")
    entrances: list[Entrance] = []
    count, untimed, length = 0, 0, 0
    try:
        for packet in container.demux(stream):
            if not packet.size:
                continue
            place, count = count, count + 1
            if count > MAX_FRAMES:
                message = "the video has more frames than are accepted"
                raise InvalidMedia(message)
            if packet.pts is None:
                untimed += 1
                continue
            if packet.is_keyframe and is_entrance(codec, bytes(packet), extradata):
                entrances.append(Entrance(packet.pts, _decoding_tick(packet), place))
            if not packet.is_discard and not is_hidden(codec, bytes(packet)[:1] if codec == "vp8" else b""):
                ticks.append(packet.pts)
                places.append(place)
                length = packet.duration or length
    except DECODING_ERRORS as error:
        # What could be read so far is worth having only if it is something: a damaged end is no reason to
        # refuse hours of video that are sound.
        if not ticks:
            message = "the video is cut off or malformed"
            raise InvalidMedia(message) from error
    if not count:
        message = "the video track holds no frames"
        raise InvalidMedia(message)
    return _table(ticks, places, entrances, count, untimed, length)


def _decoding_tick(packet: Packet[VideoStream]) -> int:
    tick = packet.dts if packet.dts is not None else packet.pts
    return int(tick or 0)


def _table(
    ticks: array[int], places: array[int], entrances: list[Entrance], count: int, untimed: int, length: int
) -> FrameTable:
    order = np.argsort(np.asarray(ticks, np.int64), kind="stable")
    shown, where = array("q"), array("q")
    for index in order:
        # Of two frames for one moment the first is taken: fields of one picture, or a writer's mistake.
        if not shown or ticks[index] > shown[-1]:
            shown.append(ticks[index])
            where.append(places[index])
    if len(shown) > 1 and not length:
        length = (shown[-1] - shown[0]) // (len(shown) - 1)
    end = shown[-1] + max(1, length) if shown else 0
    return FrameTable(shown, where, tuple(entrances), end, count, is_complete=not untimed and bool(shown))
