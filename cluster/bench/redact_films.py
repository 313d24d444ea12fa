"""Films of 1080p whose faces are known in every frame: one that moves much, a crowd, heads that turn away.

A film is a function from a frame's number to its picture and the boxes of the faces to be seen in it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, cast

import av
import cv2
import numpy as np

from cluster.bench.turned_faces import mesh_of, rotation, solid_of, turned

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from av.video.stream import VideoStream
    from numpy.typing import NDArray

    from cluster.bench.turned_faces import Solid
    from pipelines.faces import Faces
    from pipelines.ports import CropNetwork

    Pixels = NDArray[np.uint8]
    Box = tuple[int, int, int, int]
    Film = Callable[[int], tuple[Pixels, list[Box]]]

SIZE, RATE = (1920, 1080), 30
MIN_SIDE = 24
#: People of a crowd, widths of their faces, and how much of a face others may cover.
_CROWD, _WIDTHS, _COVERED = 28, (26, 64), 0.1
#: Degrees to which heads turn, and between those that are drawn.
_FARTHEST, _STEP = 85, 5
_HEAD_SIDE, _MESH = 320, 468
#: Of a turned head's picture this share of the side is the face's height.
_FACE_SHARE = 0.45


@dataclass(frozen=True, slots=True)
class Motion:
    """How the face moves, in rounds per film: sideways, up and down, nearer; and where it begins."""

    rounds: tuple[float, float, float] = (2.5, 4.0, 3.0)
    begins: tuple[float, float, float] = (0.0, 0.25, 0.0)

    @classmethod
    def of(cls, seed: int) -> Motion:
        """Return the motion of a seed; 0 is that of the first film that was measured."""
        if seed == 0:
            return cls()
        rng = np.random.default_rng(seed)
        across, down, nearer = rng.uniform((1, 1, 1), (3, 4, 4)).tolist()
        first, second, third = rng.uniform(0, 1, 3).tolist()
        return cls((across, down, nearer), (first, second, third))

    def at(self, part: float) -> tuple[float, float, float]:
        """Return three numbers from -1 to 1 at a part of the film."""
        angles = (np.array(self.rounds) * part + self.begins) * 2 * np.pi
        across, down, nearer = np.sin(angles).tolist()
        return across, down, nearer


def render(path: Path, film: Film, frames: int, seed: int = 0) -> list[list[Box]]:
    """Write a film with a camera's grain, and return the known faces of each frame."""
    rng = np.random.default_rng(seed)
    grain = [rng.normal(0, 3, (SIZE[1], SIZE[0], 1)).astype(np.int16) for _ in range(4)]
    known: list[list[Box]] = []
    with av.open(str(path), "w") as container:
        stream = cast(
            "VideoStream", container.add_stream("libx264", rate=RATE, options={"crf": "18", "g": "60"})
        )
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        for index in range(frames):
            picture, boxes = film(index)
            known.append(boxes)
            noisy = np.clip(picture + grain[index % 4], 0, 255).astype(np.uint8)
            frame = av.VideoFrame.from_ndarray(noisy, format="bgr24")
            frame.pts, frame.time_base = index, Fraction(1, RATE)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return known


def _backdrop(rng: np.random.Generator) -> Pixels:
    noise = cv2.GaussianBlur(rng.integers(0, 255, (SIZE[1], SIZE[0], 3), np.uint8), (0, 0), 9)
    return cast("Pixels", cv2.normalize(noise, None, 20, 230, cv2.NORM_MINMAX))  # type: ignore[call-overload] # None allocates


def _is_inside(box: Box) -> bool:
    return box[0] >= 0 and box[1] >= 0 and box[2] <= SIZE[0] and box[3] <= SIZE[1]


def _lay(picture: Pixels, piece: Pixels, left: int, top: int) -> None:
    """Draw a piece where it is, as far as that is within the picture."""
    height, width = piece.shape[:2]
    x, y = max(0, left), max(0, top)
    right, bottom = min(SIZE[0], left + width), min(SIZE[1], top + height)
    if right > x and bottom > y:
        picture[y:bottom, x:right] = piece[y - top : bottom - top, x - left : right - left]


