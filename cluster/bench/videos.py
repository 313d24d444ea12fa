"""Videos for benches: one is rendered, longer ones repeat its packets; and a server to fetch them from."""

from __future__ import annotations

import functools
import http.server
import threading
from contextlib import contextmanager
from fractions import Fraction
from typing import TYPE_CHECKING, cast

import av
import cv2
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from av.video.stream import VideoStream
    from numpy.typing import NDArray

#: What a walk through a photo looks like, with many places to cut it.
WALK_SIZE, WALK_FRAMES_PER_S, WALK_GOP = (640, 360), 10, 10


def walk_through(photo: bytes, target: Path, seconds: int) -> Path:
    """Write a video in which the camera wanders over a photo."""
    source = np.asarray(cv2.imdecode(np.frombuffer(photo, np.uint8), cv2.IMREAD_COLOR), np.uint8)
    with av.open(str(target), "w") as container:
        stream = cast("VideoStream", container.add_stream("libx264", rate=WALK_FRAMES_PER_S))
        stream.width, stream.height, stream.pix_fmt = *WALK_SIZE, "yuv420p"
        stream.gop_size = WALK_GOP
        for index in range(seconds * WALK_FRAMES_PER_S):
            frame = av.VideoFrame.from_ndarray(_view(source, index), format="bgr24")
            frame.pts, frame.time_base = index, Fraction(1, WALK_FRAMES_PER_S)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return target


def _view(source: NDArray[np.uint8], index: int) -> NDArray[np.uint8]:
    """Return what the camera sees: a part of the photo, of the video's proportions."""
    rows, columns = source.shape[:2]
    width = columns * 3 // 4
    height = width * WALK_SIZE[1] // WALK_SIZE[0]
    x = (columns - width) * (0.5 + 0.5 * np.sin(index / 23))
    y = (rows - height) * (0.5 + 0.5 * np.cos(index / 31))
    part = source[int(y) : int(y) + height, int(x) : int(x) + width]
    return np.asarray(cv2.resize(part, WALK_SIZE, interpolation=cv2.INTER_AREA), np.uint8)


def repeated(source: Path, target: Path, times: int) -> Path:
    """Write a video that shows another one several times; nothing is encoded anew."""
    with av.open(str(target), "w") as out, av.open(str(source)) as first:
        template = first.streams.video[0]
        stream = out.add_stream_from_template(template)
        length = template.duration
        if length is None or template.time_base is None:
            message = f"{source} does not tell how long it is"
            raise ValueError(message)
        for turn in range(times):
            with av.open(str(source)) as container:
                for packet in container.demux(video=0):
                    if packet.dts is None or packet.pts is None:
                        continue
                    packet.pts += turn * length
                    packet.dts += turn * length
                    packet.stream = stream
                    out.mux(packet)
    return target


class _Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves a folder without a line for each request."""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        """Keep quiet."""


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a folder on this machine and yield its address."""
    handler = functools.partial(_Quiet, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
