"""A plot of a few lines of steps as an SVG, in colours that are told apart on light and dark pages."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM = 760, 260, 40, 40, 20, 40
COLOURS: Final = ("#d97706", "#2563eb", "#059669")
GREY: Final = "#6b7280"


@dataclass(frozen=True, slots=True)
class Line:
    """Values by time, each until the next."""

    name: str
    times: Sequence[float]
    values: Sequence[float]


def plot(title: str, lines: Sequence[Line], marks: Mapping[str, float]) -> str:
    """Return the picture.

    Args:
        title: above it.
        lines: what it shows.
        marks: moments with a word each.
    """
    longest = max(line.times[-1] for line in lines)
    highest = max(max(line.values) for line in lines) + 0.5

    def x(time: float) -> float:
        return round(LEFT + time / longest * (WIDTH - LEFT - RIGHT), 1)

    def y(value: float) -> float:
        return round(HEIGHT - BOTTOM - value / highest * (HEIGHT - TOP - BOTTOM), 1)

    box = f'viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12" fill="{GREY}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {box}>',
        f'<text x="{LEFT}" y="18" font-size="14">{escape(title)}</text>',
    ]
    for value in range(int(highest) + 1):
        parts.append(f'<path d="M{LEFT} {y(value)}H{WIDTH - RIGHT}" stroke="{GREY}" stroke-opacity=".2"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y(value) + 4}" text-anchor="end">{value}</text>')
    parts += [
        f'<text x="{x(tick)}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{tick}</text>'
        for tick in range(0, int(longest) + 1, 20)
    ]
    for word, time in marks.items():
        parts.append(
            f'<path d="M{x(time)} {TOP - 12}V{HEIGHT - BOTTOM}" stroke="{GREY}" stroke-dasharray="3 3"/>'
        )
        parts.append(f'<text x="{x(time) + 4}" y="{TOP - 4}">{escape(word)}</text>')
    for number, line in enumerate(lines):
        steps = "".join(f"H{x(time)}V{y(value)}" for time, value in zip(line.times, line.values, strict=True))
        colour = COLOURS[number % len(COLOURS)]
        parts.append(
            f'<path d="M{x(line.times[0])} {y(line.values[0])}{steps}" fill="none" stroke="{colour}" '
            f'stroke-width="{3 - number}"/>'
        )
        parts.append(
            f'<text x="{LEFT + 160 * number}" y="{HEIGHT - 6}" fill="{colour}">{escape(line.name)}</text>'
        )
    return "".join([*parts, "</svg>\n"])
