"""How values are shown: sizes, numbers, shares. Times are written by a macro, in the viewer's zone."""

from __future__ import annotations

import json
from enum import Enum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

NOTHING: Final = "\u2013"
_STEP = 1000
_WHOLE_FROM = 100
_TENTHS_FROM = 10
_SECOND_MS = 1000
_MINUTE_S = 60
_HOUR_S = 3600


def size(count: float | None) -> str:
    """Return a number of bytes as people say it."""
    if count is None:
        return NOTHING
    value, unit = float(count), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if value < _STEP:
            break
        value, unit = value / _STEP, larger
    return f"{_short(value) if unit != 'B' else int(value)}\u00a0{unit}"


def count(number: float | None) -> str:
    """Return a whole number with its thousands apart."""
    return NOTHING if number is None else f"{number:,.0f}".replace(",", "\u202f")


def short_count(number: float) -> str:
    """Return a number in little room: 12.4k."""
    value, unit = float(number), ""
    for larger in ("k", "M", "G"):
        if value < _STEP:
            break
        value, unit = value / _STEP, larger
    return f"{_short(value)}{unit}"


def milliseconds(value: float | None) -> str:
    """Return a time that was measured in milliseconds."""
    if value is None:
        return NOTHING
    return f"{value / _SECOND_MS:.2f} s" if value >= _SECOND_MS else f"{_short(value)} ms"


def seconds(value: float | None) -> str:
    """Return a length of time."""
    if value is None:
        return NOTHING
    if value < _MINUTE_S:
        return f"{_short(value)} s"
    if value < _HOUR_S:
        return f"{int(value // _MINUTE_S)} min {int(value % _MINUTE_S)} s"
    return f"{int(value // _HOUR_S)} h {int(value % _HOUR_S // _MINUTE_S)} min"


def share(part: float, digits: int = 0) -> str:
    """Return a fraction in per cent."""
    return f"{part * 100:.{digits}f} %"


def plain(value: object) -> str:
    """Return an option as people say it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, list | tuple):
        return ", ".join(str(each) for each in value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def as_json(value: object) -> str:
    """Return a value as people read JSON."""
    return json.dumps(value, indent=2, ensure_ascii=False, default=str)


def compact_json(value: object) -> str:
    """Return a value as JSON on one line, for scripts."""
    return json.dumps(value, ensure_ascii=False, default=str, separators=(",", ":"))


def _short(value: float) -> str:
    if value >= _WHOLE_FROM or value == int(value):
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= _TENTHS_FROM else f"{value:.2f}".rstrip("0").rstrip(".")


FILTERS: Final[Mapping[str, Callable[..., str]]] = {
    "size": size,
    "count": count,
    "short_count": short_count,
    "ms": milliseconds,
    "seconds": seconds,
    "share": share,
    "plain": plain,
    "as_json": as_json,
    "compact_json": compact_json,
}
