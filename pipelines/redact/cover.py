"""From the faces that were found to the regions that are hidden, in every frame: pure, over the whole media.

    found frames -> scenes -> tracks in each -> bridged where a face was missed -> grown at both ends
    -> smoothed, never to less than what was found -> regions by frame

A detector misses a face now and then; whoever watches the film needs one such frame only. So what counts is
the track: a face that was surely seen once is hidden wherever its track was seen at all, be it faintly, in
between, and a little before and after.

Tracks are followed forwards and backwards: where a face is missed just as another comes up beside it, one of
the two directions is misled, and what either of them says is hidden.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from pipelines.redact.leaps import leaps
from pipelines.video.records import looks_of
from pipelines.video.tracking import Tracker

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from pipelines.redact.leaps import Box

#: A face that is missed for half a second is hidden meanwhile; frames' times are uneven, hence the rest.
BRIDGE_S = 0.6
#: A face that is seen again after so long, and so near that it moved by that many of its sides at most, had
#: turned away rather than gone.
TURN_S, _NEAR = 1.6, 1.0
#: Frames before and after a track in which it is hidden as well.
GROW_FRAMES = 2
#: Sides of a face by which what is hidden grows on each side, for each second to where it was seen.
_DRIFT_PER_S = 1.0
#: Frames to either side over which edges are smoothed.
_SMOOTH = 2
#: Frames on each side of a cut that must all differ from those on the other: a flash is no cut.
_CUT_FRAMES = 3
#: Two pictures differ where their thumbnails do by so many grey levels, and follow each other so little.
_CUT_LEVELS, _CUT_ALIKE, _FLAT = 16.0, 0.5, 2.0
#: Sightings over which the speed at a track's end is taken, and by which share of its way a face may stray.
_SPEED_SIGHTINGS, _STRAY = 4, 0.35


@dataclass(frozen=True, slots=True)
class Sighting:
    """A face in a frame.

    Attributes:
        box: corners in pixels of the upright frame.
        confidence: of the detector.
        look: how it looks, as `pipelines.video.records` packs it; empty where nobody asked.
        quality: how far the look can be trusted, 0..1.
    """

    box: tuple[float, float, float, float]
    confidence: float
    look: bytes = field(default=b"", repr=False)
    quality: float = 0.0


@dataclass(frozen=True, slots=True)
class FoundFrame:
    """A frame that was looked at.

    Attributes:
        index: its place among all frames.
        faces: what was found, also what is less sure than was asked for.
        look: a thumbnail in grey, by which cuts are told; empty where there is none.
    """

    index: int
    faces: tuple[Sighting, ...]
    look: bytes = b""


@dataclass(frozen=True, slots=True)
class Region:
    """A part of a frame that is hidden, and the number of the track that it belongs to."""

    box: tuple[float, float, float, float]
    track: int


@dataclass(frozen=True, slots=True)
class CoverOptions:
    """How regions come from faces.

    Attributes:
        confidence: a track counts if one of its sightings is as sure as this.
        first, last: places of the first and the last frame that may be touched.
        grow_frames: how many frames before and after a track are hidden as well.
        bridge_s: for how long a missed face is hidden.
        turn_s: for how long one is that is seen again near to where it was.
    """

    confidence: float
    first: int
    last: int
    grow_frames: int = GROW_FRAMES
    bridge_s: float = BRIDGE_S
    turn_s: float = TURN_S


@dataclass(frozen=True, slots=True)
class Coverage:
    """What is hidden where: regions by the place of their frame, in order of tracks."""

    regions: Mapping[int, tuple[Region, ...]]

    def spans(self) -> list[tuple[int, int, int]]:
        """Return each unbroken run of a track: its number, its first and its last frame; by first frame."""
        frames: dict[int, list[int]] = defaultdict(list)
        for index in sorted(self.regions):
            for region in self.regions[index]:
                frames[region.track].append(index)
        runs = []
        for track, indices in frames.items():
            breaks = [at for at, (one, two) in enumerate(pairwise(indices), 1) if two > one + 1]
            for begin, end in pairwise([0, *breaks, len(indices)]):
                runs.append((track, indices[begin], indices[end - 1]))
        return sorted(runs, key=lambda run: (run[1], run[0]))


def without(found: Sequence[FoundFrame], shown: Collection[tuple[int, int]]) -> list[FoundFrame]:
    """Return the frames without the faces that stay visible, by their frames' places and their own."""
    return [
        replace(
            frame,
            faces=tuple(face for place, face in enumerate(frame.faces) if (frame.index, place) not in shown),
        )
        for frame in found
    ]