# --- one face that moves much -------------------------------------------------------------------------------


def moving(face: Pixels, box: Box, frames: int, seed: int) -> Film:
    """One face over two scenes: large, small, blurred, hidden by a bar, leaving and returning."""
    rng, motion = np.random.default_rng(seed), Motion.of(seed)
    scenes = [_backdrop(rng) for _ in range(2)]

    def film(index: int) -> tuple[Pixels, list[Box]]:
        picture = scenes[index * 2 // frames].copy()
        found = _put(picture, face, box, index / frames, motion)
        return picture, [] if found is None else [found]

    return film


def _put(picture: Pixels, face: Pixels, box: Box, part: float, motion: Motion) -> Box | None:
    """Draw the face where it is at this time, and return its box unless it is hidden or outside."""
    across, down, nearer = motion.at(part)
    scale = 0.5 + 0.45 * nearer
    side = max(40, int(face.shape[0] * scale))
    small = cast("Pixels", cv2.resize(face, (side, side), interpolation=cv2.INTER_AREA))
    if int(part * 8) % 4 == 1:
        small = cast("Pixels", cv2.GaussianBlur(small, (0, 0), side / 90))
    x = int(SIZE[0] * (0.5 + 0.62 * across)) - side // 2
    y = int(SIZE[1] * (0.45 + 0.25 * down)) - side // 2
    _lay(picture, small, x, y)
    # A post in the picture's middle, behind which the face passes.
    picture[:, 900:990] = (60, 70, 80)
    ratio = side / face.shape[0]
    x1, y1, x2, y2 = (round(value * ratio) for value in box)
    found = (x + x1, y + y1, x + x2, y + y2)
    is_behind = found[0] < 990 and found[2] > 900  # noqa: PLR2004 - the post's edges
    return found if _is_inside(found) and not is_behind and min(x2 - x1, y2 - y1) >= MIN_SIDE else None


# --- a crowd ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Walker:
    """Somebody of a crowd: a piece of a photo, the face in it, where it begins, and pixels a second."""

    piece: Pixels
    face: Box
    start: tuple[float, float]
    speed: float

    def place(self, index: int) -> tuple[int, int]:
        """Return the left and top of the piece in a frame."""
        reach = SIZE[0] + self.piece.shape[1]
        x = (self.start[0] + self.speed * index / RATE) % reach - self.piece.shape[1]
        return round(x), round(self.start[1] + 4 * math.sin(index / 5 + self.start[0]))


def crowd(photos: Sequence[tuple[Pixels, Faces]], seed: int = 0) -> Film:
    """People of several sizes who walk past, and in front of, each other."""
    rng = np.random.default_rng(seed)
    backdrop = _backdrop(rng)
    heads = [(photo, box) for photo, faces in photos for box in faces.boxes.tolist()]
    walkers = [_walker(*heads[number % len(heads)], rng) for number in range(_CROWD)]
    # Who is nearer is larger, stands in front, and is drawn last.
    walkers.sort(key=lambda each: each.face[2] - each.face[0])

    def film(index: int) -> tuple[Pixels, list[Box]]:
        picture = backdrop.copy()
        known: list[Box] = []
        for walker in walkers:
            left, top = walker.place(index)
            height, width = walker.piece.shape[:2]
            _lay(picture, walker.piece, left, top)
            over = (left, top, left + width, top + height)
            known = [box for box in known if _shared(box, over) <= _COVERED]
            x1, y1, x2, y2 = walker.face
            face = (left + x1, top + y1, left + x2, top + y2)
            known += [face] if _is_inside(face) else []
        return picture, known

    return film


def _walker(photo: Pixels, box: Sequence[float], rng: np.random.Generator) -> _Walker:
    x1, y1, x2, y2 = box
    room_x, room_y = 0.6 * (x2 - x1), 0.5 * (y2 - y1)
    left, top = int(max(0, x1 - room_x)), int(max(0, y1 - room_y))
    piece = photo[top : int(y2 + 1.3 * room_y), left : int(x2 + room_x)]
    ratio = float(rng.uniform(*_WIDTHS)) / (x2 - x1)
    small = cast("Pixels", cv2.resize(piece, None, fx=ratio, fy=ratio, interpolation=cv2.INTER_AREA))
    face = [round((value - corner) * ratio) for value, corner in zip(box, (left, top) * 2, strict=True)]
    start = float(rng.uniform(0, SIZE[0])), float(rng.uniform(0.1, 0.8) * SIZE[1])
    speed = float(rng.uniform(40, 220) * rng.choice([-1, 1]))
    return _Walker(small, cast("Box", tuple(face)), start, speed)


def _shared(box: Box, over: Box) -> float:
    """Return which share of a box lies under another."""
    width = min(box[2], over[2]) - max(box[0], over[0])
    height = min(box[3], over[3]) - max(box[1], over[1])
    return max(0, width) * max(0, height) / ((box[2] - box[0]) * (box[3] - box[1]))


# --- heads that turn away -----------------------------------------------------------------------------------


def turning(photos: Sequence[tuple[Pixels, Faces]], mesh: CropNetwork, frames: int, seed: int = 0) -> Film:
    """Heads that turn to one profile and to the other, each at its own pace, faces 60 to 110 pixels high."""
    rng = np.random.default_rng(seed)
    backdrop = _backdrop(rng)
    heads = [
        _head(photo, faces.take(np.array([at])), mesh) for photo, faces in photos for at in range(len(faces))
    ]
    sides = rng.uniform(140, 250, len(heads)).astype(int).tolist()
    paces = rng.uniform(3, 6, len(heads))
    begins = rng.uniform(0, 2 * math.pi, len(heads))
    columns = -(-len(heads) // 2)

    def film(index: int) -> tuple[Pixels, list[Box]]:
        picture = backdrop.copy()
        known = []
        for number, views in enumerate(heads):
            angle = _FARTHEST * math.sin(begins[number] + 2 * math.pi * index / RATE / paces[number])
            view, box = views[round(angle / _STEP) * _STEP]
            side = sides[number]
            left = (number % columns) * (SIZE[0] - 300) // columns + 60 + 150 * index // frames
            top = 120 + (number // columns) * 480
            _lay(
                picture,
                cast("Pixels", cv2.resize(view, (side, side), interpolation=cv2.INTER_AREA)),
                left,
                top,
            )
            x1, y1, x2, y2 = (round(value * side / _HEAD_SIDE) for value in box)
            known.append((left + x1, top + y1, left + x2, top + y2))
        return picture, known

    return film


def _head(photo: Pixels, face: Faces, mesh: CropNetwork) -> dict[int, tuple[Pixels, Box]]:
    """Return a head's views by degrees, each with the box of its face."""
    assert face.points is not None  # noqa: S101 - narrows the type: the detector of the bench gives them
    solid = solid_of(photo, mesh_of(mesh, photo, face.boxes, face.points))
    views = {}
    for degrees in range(-_FARTHEST, _FARTHEST + 1, _STEP):
        turn = rotation(degrees, 0, 0)
        views[degrees] = turned(solid, turn, _HEAD_SIDE), _face_of(solid, turn)
    return views


def _face_of(solid: Solid, turn: NDArray[np.float64]) -> Box:
    """Return the box of the face in the picture of a turned head."""
    scale = _FACE_SHARE * _HEAD_SIDE / np.ptp(solid.vertices[:_MESH, 1])
    spots = (solid.vertices[:_MESH] @ turn.T * scale)[:, :2] + _HEAD_SIDE / 2
    return cast("Box", tuple(np.round([*spots.min(axis=0), *spots.max(axis=0)]).astype(int).tolist()))
