"""Follows faces that move by more than their own size from frame to frame.

A tracker that lets no face be mistaken for another gives such faces up: to it each sighting is another face,
and what lies between them stays plain. Here a face that is new may leap as far as a whip of the camera makes
it, and one whose speed is known must keep to it. What is found here is hidden beside the tracks, so an error
hides a little too much and never less.

Sure faces choose first: what is faint is given only to those that found no sure one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pipelines.video.assignment import assign

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Corners of a face.
Box = tuple[float, float, float, float]
#: A face's number among those of its frame, its box, and whether it is sure.
Seen = tuple[int, Box, bool]

#: How long a face may be missed in a leap: this, or so many looks.
_WAIT_S, _WAIT_LOOKS = 0.15, 4.5
#: Face widths that a face without a known speed may move: at once, for each second, and at most.
_REACH, _REACH_PER_S, _FARTHEST = 0.7, 160.0, 7.0
#: Face widths that one with a known speed may be off, for each second; and by which share of its speed.
_STRAY_PER_S, _STRAY_SHARE = 3.0, 0.5
#: By which factor, as its logarithm, a face's size may change.
_SIZE_CHANGE = 0.5
_UNPAIRED = 8.0


@dataclass(slots=True)
class _Chain:
    """A face as far as it was followed: its sightings, when and where it was last, and its speed."""

    seen: list[tuple[int, int]]
    sure: int
    at_s: float
    box: Box
    speed: tuple[float, float] | None = None

    @property
    def side(self) -> float:
        return _side(self.box)


def leaps(frames: Sequence[tuple[int, float, Sequence[Seen]]]) -> list[list[tuple[int, int]]]:
    """Return the chains of sightings with two sure ones at least: frames' places and faces' numbers.

    Args:
        frames: of one scene: place, time in seconds, and faces.
    """
    if len(frames) < 2:  # noqa: PLR2004 - nothing can leap
        return []
    look_s = (frames[-1][1] - frames[0][1]) / (len(frames) - 1)
    wait_s = max(_WAIT_S, _WAIT_LOOKS * look_s)
    done: list[_Chain] = []
    alive: list[_Chain] = []
    for index, at_s, faces in frames:
        done += [chain for chain in alive if at_s - chain.at_s > wait_s]
        alive = [chain for chain in alive if at_s - chain.at_s <= wait_s]
        free, new = list(alive), []
        for is_sure in (True, False):
            wanted = [(number, box) for number, box, sure in faces if sure == is_sure]
            taken = dict(_paired(free, [box for _, box in wanted], at_s))
            for place, (number, box) in enumerate(wanted):
                if place in taken:
                    _prolong(taken[place], index, number, box, at_s)
                    taken[place].sure += is_sure
                else:
                    new.append(_Chain([(index, number)], int(is_sure), at_s, box))
            free = [chain for chain in free if all(chain is not other for other in taken.values())]
        alive += new
    # What one sure face and noise make up is no way that a face went.
    return [chain.seen for chain in [*done, *alive] if chain.sure > 1]


def _paired(chains: list[_Chain], boxes: list[Box], at_s: float) -> list[tuple[int, _Chain]]:
    """Return which box goes on with which chain, so that all of them together stray least."""
    if not chains or not boxes:
        return []
    costs = np.array([[_cost(chain, box, at_s - chain.at_s) for box in boxes] for chain in chains])
    return [(column, chains[row]) for row, column in assign(costs, _UNPAIRED)]


def _cost(chain: _Chain, box: Box, elapsed: float) -> float:
    """Return how badly a box goes on with a chain; `_UNPAIRED` where it cannot."""
    width = math.sqrt(chain.side * _side(box))
    change = abs(math.log(_side(box) / chain.side))
    x, y = _centre(chain.box)
    reach = _REACH + _STRAY_PER_S * elapsed
    if chain.speed is None:
        reach = min(_FARTHEST, _REACH + _REACH_PER_S * elapsed)
    else:
        x, y = x + chain.speed[0] * elapsed, y + chain.speed[1] * elapsed
        reach += _STRAY_SHARE * math.hypot(*chain.speed) * elapsed / width
    away = math.hypot(_centre(box)[0] - x, _centre(box)[1] - y) / width
    return _UNPAIRED if away > reach or change > _SIZE_CHANGE else away / reach + change


def _prolong(chain: _Chain, index: int, number: int, box: Box, at_s: float) -> None:
    elapsed = at_s - chain.at_s
    (x, y), (was_x, was_y) = _centre(box), _centre(chain.box)
    chain.speed = (x - was_x) / elapsed, (y - was_y) / elapsed
    chain.seen.append((index, number))
    chain.at_s, chain.box = at_s, box


def _centre(box: Box) -> tuple[float, float]:
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2


def _side(box: Box) -> float:
    return math.sqrt(max(1.0, box[2] - box[0]) * max(1.0, box[3] - box[1]))