def cover(found: Sequence[FoundFrame], times: Sequence[float], options: CoverOptions) -> Coverage:
    """Return which regions are hidden.

    Args:
        found: the frames that were looked at, in order.
        times: of every frame, in seconds, rising.
        options: how.
    """
    regions: dict[int, list[Region]] = defaultdict(list)
    count = 0
    for first, last, frames in scenes_of(found, options):
        forwards, backwards = tracks_of(frames, times, 1), tracks_of(frames, times, -1)
        number_of = {seen: number for number, track in enumerate(forwards, count + 1) for seen in track}
        count += len(forwards)
        faces_at = {frame.index: frame.faces for frame in frames}
        fast = leaps(
            [
                (frame.index, times[frame.index], _sure_or_not(frame.faces, options.confidence))
                for frame in frames
            ]
        )
        for track in [*forwards, *backwards, *fast]:
            sightings = [(index, faces_at[index][place]) for index, place in track]
            if max(seen.confidence for _, seen in sightings) < options.confidence:
                continue
            number = Counter(number_of[seen] for seen in track).most_common(1)[0][0]
            for run in _runs(sightings, times, options):
                for index, box in _hidden(run, times, (first, last), _step(frames), options):
                    regions[index].append(Region(box, number))
    return _in_order(regions)


def _sure_or_not(faces: Sequence[Sighting], confidence: float) -> list[tuple[int, Box, bool]]:
    return [(place, face.box, face.confidence >= confidence) for place, face in enumerate(faces)]


def _in_order(regions: Mapping[int, list[Region]]) -> Coverage:
    """Return what is hidden once, tracks numbered by their first frame."""
    found = {index: _outermost(regions[index]) for index in sorted(regions)}
    numbers: dict[int, int] = {}
    for kept in found.values():
        for region in kept:
            numbers.setdefault(region.track, len(numbers) + 1)
    return Coverage(
        {
            index: tuple(Region(region.box, numbers[region.track]) for region in kept)
            for index, kept in found.items()
        }
    )


def _outermost(regions: list[Region]) -> list[Region]:
    """Leave out what lies within another region: mostly the same track, followed the other way."""
    kept: list[Region] = []
    for region in sorted(regions, key=lambda each: (_area(each.box), -each.track), reverse=True):
        x1, y1, x2, y2 = region.box
        if not any(
            box[0] <= x1 and box[1] <= y1 and box[2] >= x2 and box[3] >= y2
            for box in (each.box for each in kept)
        ):
            kept.append(region)
    return sorted(kept, key=lambda each: each.track)


def _area(box: tuple[float, float, float, float]) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


# --- scenes -----------------------------------------------------------------------------------------------


def scenes_of(
    found: Sequence[FoundFrame], options: CoverOptions
) -> Iterator[tuple[int, int, Sequence[FoundFrame]]]:
    """Yield scenes: the first and last frame that may belong to each, and those that were looked at.

    Where not every frame is looked at, those around a cut may belong to either side.
    """
    begins = [0, *cuts(found), len(found)]
    for begin, end in pairwise(begins):
        if begin < end:
            first = options.first if begin == 0 else found[begin - 1].index + 1
            last = options.last if end == len(found) else found[end].index - 1
            yield first, last, found[begin:end]


def cuts(found: Sequence[FoundFrame]) -> list[int]:
    """Return at which of the frames another scene begins.

    Only what is plainly a cut counts: a cut that is overlooked hides a little too much, one that is none
    would leave a missed face uncovered.
    """
    if len(found) < 2 or not all(frame.look for frame in found):  # noqa: PLR2004 - nothing to compare
        return []
    looks = np.array([np.frombuffer(frame.look, np.uint8) for frame in found], np.float32)
    flat = looks.std(axis=1) < _FLAT
    shapes = looks - looks.mean(axis=1, keepdims=True)
    shapes /= np.maximum(np.linalg.norm(shapes, axis=1, keepdims=True), 1e-6)
    count = len(found)
    is_cut = np.ones(count, bool)
    is_cut[0] = False
    for before in range(1, _CUT_FRAMES + 1):
        for after in range(_CUT_FRAMES):
            # Compares the frame `before` a place with the one `after` it, for all places at once.
            places = np.arange(before, count - after)
            one, two = places - before, places + after
            levels = np.abs(looks[one] - looks[two]).mean(axis=1)
            alike = np.where(flat[one] | flat[two], 0, (shapes[one] * shapes[two]).sum(axis=1))
            is_cut[places] &= (levels > _CUT_LEVELS) & (alike < _CUT_ALIKE)
    return [int(place) for place in np.nonzero(is_cut)[0]]


# --- tracks -----------------------------------------------------------------------------------------------

#: A track's sightings with the places of their frames.
Sightings = list[tuple[int, Sighting]]


def tracks_of(
    frames: Sequence[FoundFrame], times: Sequence[float], direction: int
) -> list[list[tuple[int, int]]]:
    """Follow faces through one scene, forwards or backwards.

    Returns:
        Of each track the frames' places and the faces' places among those of their frame, by time.
    """
    lasts = times[frames[-1].index] - times[frames[0].index]
    tracker = Tracker((len(frames) - 1) / lasts if lasts > 0 else 1.0)
    tracks: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for frame in frames[::direction]:
        packed = [face.look for face in frame.faces]
        looks = looks_of(packed) if packed and all(packed) else None
        numbers, _ = tracker.step(direction * times[frame.index], [face.box for face in frame.faces], looks)
        for place, number in enumerate(numbers):
            tracks[number].append((frame.index, place))
    return [tracks[number][::direction] for number in sorted(tracks)]


