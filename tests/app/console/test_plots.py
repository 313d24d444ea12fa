"""Numbers become shapes within their box."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.console.plots import HEIGHT, WIDTH, Series, lines, nice_top, stacked_bars
from app.console.shown import milliseconds, seconds, short_count, size

TIMES = [datetime(2026, 1, 1, tzinfo=timezone.utc) + timedelta(minutes=minute) for minute in range(6)]
NUMBERS = st.lists(st.integers(0, 10**9), min_size=6, max_size=6)


@given(NUMBERS, NUMBERS)
def test_bars_stay_in_the_box_and_stand_on_each_other(first: list[int], second: list[int]) -> None:
    """No bar leaves the box, and the heights are to each other as the numbers are."""
    plot = stacked_bars(TIMES, [Series("a", 1, first), Series("b", 2, second)], short_count)
    for bar in plot.bars:
        assert -0.01 <= bar.y <= bar.y + bar.height <= HEIGHT + 0.02
        assert 0 <= bar.x <= bar.x + bar.width <= WIDTH + 0.01
    top = nice_top(max(a + b for a, b in zip(first, second, strict=True)))
    drawn = sum(bar.height for bar in plot.bars)
    assert drawn == pytest.approx((sum(first) + sum(second)) / top * HEIGHT, abs=0.2)
    assert plot.is_empty == (sum(first) + sum(second) == 0)


def test_lines_have_gaps_where_nothing_is_known() -> None:
    """Two runs of numbers are two lines; a number alone is long enough to be seen."""
    plot = lines(TIMES, [Series("a", 1, [1.0, 2.0, None, None, 4.0, None])], short_count)
    assert [len(line.points.split()) for line in plot.lines] == [2, 2]
    assert plot.told["series"][0]["shown"] == ["1", "2", "\u2013", "\u2013", "4", "\u2013"]


@given(st.floats(1e-3, 1e12))
def test_tops_are_near_and_not_below(highest: float) -> None:
    """A plot is never higher than twice what is in it, and nothing sticks out."""
    assert highest * 0.999 <= nice_top(highest) <= highest * 2.001


def test_nothing_at_all_is_a_plot_as_well() -> None:
    """A service that was never asked has plots with a floor and a top."""
    plot = stacked_bars(TIMES, [Series("a", 1, [0] * 6)], short_count)
    assert plot.is_empty
    assert plot.marks[0] == "1"


@pytest.mark.parametrize(
    ("shown", "text"),
    [
        (size(0), "0\u00a0B"),
        (size(999), "999\u00a0B"),
        (size(129_300), "129\u00a0kB"),
        (size(50_000_000), "50\u00a0MB"),
        (size(None), "\u2013"),
        (short_count(12_400), "12.4k"),
        (milliseconds(9.541), "9.54 ms"),
        (milliseconds(2500), "2.50 s"),
        (seconds(75), "1 min 15 s"),
        (seconds(3700), "1 h 1 min"),
    ],
)
def test_values_are_said_as_people_say_them(shown: str, text: str) -> None:
    """Sizes, counts and times have units that fit."""
    assert shown == text
