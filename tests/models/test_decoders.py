"""Decoding on made-up outputs whose answers are known."""

from __future__ import annotations

import numpy as np
import pytest

from models.anchor_levels import cell_corners, recognise_levels
from models.centerface import CenterfaceDecoder
from models.errors import BadWeights
from models.scrfd import ScrfdDecoder
from models.yunet import YunetDecoder

Floats = np.ndarray[tuple[int, ...], np.dtype[np.float32]]

HEIGHT, WIDTH = 64, 96
#: Row of the cell in the second row and fourth column of stride 16, where every test puts its face.
CELL, CORNER = 1 * (WIDTH // 16) + 3, (48.0, 16.0)


def levels(anchors: int, kinds: tuple[int, ...], background: float = 0.0) -> list[Floats]:
    """Return outputs of nothing: for each kind (values in a row) the three levels."""
    return [
        np.full((1, anchors * (HEIGHT // stride) * (WIDTH // stride), values), background, np.float32)
        for values in kinds
        for stride in (8, 16, 32)
    ]


@pytest.mark.parametrize("shuffled", [False, True], ids=["in-order", "shuffled"])
def test_scrfd_boxes_and_points(shuffled: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """Distances and offsets are in strides from the cell's corner, in any order of the outputs."""
    outputs = levels(2, (1, 4, 10))
    row = 2 * CELL + 1
    outputs[1][0, row] = 0.75
    outputs[4][0, row] = (1, 0.5, 2, 1.5)
    outputs[7][0, row] = (0, 0, 1, 0, 0.5, 0.5, 0, 1, 1, 1)
    if shuffled:
        outputs = [outputs[position] for position in (7, 4, 1, 0, 8, 3, 2, 6, 5)]
    decoder = ScrfdDecoder.recognise(outputs, (HEIGHT, WIDTH))
    faces = decoder.decode([output[0] for output in outputs], (HEIGHT, WIDTH), 0.75)
    x, y = CORNER
    assert faces.scores.tolist() == [0.75]
    assert faces.boxes.tolist() == [[x - 16, y - 8, x + 32, y + 24]]
    assert faces.points is not None
    assert faces.points[0].tolist() == [[x, y], [x + 16, y], [x + 8, y + 8], [x, y + 16], [x + 16, y + 16]]
    assert len(decoder.decode(outputs, (HEIGHT, WIDTH), 0.76)) == 0


def test_scrfd_without_points() -> None:
    """Six outputs are a detector without points, and its faces have none."""
    outputs = levels(2, (1, 4))
    outputs[2][0, 0] = 0.9
    decoder = ScrfdDecoder.recognise(outputs, (HEIGHT, WIDTH))
    assert not decoder.has_points
    faces = decoder.decode(outputs, (HEIGHT, WIDTH), 0.5)
    assert faces.points is None
    assert len(faces) == 1


def test_scrfd_logits() -> None:
    """Scores beyond 0..1 are logits: the threshold and the answer are probabilities all the same."""
    outputs = levels(2, (1, 4, 10), background=-5.0)
    outputs[0][0, 10] = np.log(0.8 / 0.2)
    decoder = ScrfdDecoder.recognise(outputs, (HEIGHT, WIDTH))
    faces = decoder.decode(outputs, (HEIGHT, WIDTH), 0.79)
    np.testing.assert_allclose(faces.scores, [0.8], atol=1e-6)
    assert len(decoder.decode(outputs, (HEIGHT, WIDTH), 0.81)) == 0


def test_what_is_returned_is_not_the_networks_array() -> None:
    """Outputs are overwritten by the next run; faces must not change with them."""
    outputs = levels(2, (1, 4, 10))
    outputs[0][0, 3] = 0.9
    decoder = ScrfdDecoder.recognise(outputs, (HEIGHT, WIDTH))
    faces = decoder.decode(outputs, (HEIGHT, WIDTH), 0.5)
    for array in (faces.scores, faces.boxes, faces.points):
        assert array is not None
        assert not any(np.shares_memory(array, output) for output in outputs)


def test_yunet_box_score_and_points() -> None:
    """The score is the root of class times objectness; centres are in cells, sizes are exponents."""
    outputs = levels(1, (1, 1, 4, 10))
    outputs[1][0, CELL], outputs[4][0, CELL] = 0.5, 0.98
    outputs[7][0, CELL] = (0.5, 0.25, np.log(2), 0)
    outputs[10][0, CELL] = (0, 0, 1, 0, 0.5, 0.5, 0, 1, 1, 1)
    faces = YunetDecoder.recognise(outputs, (HEIGHT, WIDTH)).decode(outputs, (HEIGHT, WIDTH), 0.6)
    x, y = CORNER
    np.testing.assert_allclose(faces.scores, [0.7], atol=1e-6)
    np.testing.assert_allclose(faces.boxes, [[x + 8 - 16, y + 4 - 8, x + 8 + 16, y + 4 + 8]], atol=1e-4)
    assert faces.points is not None
    assert faces.points[0].tolist() == [[x, y], [x + 16, y], [x + 8, y + 8], [x, y + 16], [x + 16, y + 16]]


def test_centerface_box_and_points() -> None:
    """Maps hold y before x; points are parts of the box, from its corner."""
    rows, columns = HEIGHT // 4, WIDTH // 4
    heat, sizes, offsets, points = (
        np.zeros((1, values, rows, columns), np.float32) for values in (1, 2, 2, 10)
    )
    heat[0, 0, 5, 9] = 0.8
    sizes[0, :, 5, 9] = (np.log(6), np.log(4))
    offsets[0, :, 5, 9] = (0.25, -0.25)
    points[0, :, 5, 9] = (0.25, 0.0, 0.25, 1.0, 0.5, 0.5, 1.0, 0.0, 1.0, 1.0)
    outputs = [heat, sizes, offsets, points]
    decoder = CenterfaceDecoder.recognise(outputs, (HEIGHT, WIDTH))
    faces = decoder.decode([output[0] for output in outputs], (HEIGHT, WIDTH), 0.5)
    centre_x, centre_y = (9 + 0.5 - 0.25) * 4, (5 + 0.5 + 0.25) * 4
    left, top = centre_x - 8, centre_y - 12
    np.testing.assert_allclose(faces.boxes, [[left, top, left + 16, top + 24]], atol=1e-4)
    assert faces.points is not None
    np.testing.assert_allclose(faces.points[0, 0], [left, top + 6], atol=1e-4)
    np.testing.assert_allclose(faces.points[0, 1], [left + 16, top + 6], atol=1e-4)
    np.testing.assert_allclose(faces.points[0, 4], [left + 16, top + 24], atol=1e-4)


def test_cells_are_row_by_row_and_each_as_often_as_it_has_anchors() -> None:
    """The corner of cell (row, column) is (column, row) times the stride."""
    assert cell_corners(2, 2, 8, 2).tolist() == [
        [0, 0], [0, 0], [8, 0], [8, 0], [0, 8], [0, 8], [8, 8], [8, 8],
    ]  # fmt: skip


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda outputs: outputs[:8], id="one-missing"),
        pytest.param(lambda outputs: [*outputs, outputs[0]], id="one-twice"),
        pytest.param(lambda outputs: [output[:, ::2] for output in outputs], id="one-anchor"),
        pytest.param(lambda outputs: [output[..., None] for output in outputs], id="other-rank"),
    ],
)
def test_other_networks_are_refused(change: object) -> None:
    """Outputs that are not of such a detector are named, not guessed at."""
    assert callable(change)
    shapes = [output.shape for output in change(levels(2, (1, 4, 10)))]
    with pytest.raises(BadWeights):
        recognise_levels(shapes, (HEIGHT, WIDTH), 2, score_outputs=1)


def test_centerface_refuses_other_networks() -> None:
    """A file that is listed as CenterFace and answers otherwise is refused."""
    with pytest.raises(BadWeights, match="CenterFace"):
        CenterfaceDecoder.recognise(levels(2, (1, 4)), (HEIGHT, WIDTH))