def _runs(sightings: Sightings, times: Sequence[float], options: CoverOptions) -> list[Sightings]:
    """Part a track where its face was away for longer than is bridged."""
    runs = [sightings[:1]]
    for (before, was), (index, seen) in pairwise(sightings):
        away_s = times[index] - times[before]
        if away_s > options.bridge_s and (away_s > options.turn_s or not _is_near(was.box, seen.box)):
            runs.append([])
        runs[-1].append((index, seen))
    return runs


def _is_near(one: Box, two: Box) -> bool:
    sides = math.sqrt(max(_area(one), _area(two)))
    return (
        math.hypot(one[0] + one[2] - two[0] - two[2], one[1] + one[3] - two[1] - two[3]) < 2 * _NEAR * sides
    )


def _step(frames: Sequence[FoundFrame]) -> int:
    """Return how many frames lie between two that were looked at, at most."""
    return max((two.index - one.index for one, two in pairwise(frames)), default=1)


def _hidden(
    run: Sightings, times: Sequence[float], scene: tuple[int, int], step: int, options: CoverOptions
) -> Iterator[tuple[int, tuple[float, float, float, float]]]:
    """Yield the frames of a run with what is hidden in each."""
    seen = np.array([index for index, _ in run])
    boxes = np.array([face.box for _, face in run], np.float64)
    # Where only every k-th frame is looked at, the face may have come right after the last look.
    more = options.grow_frames + step - 1
    first, last = max(scene[0], int(seen[0]) - more), min(scene[1], int(seen[-1]) + more)
    indices = np.arange(first, last + 1)
    at_s = np.array([times[index] for index in range(first, last + 1)])
    seen_s = np.array([times[index] for index, _ in run])
    edges = np.stack([np.interp(at_s, seen_s, boxes[:, edge]) for edge in range(4)], axis=1)
    away_s = _away(at_s, seen_s)
    margins = (boxes[:, 2:] - boxes[:, :2]).max(axis=0) * _DRIFT_PER_S * away_s[:, None]
    edges[:, :2] -= margins
    edges[:, 2:] += margins
    _follow(edges, at_s, seen_s, boxes)
    for index, box in zip(indices.tolist(), _smoothed(edges).tolist(), strict=True):
        yield index, tuple(box)


def _away(at_s: NDArray[np.float64], seen_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how far in time each frame is from the nearest sighting."""
    after = np.clip(np.searchsorted(seen_s, at_s), 0, len(seen_s) - 1)
    before = np.maximum(after - 1, 0)
    return np.minimum(np.abs(at_s - seen_s[before]), np.abs(at_s - seen_s[after]))


def _follow(
    edges: NDArray[np.float64],
    at_s: NDArray[np.float64],
    seen_s: NDArray[np.float64],
    boxes: NDArray[np.float64],
) -> None:
    """Hide, beyond both ends, where the face stood and where it would be had it moved on."""
    if len(seen_s) < 2:  # noqa: PLR2004 - one sighting has no speed
        return
    reach = min(_SPEED_SIGHTINGS, len(seen_s)) - 1
    for end, inner, is_beyond in ((0, reach, at_s < seen_s[0]), (-1, -1 - reach, at_s > seen_s[-1])):
        speed = (boxes[end] - boxes[inner]) / (seen_s[end] - seen_s[inner])
        moved = speed * (at_s[is_beyond] - seen_s[end])[:, None]
        stray = _STRAY * np.abs(moved).max(axis=1, keepdims=True, initial=0)
        edges[is_beyond, :2] += np.minimum(0, moved[:, :2]) - stray
        edges[is_beyond, 2:] += np.maximum(0, moved[:, 2:]) + stray


def _smoothed(edges: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return edges that do not tremble, and that lie nowhere within what they were.

    The outermost over a few frames, and then the mean over as many: each of those that the mean is made of
    has seen the frame itself.
    """
    if len(edges) == 1:
        return edges
    signed = edges * (-1, -1, 1, 1)
    padded = np.pad(signed, ((_SMOOTH, _SMOOTH), (0, 0)), mode="edge")
    outer = np.lib.stride_tricks.sliding_window_view(padded, 2 * _SMOOTH + 1, axis=0).max(axis=-1)
    padded = np.pad(outer, ((_SMOOTH, _SMOOTH), (0, 0)), mode="edge")
    mean = np.lib.stride_tricks.sliding_window_view(padded, 2 * _SMOOTH + 1, axis=0).mean(axis=-1)
    return np.asarray(mean * (-1, -1, 1, 1), np.float64)
