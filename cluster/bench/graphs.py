"""A page of graphs as an SVG: what a dashboard's queries answered, drawn in its places."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

PAGE, GRAPH_HEIGHT, GAP, TOP, FOOT = 1200, 200, 16, 44, 40
COLOURS: Final = ("#d97706", "#2563eb", "#059669", "#db2777", "#7c3aed", "#0891b2", "#65a30d", "#dc2626")
GREY: Final = "#6b7280"
_FONT: Final = f'font-family="sans-serif" font-size="11" fill="{GREY}"'
_FAINT: Final = f'stroke="{GREY}" stroke-opacity=".25"'
#: More lines than these are drawn, but not named.
_MOST_NAMES: Final = 6
_LETTER: Final = 6.2
_STEPS: Final = ((1e9, "G"), (1e6, "M"), (1e3, "k"), (1, ""), (1e-3, "m"), (1e-6, "µ"))
_UNITS: Final = {"reqps": "/s", "s": "s", "bytes": "B", "percent": "%", "percentunit": "%"}


@dataclass(frozen=True, slots=True)
class Series:
    """A line: seconds since the beginning, and values."""

    name: str
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Graph:
    """What one panel shows; the unit is one of Grafana's."""

    title: str
    unit: str
    series: Sequence[Series]


def page(title: str, rows: Sequence[Sequence[Graph]], length_s: float) -> str:
    """Return the picture of all graphs, on a white ground."""
    height = TOP + len(rows) * (GRAPH_HEIGHT + FOOT + GAP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {PAGE} {height}" {_FONT}>',
        f'<rect width="{PAGE}" height="{height}" fill="#fff"/>',
        f'<text x="{GAP}" y="28" font-size="17" fill="#111827">{escape(title)}</text>',
    ]
    for down, row in enumerate(rows):
        width = (PAGE - GAP * (len(row) + 1)) / len(row)
        for across, graph in enumerate(row):
            x, y = GAP + across * (width + GAP), TOP + down * (GRAPH_HEIGHT + FOOT + GAP)
            parts.append(f'<g transform="translate({x:.0f} {y})">{_graph(graph, width, length_s)}</g>')
    return "".join([*parts, "</svg>\n"])


def _graph(graph: Graph, width: float, length_s: float) -> str:
    left, top, bottom = 52, 26, GRAPH_HEIGHT - 18
    highest = max((value for series in graph.series for _, value in series.points), default=0) or 1.0
    parts = [
        f'<rect width="{width:.0f}" height="{GRAPH_HEIGHT + FOOT}" rx="6" fill="none" {_FAINT}/>',
        f'<text x="10" y="18" font-size="12" fill="#111827">{escape(graph.title)}</text>',
    ]

    def x(time: float) -> float:
        return round(left + time / length_s * (width - left - 12), 1)

    def y(value: float) -> float:
        return round(bottom - value / highest * (bottom - top - 6), 1)

    parts += [
        f'<path d="M{left} {y(value)}H{width - 12:.0f}" {_FAINT}/>'
        f'<text x="{left - 6}" y="{y(value) + 4}" text-anchor="end">{shown(value, graph.unit)}</text>'
        for value in (0.0, highest / 2, highest)
    ]
    parts += [
        f'<text x="{x(time)}" y="{bottom + 14}" text-anchor="middle">{time // 60} min</text>'
        for time in range(0, int(length_s) + 1, 60)
    ]
    if not graph.series:
        parts.append(f'<text x="{width / 2:.0f}" y="{GRAPH_HEIGHT / 2}" text-anchor="middle">no data</text>')
    at, line = 10.0, 0
    for number, series in enumerate(graph.series):
        colour = COLOURS[number % len(COLOURS)]
        points = " ".join(f"{x(time)},{y(value)}" for time, value in series.points)
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.6"/>')
        if number < _MOST_NAMES:
            length = len(series.name) * _LETTER + 14
            if at > 10 and at + length > width:  # noqa: PLR2004 - the left edge
                at, line = 10.0, line + 1
            place = GRAPH_HEIGHT + 12 + line * 15
            parts.append(f'<text x="{at:.0f}" y="{place}" fill="{colour}">{escape(series.name)}</text>')
            at += length
    return "".join(parts)


def shown(value: float, unit: str) -> str:
    """Return a value as it stands beside an axis."""
    if unit == "percentunit":
        value *= 100
    if value == 0:
        return "0"
    if unit.startswith("percent"):
        return f"{value:.3g} %"
    size, letter = next(((size, letter) for size, letter in _STEPS if abs(value) >= size), _STEPS[-1])
    return f"{value / size:.3g} {letter}{_UNITS.get(unit, '')}".rstrip()
