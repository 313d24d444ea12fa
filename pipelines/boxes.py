"""Boxes: overlap, non-maximum suppression, order, growth, clipping. Corners are x1, y1, x2, y2 in pixels.

Areas count pixels, so a box from 10 to 10 is one pixel wide: the SCRFD reference counts so, and its
results are to be met exactly. On faces of real size the difference to plain areas is nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pipelines.faces import Faces


def areas(boxes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return each box's area in pixels, [N]; zero for a box turned inside out."""
    sides = np.maximum(boxes[:, 2:] - boxes[:, :2] + np.float32(1), np.float32(0))
    return np.asarray(sides[:, 0] * sides[:, 1], np.float32)


def iou(one: NDArray[np.float32], many: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return how much one box [4] overlaps each of many [N, 4]: intersection over union, 0..1."""
    corners = np.concatenate([np.maximum(one[:2], many[:, :2]), np.minimum(one[2:], many[:, 2:])], axis=1)
    shared = areas(corners)
    union = areas(one[None])[0] + areas(many) - shared
    return np.asarray(shared / np.maximum(union, np.float32(1e-9)), np.float32)


def suppress(faces: Faces, threshold: float) -> Faces:
    """Drop every face that overlaps a better one by more than the threshold; best first.

    Greedy, and stable: of two equal scores the one that came first wins.
    """
    order = np.argsort(-faces.scores, kind="stable")
    x1, y1, x2, y2 = np.ascontiguousarray(faces.boxes[order].T)
    size = (x2 - x1 + 1) * (y2 - y1 + 1)
    left = np.arange(len(order))
    kept: list[int] = []
    while left.size:
        best, left = left[0], left[1:]
        kept.append(int(best))
        width = np.minimum(x2[best], x2[left]) - np.maximum(x1[best], x1[left]) + 1
        height = np.minimum(y2[best], y2[left]) - np.maximum(y1[best], y1[left]) + 1
        shared = np.maximum(width, 0) * np.maximum(height, 0)
        left = left[shared <= threshold * (size[best] + size[left] - shared)]
    return faces.take(order[kept])


def best(faces: Faces, max_faces: int) -> Faces:
    """Return the first `max_faces` of faces ordered best first; 0 means all."""
    return faces.take(np.arange(max_faces)) if 0 < max_faces < len(faces) else faces


def grow(boxes: NDArray[np.float32], padding: float) -> NDArray[np.float32]:
    """Return boxes that reach further out by `padding` of their own width and height on each side."""
    margin = (boxes[:, 2:] - boxes[:, :2]) * np.float32(padding)
    return np.concatenate([boxes[:, :2] - margin, boxes[:, 2:] + margin], axis=1)


def pixel_regions(boxes: NDArray[np.float32], width: int, height: int) -> list[tuple[int, int, int, int]]:
    """Return the boxes as whole pixels inside a width x height picture, end-exclusive, rounded outwards.

    Boxes that lie outside, are empty or are not numbers are left out.
    """
    boxes = boxes[np.isfinite(boxes).all(axis=1)]
    low = np.floor(np.clip(boxes[:, :2], 0, (width, height)))
    high = np.ceil(np.clip(boxes[:, 2:], 0, (width, height)))
    corners = np.concatenate([low, high], axis=1).astype(int).tolist()
    return [(x1, y1, x2, y2) for x1, y1, x2, y2 in corners if x2 > x1 and y2 > y1]
