"""Scores: what a cosine means, the same for every network."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.similarity import SAME_PERSON, Calibration

COSINES = (0.21, 0.30, 0.37, 0.42, 0.47)


def calibration(cosines: tuple[float, ...] = COSINES) -> Calibration:
    """Return a network's figures."""
    return Calibration(cosines, 0.99, 0.98, 10, 100, 1000, "made up")


def test_the_threshold_scores_seventy() -> None:
    """The cosine that one stranger in a thousand reaches is the same-person score."""
    assert calibration().score(calibration().threshold) == pytest.approx(SAME_PERSON)
    assert calibration().threshold == 0.37


@given(st.floats(-1, 1), st.floats(-1, 1))
def test_scores_grow_within_zero_and_one(one: float, other: float) -> None:
    """A higher cosine never scores less, and no score is out of range."""
    low, high = sorted((one, other))
    scores = calibration().scores(np.array([low, high]))
    assert 0 <= scores[0] <= scores[1] <= 1


def test_the_ends_are_the_ends() -> None:
    """Opposite vectors score nothing, equal ones everything; rounding beyond one does not matter."""
    assert calibration().score(-1) == 0
    assert calibration().score(1) == 1
    assert calibration().score(1.0001) == 1


@pytest.mark.parametrize("cosines", [COSINES[:-1], COSINES[::-1], (*COSINES[:-1], 1.0), (float("nan"),) * 5])
def test_points_that_make_no_line_are_refused(cosines: tuple[float, ...]) -> None:
    """Figures that do not grow, or are too few, are a mistake and not a calibration."""
    with pytest.raises(ValueError, match="grow"):
        calibration(cosines)
