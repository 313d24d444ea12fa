"""Which frames of a video are analysed: those on screen at evenly spaced times.

The rule, with all times measured from the video's beginning as players count it:

- The grid is `start + k / rate` for k = 0, 1, 2, ... before `end`, as long as the video shows a frame.
- A frame is on screen from its presentation time until the next frame's; the last one for its own duration.
- The frame on screen at a grid time is sampled; a frame that is on screen at several is sampled once.
- Its timestamp is its presentation time, or `start` where it was on screen before that.

So a video of fewer frames a second than the rate has each of its frames sampled, a slide that stands for a
minute is sampled once, and every frame belongs to one place in one chunk, wherever chunks are cut. Times are
compared as whole numbers, never as floating point.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from pipelines.errors import InvalidOption

if TYPE_CHECKING:
    from collections.abc import Sequence

MIN_RATE, MAX_RATE = 1, 30
#: Times that callers give are taken to the microsecond.
_PER_SECOND = 1_000_000


@dataclass(frozen=True, slots=True)
class Sampling:
    """What a caller asks for: samples a second of media time, from `start_s` up to but not at `end_s`."""

    rate: int = 2
    start_s: float = 0.0
    end_s: float | None = None

    def __post_init__(self) -> None:
        """Refuse what makes no sense.

        Raises:
            InvalidOption: a rate or a time outside its range.
        """
        if not MIN_RATE <= self.rate <= MAX_RATE:
            message = f"sample_rate must be a whole number from {MIN_RATE} to {MAX_RATE}"
            raise InvalidOption(message)
        if not (math.isfinite(self.start_s) and self.start_s >= 0):
            message = "start_time must be zero or more seconds"
            raise InvalidOption(message)
        if self.end_s is not None and not (math.isfinite(self.end_s) and self.end_s > self.start_s):
            message = "end_time must be after start_time"
            raise InvalidOption(message)


class Grid:
    """The grid times of a sampling, as whole ticks of a stream's time base.

    Args:
        sampling: what the caller asks for.
        time_base: seconds of one tick.
        origin: the tick that is the video's beginning.
    """

    def __init__(self, sampling: Sampling, time_base: Fraction, origin: int) -> None:
        start = Fraction(round(sampling.start_s * _PER_SECOND), _PER_SECOND)
        end = None
        if sampling.end_s is not None:
            end = Fraction(round(sampling.end_s * _PER_SECOND), _PER_SECOND)
        self._start = start / time_base + origin
        self._step = 1 / (sampling.rate * time_base)
        self._count = None if end is None else math.ceil((end - start) * sampling.rate)

    def samples_between(self, begin: int, end: int) -> bool:
        """Tell whether a grid time lies in begin <= t < end: whether a frame shown so long is sampled."""
        first = max(0, math.ceil((begin - self._start) / self._step))
        if self._count is not None and first >= self._count:
            return False
        return self._start + first * self._step < end

    def times_before(self, end: int) -> list[int]:
        """Return each grid time before this tick, rounded down: all that comparing with ticks needs."""
        count = max(0, math.ceil((end - self._start) / self._step))
        if self._count is not None:
            count = min(count, self._count)
        # One common denominator: plain integers, because a long video has hundreds of thousands of these.
        scale = math.lcm(self._start.denominator, self._step.denominator)
        start, step = int(self._start * scale), int(self._step * scale)
        return [(start + k * step) // scale for k in range(count)]


def sampled_indices(shown: Sequence[int], end: int, grid: Grid) -> list[int]:
    """Return which frames are sampled, in order.

    Args:
        shown: presentation ticks of the frames, rising.
        end: the tick at which the last frame goes.
        grid: the grid times.
    """
    found: list[int] = []
    last = -1
    for time in grid.times_before(end):
        index = bisect_right(shown, time, lo=max(0, last)) - 1
        if index > last:
            found.append(index)
            last = index
    return found


def timestamp(tick: int, origin: int, time_base: Fraction, start_s: float) -> float:
    """Return the seconds at which a sampled frame is reported, to the microsecond."""
    return round(max(float((tick - origin) * time_base), start_s), 6)
