"""Both passes over a video, planned before a frame is decoded: chunks that are independent of each other."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipelines.errors import InvalidOption
from pipelines.redact.cover import CoverOptions
from pipelines.video.plan import CHUNK_WORK_S, chunks_of
from pipelines.video.sampling import Sampling

if TYPE_CHECKING:
    from pipelines.video.plan import Chunk
    from pipelines.video.probe import VideoProbe

#: What one thread needs to encode a million pixels, in seconds; its share of a frame's work is the largest.
_ENCODE_S = 0.012


@dataclass(frozen=True, slots=True)
class Span:
    """Which part of a video is masked, in seconds, and which of its frames are looked at: every k-th."""

    start_s: float = 0.0
    end_s: float | None = None
    every: int = 1


@dataclass(frozen=True, slots=True)
class RedactPlan:
    """The chunks of both passes.

    Attributes:
        find: frames that are looked at.
        write: all frames.
        first, last: places of the first and last frame that may be masked.
    """

    find: tuple[Chunk, ...]
    write: tuple[Chunk, ...]
    first: int
    last: int

    def cover_options(self, confidence: float) -> CoverOptions:
        """Return how regions come from what is found."""
        return CoverOptions(confidence, self.first, self.last)


def plan_redaction(probe: VideoProbe, span: Span, chunk_work_s: float = CHUNK_WORK_S) -> RedactPlan:
    """Return the chunks of both passes.

    Raises:
        InvalidOption: the start is at or after the end of the video.
    """
    info, shown = probe.info, probe.table.shown
    if span.start_s >= info.duration_s:
        message = f"start_time is at or after the end of the video, which lasts {info.duration_s} seconds"
        raise InvalidOption(message)
    # The frame that is on screen when the span begins belongs to it.
    first = max(0, bisect_left(shown, _tick(probe, span.start_s) + 1) - 1)
    last = len(shown) - 1
    if span.end_s is not None:
        last = max(first, bisect_left(shown, _tick(probe, span.end_s)) - 1)
    looked_at = list(range(first, last + 1, span.every))
    if looked_at[-1] != last:
        looked_at.append(last)
    sampling = Sampling()
    encode_s = info.size[0] * info.size[1] / 1e6 * _ENCODE_S
    return RedactPlan(
        tuple(chunks_of(probe, looked_at, sampling, chunk_work_s)),
        tuple(chunks_of(probe, range(len(shown)), sampling, chunk_work_s, encode_s)),
        first,
        last,
    )


def frame_times(probe: VideoProbe) -> list[float]:
    """Return when each frame is shown, in seconds from the video's beginning."""
    origin, tick_s = probe.info.origin, float(probe.info.tick_s)
    return [(tick - origin) * tick_s for tick in probe.table.shown]


def _tick(probe: VideoProbe, seconds: float) -> int:
    return round(seconds / probe.info.tick_s) + probe.info.origin
