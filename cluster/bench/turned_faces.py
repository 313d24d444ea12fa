"""Turns the face of a photo in space: the ground truth for head poses, where no camera can give one.

    mesh of a frontal face + rings around it -> triangles -> rotated -> drawn with the photo's own pixels

The rings continue the head backwards, so that a turned face keeps hair and neck around it as a real one does.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from pipelines.crops import draw_crops, placements, placements_around
from pipelines.face_values import meshes_of
from pipelines.mesh import to_five_points

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pipelines.ports import CropNetwork

#: The rings: how far out they lie, and how far behind the face, as shares of the face's height.
_RINGS = ((1.15, 0.10), (1.35, 0.25), (1.7, 0.45), (2.6, 0.6))
_RING_POINTS = 32


@dataclass(frozen=True, slots=True)
class Solid:
    """A photo's face as a surface.

    Attributes:
        places: [V, 2], where each vertex lies in the photo.
        vertices: [V, 3], the same with depth, around the middle of the face; larger is further away.
        triangles: [T, 3], indices of vertices.
        photo: uint8 [H, W, 3].
    """

    places: NDArray[np.float64]
    vertices: NDArray[np.float64]
    triangles: NDArray[np.intp]
    photo: NDArray[np.uint8]


def rotation(yaw: float, pitch: float, roll: float) -> NDArray[np.float64]:
    """Return the rotation that turns a frontal face to these degrees.

    Roll is done first and yaw last. Positive values look to the picture's right, look up, and lean
    clockwise; x points right, y down, z away.
    """
    y, p, r = (math.radians(angle) for angle in (yaw, pitch, roll))
    around_y = np.array([[math.cos(y), 0, -math.sin(y)], [0, 1, 0], [math.sin(y), 0, math.cos(y)]])
    around_x = np.array([[1, 0, 0], [0, math.cos(p), math.sin(p)], [0, -math.sin(p), math.cos(p)]])
    around_z = np.array([[math.cos(r), -math.sin(r), 0], [math.sin(r), math.cos(r), 0], [0, 0, 1]])
    turned: NDArray[np.float64] = around_y @ around_x @ around_z
    return turned


def solid_of(photo: NDArray[np.uint8], mesh: NDArray[np.float32]) -> Solid:
    """Make a surface of a photo and the mesh [468, 3] of the frontal face in it."""
    inner = mesh.astype(np.float64)
    middle = (inner.min(axis=0) + inner.max(axis=0)) / 2
    tall = float(np.ptp(inner[:, 1]))
    hull = cv2.convexHull(np.ascontiguousarray(mesh[:, :2], np.float32)).reshape(-1, 2).astype(np.float64)
    depth = float(np.quantile(inner[:, 2], 0.9))
    turn = np.linspace(0, 2 * math.pi, _RING_POINTS, endpoint=False)
    ways = np.stack([np.cos(turn), np.sin(turn)], axis=1)
    reach = (np.maximum(((hull - middle[:2]) @ ways.T), 0)).max(axis=0)
    rings = [
        np.column_stack(
            [middle[:2] + ways * (reach * out)[:, None], np.full(_RING_POINTS, depth + back * tall)]
        )
        for out, back in _RINGS
    ]
    vertices = np.concatenate([inner, *rings])
    return Solid(vertices[:, :2], vertices - middle, _triangles(vertices[:, :2]), photo)


def mesh_of(
    network: CropNetwork, photo: NDArray[np.uint8], boxes: NDArray[np.float32], points: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return the mesh of the one face of a photo as it is read, [468, 3] in pixels of the photo."""
    recipe = network.spec.crops[0]
    first = placements(recipe, boxes, points)
    found, _presences = meshes_of(network.answer(draw_crops(photo, first, recipe.size)), first)
    five = to_five_points(found)
    again = np.concatenate([placements_around(closer, found, five) for closer in network.spec.again])
    meshes, _presences = meshes_of(network.answer(draw_crops(photo, again, recipe.size)), again)
    return np.asarray(meshes.mean(axis=0), np.float32)


def turned(solid: Solid, turn: NDArray[np.float64], side: int = 400) -> NDArray[np.uint8]:
    """Draw the face after a rotation, uint8 [side, side, 3]; nearer triangles cover the others."""
    scale = 0.45 * side / np.ptp(solid.vertices[:468, 1])
    seen = solid.vertices @ turn.T * scale
    spots = seen[:, :2] + side / 2
    picture = np.full((side, side, 3), 96, np.uint8)
    order = np.argsort(-seen[solid.triangles, 2].mean(axis=1))
    shrunk = solid.photo
    for corners in solid.triangles[order]:
        _draw(picture, shrunk, solid.places[corners], spots[corners])
    return picture


def _triangles(places: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return the Delaunay triangles of the places."""
    low = places.min(axis=0) - 10
    width, height = (np.ptp(places, axis=0) + 20).astype(int) + 1
    mesh = cv2.Subdiv2D((0, 0, int(width), int(height)))
    shifted = (places - low).astype(np.float32)
    known = {}
    for index, (x, y) in enumerate(shifted):
        known[mesh.insert((float(x), float(y)))] = index
    found = []
    for ax, ay, bx, by, cx, cy in mesh.getTriangleList():
        corners = []
        for x, y in ((ax, ay), (bx, by), (cx, cy)):
            _kind, _edge, vertex = mesh.locate((float(x), float(y)))
            if vertex in known:
                corners.append(known[vertex])
        if len(corners) == 3:  # noqa: PLR2004 - a triangle
            found.append(corners)
    return np.array(found, np.intp)


def _draw(
    picture: NDArray[np.uint8],
    photo: NDArray[np.uint8],
    source: NDArray[np.float64],
    target: NDArray[np.float64],
) -> None:
    """Draw one triangle of the photo where its corners have gone."""
    low = np.maximum(np.floor(target.min(axis=0)).astype(int), 0)
    high = np.minimum(np.ceil(target.max(axis=0)).astype(int) + 1, picture.shape[1::-1])
    if (high <= low).any():
        return
    width, height = (int(side) for side in high - low)
    matrix = cv2.getAffineTransform(source.astype(np.float32), (target - low).astype(np.float32))
    piece = cv2.warpAffine(photo, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)
    inside = np.zeros((height, width), np.uint8)
    cv2.fillConvexPoly(inside, np.round((target - low) * 16).astype(np.int32), 255, shift=4)
    picture[low[1] : high[1], low[0] : high[0]][inside > 0] = piece[inside > 0]
