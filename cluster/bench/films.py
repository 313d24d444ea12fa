"""Films in which people come and go, made of pictures of known people: what is true of them is known exactly.

    pictures by person -> their faces -> appearances, two at a time -> H.264

Somebody who returns does so by another picture, taken on another day: harder than a film, where light and
age stay. A face drifts, grows and gets darker while it is seen.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Final, cast

import av
import cv2
import numpy as np

from models.calibrate import pictures_by_person
from pipelines.analyze_image import ImageAnalyzer
from pipelines.decode import decode_picture
from pipelines.errors import CallerError
from pipelines.lane import InlineDetector, ThreadLane
from pipelines.probe import probe_picture
from pipelines.results import DetectOptions

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from av.video.stream import VideoStream
    from numpy.typing import NDArray

    from pipelines.ports import DetectorNetwork

SIZE: Final = (640, 360)
FRAMES_PER_S: Final = 10
#: Seconds that somebody is seen, and that nobody is; longer than a hidden face is waited for.
SEEN_S, AWAY_S = 3.0, 2.0
#: Pixels of a face's height.
_FACE_PX: Final = 96
#: How much of a picture is shown around the face, in face heights.
_AROUND: Final = 0.6
_EVERYBODY: Final = DetectOptions(confidence=0.3)


@dataclass(frozen=True, slots=True)
class Appearance:
    """Somebody in a film.

    Attributes:
        person: who it is.
        start_s: when they come.
        end_s: when they go.
        is_left: in which half of the picture.
    """

    person: str
    start_s: float
    end_s: float
    is_left: bool

    def covers(self, at_s: float, x: float) -> bool:
        """Tell whether a face that is seen there and then is this one."""
        return self.start_s <= at_s < self.end_s and (x < SIZE[0] / 2) == self.is_left


Cast = dict[str, list["NDArray[np.uint8]"]]


def read_cast(source: Path, detector: DetectorNetwork, wanted: Iterable[str] | None = None) -> Cast:
    """Return a face with some room around it from each picture that shows one person alone.

    Args:
        source: a folder or a ZIP with a folder of pictures for each person.
        detector: who finds the faces.
        wanted: those people alone.
    """
    only = None if wanted is None else set(wanted)
    found: Cast = {}
    with ThreadLane(1) as lane:
        analyzer = ImageAnalyzer({"it": InlineDetector(detector, lane)}, "it", lane)
        for person, data in pictures_by_person(source):
            if only is not None and person not in only:
                continue
            try:
                boxes = asyncio.run(analyzer.detect(data, _EVERYBODY)).faces.boxes
            except CallerError:
                continue
            # Bystanders would be people of whom nothing is known.
            if len(boxes) == 1:
                pixels = decode_picture(data, probe_picture(data), 1)
                found.setdefault(person, []).append(_close_up(pixels, boxes[0]))
    return found


def schedule(cast: Mapping[str, Sequence[object]], seed: int) -> list[tuple[Appearance, int]]:
    """Return who appears when with which picture: all of them, two at a time, nobody beside themselves."""
    rng = np.random.default_rng(seed)
    left = [(person, number) for person, pictures in cast.items() for number in range(len(pictures))]
    rng.shuffle(left)
    shown, start = [], 0.5
    while left:
        person, number = left.pop()
        other = next((each for each in left if each[0] != person), None)
        shown.append((Appearance(person, start, start + SEEN_S, is_left=True), number))
        if other is not None:
            left.remove(other)
            shown.append((Appearance(other[0], start, start + SEEN_S, is_left=False), other[1]))
        start += SEEN_S + AWAY_S
    return shown


def render(cast: Cast, plan: Sequence[tuple[Appearance, int]], target: Path) -> Path:
    """Write the film."""
    length = max(each.end_s for each, _ in plan) + AWAY_S
    rng = np.random.default_rng(0)
    background = rng.integers(70, 110, (SIZE[1] // 8, SIZE[0] // 8, 3), np.uint8)
    wall = cv2.resize(background, SIZE, interpolation=cv2.INTER_CUBIC)
    with av.open(str(target), "w") as container:
        stream = cast_stream(container.add_stream("libx264", rate=FRAMES_PER_S))
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        for index in range(round(length * FRAMES_PER_S)):
            at = index / FRAMES_PER_S
            pixels = np.array(wall, np.uint8)
            for each, number in plan:
                if each.start_s <= at < each.end_s:
                    _draw(pixels, cast[each.person][number], each, at)
            frame = av.VideoFrame.from_ndarray(pixels, format="bgr24")
            frame.pts, frame.time_base = index, Fraction(1, FRAMES_PER_S)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return target


def cast_stream(stream: object) -> VideoStream:
    """Return a stream as what it is: PyAV's types do not know it by the codec's name."""
    return cast("VideoStream", stream)


def _close_up(pixels: NDArray[np.uint8], box: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return a face of a picture with some room around it, the face `_FACE_PX` high."""
    height, width = pixels.shape[:2]
    x1, y1, x2, y2 = box.astype(float).tolist()
    room = _AROUND * (y2 - y1)
    top, bottom = max(0, int(y1 - room)), min(height, int(y2 + room))
    left, right = max(0, int(x1 - room)), min(width, int(x2 + room))
    scale = _FACE_PX / max(y2 - y1, 1.0)
    part = np.ascontiguousarray(pixels[top:bottom, left:right])
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(part, None, fx=scale, fy=scale, interpolation=how), np.uint8)


def _draw(pixels: NDArray[np.uint8], face: NDArray[np.uint8], each: Appearance, at: float) -> None:
    gone = (at - each.start_s) / (each.end_s - each.start_s)
    scale, bright = 0.75 + 0.4 * gone, 1.1 - 0.4 * gone
    drawn = cv2.resize(face, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    drawn = cv2.convertScaleAbs(drawn, alpha=bright)
    half = SIZE[0] // 2
    drawn = drawn[: SIZE[1] - 20, : half - 20]
    height, width = drawn.shape[:2]
    x = int((half - width) * (0.2 + 0.6 * gone)) + (0 if each.is_left else half)
    y = int((SIZE[1] - height) * (0.5 + 0.3 * np.sin(6 * gone)))
    pixels[y : y + height, x : x + width] = drawn
