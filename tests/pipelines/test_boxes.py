"""Boxes: overlap, suppression, growth and clipping."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from pipelines.boxes import best, grow, iou, pixel_regions, suppress
from pipelines.faces import Faces

Boxes = NDArray[np.float32]

COORDINATE = st.floats(-50, 500, width=32)


@st.composite
def crowds(draw: st.DrawFn) -> Faces:
    """Draw faces of any size, many of which overlap, with many equal scores."""
    count = draw(st.integers(0, 40))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    corner = rng.uniform(0, 100, (count, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(0, 60, (count, 2))], axis=1)
    return Faces(boxes.astype(np.float32), (rng.integers(1, 8, count) / 8).astype(np.float32), None)


def _plainly(faces: Faces, threshold: float) -> list[int]:
    """Suppress as the SCRFD reference defines it, one pair at a time."""
    kept: list[int] = []
    for index in np.argsort(-faces.scores, kind="stable"):
        if all(_overlap(faces.boxes[other], faces.boxes[index]) <= threshold for other in kept):
            kept.append(int(index))
    return kept


def _overlap(one: Boxes, other: Boxes) -> float:
    width = max(0.0, min(one[2], other[2]) - max(one[0], other[0]) + 1)
    height = max(0.0, min(one[3], other[3]) - max(one[1], other[1]) + 1)
    sizes = [(box[2] - box[0] + 1) * (box[3] - box[1] + 1) for box in (one, other)]
    return float(width * height / (sum(sizes) - width * height))


@given(crowds(), st.sampled_from([0.0, 0.3, 0.4, 0.7, 1.0]))
def test_suppresses_as_the_reference_does(faces: Faces, threshold: float) -> None:
    """The vectorised suppression keeps what the definition keeps, in the same order."""
    kept = suppress(faces, threshold)
    expected = faces.take(np.array(_plainly(faces, threshold), np.intp))
    assert np.array_equal(kept.boxes, expected.boxes)
    assert np.array_equal(kept.scores, expected.scores)


@given(crowds())
def test_suppressing_twice_changes_nothing(faces: Faces) -> None:
    """What was kept does not overlap, so it is kept again, best first."""
    once = suppress(faces, 0.4)
    assert np.array_equal(suppress(once, 0.4).boxes, once.boxes)
    assert (np.diff(once.scores) <= 0).all()


def test_points_stay_with_their_box() -> None:
    """Points are reordered together with boxes and scores."""
    boxes = np.array([[0, 0, 9, 9], [50, 50, 59, 59]], np.float32)
    points = np.stack([np.full((5, 2), 1), np.full((5, 2), 2)]).astype(np.float32)
    kept = suppress(Faces(boxes, np.array([0.5, 0.9], np.float32), points), 0.4)
    assert kept.points is not None
    assert kept.points[:, 0, 0].tolist() == [2, 1]


@pytest.mark.parametrize(("max_faces", "count"), [(0, 3), (1, 1), (3, 3), (99, 3)])
def test_keeps_the_best(max_faces: int, count: int) -> None:
    """No limit keeps all, a limit keeps the first."""
    faces = Faces(np.zeros((3, 4), np.float32), np.array([0.9, 0.8, 0.7], np.float32), None)
    assert best(faces, max_faces).scores.tolist() == faces.scores[:count].tolist()


@given(st.tuples(COORDINATE, COORDINATE, COORDINATE, COORDINATE), crowds())
def test_overlap_is_a_share(corners: tuple[float, float, float, float], faces: Faces) -> None:
    """Overlap is from 0 to 1, and 1 with itself."""
    x1, y1, x2, y2 = corners
    box = np.array([min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)], np.float32)
    shares = iou(box, faces.boxes)
    assert ((shares >= 0) & (shares <= 1 + 1e-5)).all()
    assert iou(box, box[None])[0] == pytest.approx(1, abs=1e-5)


def test_grows_by_a_share_of_each_side() -> None:
    """A padding of a tenth moves each side out by a tenth of the width or height."""
    grown = grow(np.array([[10, 20, 110, 60]], np.float32), 0.1)
    assert grown.tolist() == [[0, 16, 120, 64]]


@given(st.lists(st.tuples(*[st.floats(width=32)] * 4), max_size=8), st.integers(1, 300), st.integers(1, 300))
def test_regions_lie_inside_the_picture(
    corners: list[tuple[float, float, float, float]], width: int, height: int
) -> None:
    """Whatever the boxes are, even not numbers, the regions are pixels of the picture."""
    boxes = np.array(corners, np.float32).reshape(-1, 4)
    for x1, y1, x2, y2 in pixel_regions(boxes, width, height):
        assert 0 <= x1 < x2 <= width
        assert 0 <= y1 < y2 <= height


def test_regions_are_rounded_outwards() -> None:
    """A pixel that is touched at all is in the region; what lies outside is left out."""
    boxes = np.array([[1.9, 2.1, 5.1, 6.0], [-9, -9, -1, -1]], np.float32)
    assert pixel_regions(boxes, 20, 20) == [(1, 2, 6, 6)]
