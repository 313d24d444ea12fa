"""Plots as shapes: numbers over time become lines and bars in a box of 600 by 100.

The box is stretched to whatever room there is; lines keep their width, and all text stands outside of it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

WIDTH: Final = 600
HEIGHT: Final = 100
#: A top that is read at a glance: one of these times a power of ten.
_TOPS: Final = (1, 2, 4, 5, 8, 10)
#: Marks below the plot.
_TICKS: Final = 5


@dataclass(frozen=True, slots=True)
class Series:
    """One line, or one colour of bars.

    Attributes:
        name: as it is shown.
        colour: 1 to 6, of the sheet.
        values: one for each stretch; None where there is nothing to tell.
    """

    name: str
    colour: int
    values: Sequence[float | None]


@dataclass(frozen=True, slots=True)
class Bar:
    """A piece of a bar."""

    x: float
    y: float
    width: float
    height: float
    colour: int


@dataclass(frozen=True, slots=True)
class Line:
    """A line without gaps."""

    points: str
    under: str
    colour: int


@dataclass(frozen=True, slots=True)
class Plot:
    """All that a template draws.

    Attributes:
        told: what the cursor shows, as JSON.
        marks: the numbers beside it, from the top down.
        ticks: the times below it.
        is_empty: whether there is nothing but zeros.
    """

    bars: Sequence[Bar]
    lines: Sequence[Line]
    series: Sequence[Series]
    marks: Sequence[str]
    ticks: Sequence[datetime]
    told: dict[str, Any]
    is_empty: bool


def stacked_bars(times: Sequence[datetime], series: Sequence[Series], show: Callable[[float], str]) -> Plot:
    """Return bars on bars, one stack for each stretch."""
    stacks = [[each.values[at] or 0 for each in series] for at in range(len(times))]
    top = nice_top(max((sum(stack) for stack in stacks), default=0))
    step = WIDTH / max(len(times), 1)
    gap = min(step * 0.25, 2.0)
    bars = []
    for at, stack in enumerate(stacks):
        floor = float(HEIGHT)
        for each, value in zip(series, stack, strict=True):
            height = value / top * HEIGHT
            if height > 0:
                floor -= height
                bars.append(Bar(_r(at * step + gap / 2), _r(floor), _r(step - gap), _r(height), each.colour))
    return _plot(times, series, show, top, bars=bars)


def lines(
    times: Sequence[datetime], series: Sequence[Series], show: Callable[[float], str], *, filled: bool = False
) -> Plot:
    """Return lines, with gaps where there is nothing to tell."""
    known = [value for each in series for value in each.values if value is not None]
    top = nice_top(max(known, default=0))
    step = WIDTH / max(len(times) - 1, 1)
    drawn = []
    for each in series:
        for run in _runs(each.values):
            spots = [(_r(at * step), _r(HEIGHT - value / top * HEIGHT)) for at, value in run]
            if len(spots) == 1:  # alone, it would not be seen
                x, y = spots[0]
                spots = [(max(x - 4, 0), y), (min(x + 4, WIDTH), y)]
            points = " ".join(f"{x},{y}" for x, y in spots)
            under = f"{spots[0][0]},{HEIGHT} {points} {spots[-1][0]},{HEIGHT}" if filled else ""
            drawn.append(Line(points, under, each.colour))
    return _plot(times, series, show, top, lines=drawn)


def nice_top(highest: float) -> float:
    """Return the first round number that is not below the highest value; 1 for nothing at all."""
    if highest <= 0:
        return 1.0
    power = 10 ** math.floor(math.log10(highest))
    return next(float(top * power) for top in _TOPS if top * power >= highest * 0.9999)


def _plot(
    times: Sequence[datetime],
    series: Sequence[Series],
    show: Callable[[float], str],
    top: float,
    *,
    bars: Sequence[Bar] = (),
    lines: Sequence[Line] = (),
) -> Plot:
    last = len(times) - 1
    ticks = [times[round(last * number / (_TICKS - 1))] for number in range(_TICKS)] if times else []
    told = {
        "bars": bool(bars),
        "times": [int(time.timestamp()) for time in times],
        "series": [
            {
                "name": each.name,
                "colour": each.colour,
                "shown": ["\u2013" if value is None else show(value) for value in each.values],
            }
            for each in series
        ],
    }
    is_empty = not any(value for each in series for value in each.values)
    are_whole = all(isinstance(value, int) for each in series for value in each.values)
    half = "" if are_whole and top % 2 else show(top / 2)
    return Plot(bars, lines, series, (show(top), half, show(0)), ticks, told, is_empty)


def _runs(values: Sequence[float | None]) -> list[list[tuple[int, float]]]:
    runs: list[list[tuple[int, float]]] = [[]]
    for at, value in enumerate(values):
        if value is not None:
            runs[-1].append((at, value))
        elif runs[-1]:
            runs.append([])
    return [run for run in runs if run]


def _r(value: float) -> float:
    return round(value, 2)
