"""Plots as SVG, for pages that open without a network: bars and lines, with axes and values to hover."""

from __future__ import annotations

import math
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

WIDTH, HEIGHT = 640, 260
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 12, 12, 40
_MOST_LABELS = 12
_TICKS = 4


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar: what it is of, how high it is, and what is told when somebody points at it."""

    label: str
    value: float
    hint: str = ""


def bars(data: Sequence[Bar], x_title: str, y_title: str) -> str:
    """Return bars beside each other; a line of text where there are none."""
    if not data:
        return '<p class="none">Nothing to show.</p>'
    top = nice_top(max(bar.value for bar in data))
    step = (WIDTH - _LEFT - _RIGHT) / len(data)
    every = math.ceil(len(data) / _MOST_LABELS)
    pieces = []
    for number, bar in enumerate(data):
        height = _height(bar.value, top)
        x, y = _LEFT + number * step, HEIGHT - _BOTTOM - height
        gap = min(2.0, step / 5)
        hint = escape(bar.hint or f"{bar.label}: {bar.value:,.6g}")
        pieces.append(
            f'<rect class="bar" x="{x + gap / 2:.1f}" y="{y:.1f}" width="{max(step - gap, 0.5):.1f}" '
            f'height="{height:.1f}"><title>{hint}</title></rect>'
        )
        if number % every == 0:
            pieces.append(_label(x + step / 2, bar.label))
    return _framed("".join(pieces), top, x_title, y_title)


def line(points: Sequence[tuple[float, float]], labels: Sequence[str], x_title: str, y_title: str) -> str:
    """Return a line through points.

    Args:
        points: from left to right; x from 0 to 1.
        labels: below the axis, at even distances.
        x_title: what x is.
        y_title: what y is.
    """
    if not points:
        return '<p class="none">Nothing to show.</p>'
    top = nice_top(max(y for _, y in points))
    width = WIDTH - _LEFT - _RIGHT
    path = " ".join(f"{_LEFT + x * width:.1f},{HEIGHT - _BOTTOM - _height(y, top):.1f}" for x, y in points)
    count = max(1, len(labels) - 1)
    below = "".join(_label(_LEFT + number / count * width, text) for number, text in enumerate(labels))
    return _framed(f'<polyline class="line" points="{path}"/>{below}', top, x_title, y_title)


def nice_top(highest: float) -> float:
    """Return a round number that is no lower."""
    if highest <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(highest))
    return next(factor * power for factor in (1, 2, 2.5, 4, 5, 8, 10) if factor * power >= highest * 0.999)


def _height(value: float, top: float) -> float:
    return value / top * (HEIGHT - _TOP - _BOTTOM)


def _label(x: float, text: str) -> str:
    y = HEIGHT - _BOTTOM + 14
    anchor = "end" if x >= WIDTH - _RIGHT - 1 else "middle"  # the last one would be cut off
    return f'<text class="tick" x="{x:.1f}" y="{y}" text-anchor="{anchor}">{escape(text)}</text>'


def _framed(inner: str, top: float, x_title: str, y_title: str) -> str:
    lines = []
    for number in range(_TICKS + 1):
        value = top * number / _TICKS
        y = HEIGHT - _BOTTOM - _height(value, top)
        lines.append(f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        lines.append(
            f'<text class="tick" x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{value:,.4g}</text>'
        )
    middle = (HEIGHT - _BOTTOM + _TOP) / 2
    titles = (
        f'<text class="axis" x="{(WIDTH + _LEFT - _RIGHT) / 2}" y="{HEIGHT - 6}" '
        f'text-anchor="middle">{escape(x_title)}</text>'
        f'<text class="axis" x="12" y="{middle}" text-anchor="middle" '
        f'transform="rotate(-90 12 {middle})">{escape(y_title)}</text>'
    )
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(y_title)} by {escape(x_title)}">'
        f"{''.join(lines)}{inner}{titles}</svg>"
    )
