"""The second pass: the frames of a chunk decoded, hidden where they are to be, and encoded as closed groups.

Its first frame is one that decoding can begin at, and no frame needs one of another chunk: which process
encoded which chunk, and in which order, makes no difference.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from av.video.frame import PictureType
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter

from pipelines.errors import InvalidMedia
from pipelines.redact.output import new_encoder
from pipelines.redact.packets import EncodedFrame, write_frame
from pipelines.redact.planes import hide_in_frame
from pipelines.video.decode import timed_frames

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path
    from typing import BinaryIO

    from av.packet import Packet
    from av.video.frame import VideoFrame

    from pipelines.redact.output import OutputFormat
    from pipelines.results import MaskOptions
    from pipelines.video.plan import Chunk
    from pipelines.video.probe import VideoInfo

#: Corners of a box in pixels of the upright frame.
Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class WriteJob:
    """All that is needed to write a chunk.

    Attributes:
        path: the video.
        info: what the probe found.
        chunk: which frames.
        boxes: what is hidden in which of them, by tick.
        mask: how it is hidden.
        output: what is written.
    """

    path: Path
    info: VideoInfo
    chunk: Chunk
    boxes: Mapping[int, tuple[Box, ...]]
    mask: MaskOptions
    output: OutputFormat


def write_chunk(job: WriteJob, target: Path) -> int:
    """Write the packets of a chunk to a file, and return how many frames they are.

    Raises:
        InvalidMedia: a frame changes what all have in common, or the file can no longer be opened.
    """
    encoder = new_encoder(job.output)
    prepare = _Preparing(job)
    count, last = 0, None
    with target.open("wb") as file:
        for tick, frame in timed_frames(job.path, job.info, job.chunk.groups or ()):
            if last is not None and tick <= last:
                # The times of a damaged file may run backwards where its pictures do not.
                continue
            last = tick
            count += 1
            _keep(file, encoder.encode(prepare(tick, frame)))
        if count:
            _keep(file, encoder.encode(None))
    return count


def _keep(file: BinaryIO, packets: Iterable[Packet[Any]]) -> None:
    for packet in packets:
        write_frame(file, EncodedFrame(int(packet.pts or 0), packet.is_keyframe, bytes(packet)))


class _Preparing:
    """Makes of each decoded frame what the encoder is given."""

    def __init__(self, job: WriteJob) -> None:
        self._job = job
        self._reformatter = VideoReformatter()

    def __call__(self, tick: int, frame: VideoFrame) -> VideoFrame:
        """Return the frame with its regions hidden."""
        job = self._job
        if (frame.width, frame.height) != job.info.coded_size:
            message = "the video changes its size on the way, which cannot be masked in one piece"
            raise InvalidMedia(message)
        frame = self._in_format(frame)
        if boxes := job.boxes.get(tick):
            frame.make_writable()
            hide_in_frame(frame, np.array(boxes, np.float32), job.info.orientation, job.mask)
        frame.pts, frame.time_base = tick, job.output.time_base
        # What the frame was in the source is nothing to this encoder.
        frame.pict_type = PictureType.NONE
        return frame

    def _in_format(self, frame: VideoFrame) -> VideoFrame:
        wanted = self._job.output.pixel_format
        if frame.format.name == wanted:
            return frame
        if frame.format.name == wanted.replace("yuv", "yuvj"):
            # The same samples under the name of their range.
            wanted = frame.format.name
        full = frame.color_range == ColorRange.JPEG or frame.format.name.startswith("yuvj")
        is_rgb = frame.format.is_rgb
        return self._reformatter.reformat(
            frame,
            format=wanted,
            dst_colorspace=Colorspace.ITU709 if is_rgb else None,
            dst_color_range=ColorRange.JPEG if full else ColorRange.MPEG,
            threads=1,
        )
