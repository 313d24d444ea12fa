"""Which frames are sampled: the rule, against one that looks at every frame for every grid time."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.errors import InvalidOption
from pipelines.video.sampling import Grid, Sampling, sampled_indices, timestamp

time_bases = st.sampled_from(
    [Fraction(1, 1000), Fraction(1, 90_000), Fraction(1001, 30_000), Fraction(1, 15_360)]
)
videos = st.lists(st.integers(1, 400), min_size=1, max_size=60)
samplings = st.builds(
    lambda rate, start, length: Sampling(
        rate, start / 1000, None if length is None else (start + length) / 1000
    ),
    st.integers(1, 30),
    st.integers(0, 3000),
    st.none() | st.integers(1, 5000),
)


def by_looking(shown: list[int], end: int, sampling: Sampling, base: Fraction, origin: int) -> list[int]:
    """Return the sampled frames by asking, for each grid time, which frame is on screen."""
    found: list[int] = []
    start = Fraction(round(sampling.start_s * 1000), 1000)
    time, k = start, 0
    while time < (end - origin) * base:
        if sampling.end_s is not None and time >= Fraction(round(sampling.end_s * 1000), 1000):
            break
        on_screen = [index for index, tick in enumerate(shown) if (tick - origin) * base <= time]
        if on_screen and on_screen[-1] not in found:
            found.append(on_screen[-1])
        k += 1
        time = start + Fraction(k, sampling.rate)
    return found


@given(videos, samplings, time_bases, st.integers(-500, 500), st.integers(0, 300))
def test_samples_what_is_on_screen(
    steps: list[int], sampling: Sampling, base: Fraction, first: int, late: int
) -> None:
    """The frames on screen at the grid times are sampled, each once, whatever the clock and the steps."""
    shown = [first + sum(steps[:index]) for index in range(len(steps))]
    end, origin = first + sum(steps), first - late
    grid = Grid(sampling, base, origin)
    assert sampled_indices(shown, end, grid) == by_looking(shown, end, sampling, base, origin)


@given(videos, samplings, time_bases)
def test_frame_by_frame_equals_all_at_once(steps: list[int], sampling: Sampling, base: Fraction) -> None:
    """Asking of each frame whether it is sampled gives what asking for all samples gives."""
    shown = [sum(steps[:index]) for index in range(len(steps) + 1)]
    grid = Grid(sampling, base, 0)
    one_by_one = [
        index for index in range(len(steps)) if grid.samples_between(shown[index], shown[index + 1])
    ]
    assert one_by_one == sampled_indices(shown[:-1], shown[-1], grid)


def test_decimal_times_are_meant_as_written() -> None:
    """0.7 seconds is the time of frame 21 at 30 a second, although 0.7 as a float is a little less."""
    grid = Grid(Sampling(1, 0.7), Fraction(1, 30), 0)
    assert sampled_indices(list(range(30)), 30, grid) == [21]


def test_a_frame_already_on_screen_is_reported_at_the_start() -> None:
    """A slide that stands from 0 to 10 s is sampled at a start of 4 s, and said to be seen there."""
    grid = Grid(Sampling(2, 4.0, 8.0), Fraction(1, 1000), 0)
    assert sampled_indices([0, 10_000], 20_000, grid) == [0]
    assert timestamp(0, 0, Fraction(1, 1000), 4.0) == 4.0


@pytest.mark.parametrize(
    ("rate", "start", "end"),
    [(0, 0, None), (31, 0, None), (2, -1, None), (2, float("nan"), None), (2, 5, 5), (2, 0, float("inf"))],
)
def test_refuses_what_makes_no_sense(rate: int, start: float, end: float | None) -> None:
    """A rate or a time outside its range is the caller's mistake."""
    with pytest.raises(InvalidOption):
        Sampling(rate, start, end)
