"""Synthetic worlds of moving faces whose true tracks are known, and how well found tracks match them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pipelines.video.assignment import assign
from pipelines.video.tracking import Tracker

if TYPE_CHECKING:
    from numpy.typing import NDArray

FACES, SECONDS = 6, 20
#: Per frame: its time, the true number of each face, and the boxes, in an order that says nothing.
World = list[tuple[float, list[int], "NDArray[np.float64]"]]


def world(kind: str, rate: float, seed: int) -> World:
    """Return faces that move over a 1920x1080 picture.

    Args:
        kind: `still`; `moving` along lines to and fro; `crossing` in pairs; `hidden` for a second each;
            `leaving` for five seconds, after which they count as new; `jittering` by a twelfth of their
            size; `missed` in 15 % of the frames.
        rate: samples a second.
        seed: of the random numbers.
    """
    rng = np.random.default_rng(seed)
    sizes = rng.uniform(60, 160, FACES)
    home = np.stack([rng.uniform(200, 1720, FACES), rng.uniform(200, 880, FACES)], 1)
    reach = rng.uniform(100, 400, FACES) * (kind != "still")
    period, phase, angle = rng.uniform(4, 12, FACES), rng.uniform(0, 6.28, FACES), rng.uniform(0, 6.28, FACES)
    away_from = rng.uniform(2, SECONDS - 6, FACES)
    frames: World = []
    for time in np.arange(0, SECONDS, 1 / rate).tolist():
        numbers, boxes = [], []
        for face in rng.permutation(FACES).tolist():
            if kind == "crossing":
                side = 1 if face % 2 else -1
                swing = 700 * np.sin(2 * np.pi * time / 14 + phase[face // 2])
                centre = np.array([960 + side * swing, 250 + 280 * (face // 2) + 12 * side])
            else:
                swing = reach[face] * np.sin(2 * np.pi * time / period[face] + phase[face])
                centre = home[face] + swing * np.array([np.cos(angle[face]), np.sin(angle[face])])
            away_s = time - away_from[face]
            if (kind == "hidden" and 0 < away_s < 1) or (kind == "leaving" and 0 < away_s < 5):
                continue
            if kind == "missed" and rng.random() < 0.15:
                continue
            half = sizes[face] / 2
            noise = rng.normal(0, sizes[face] * (0.08 if kind == "jittering" else 0.02), 4)
            numbers.append(face + FACES * (kind == "leaving" and away_s >= 5))
            boxes.append(np.concatenate([centre - half, centre + half]) + noise)
        frames.append((time, numbers, np.array(boxes).reshape(-1, 4)))
    return frames


def tracks_of(frames: World, rate: float) -> list[list[int]]:
    """Return the track numbers that a tracker gives the faces of each frame."""
    tracker = Tracker(rate)
    return [tracker.step(time, boxes)[0] for time, _, boxes in frames]


def share_followed(frames: World, found: list[list[int]]) -> float:
    """Return the share of sightings that lie on the one track that follows their face best (IDF1).

    Every box is a true one here, so precision and recall are the same.
    """
    truths = sorted({number for _, numbers, _ in frames for number in numbers})
    tracks = sorted({number for numbers in found for number in numbers})
    together = np.zeros((len(truths), len(tracks)))
    for (_, numbers, _), given in zip(frames, found, strict=True):
        for truth, track in zip(numbers, given, strict=True):
            together[truths.index(truth), tracks.index(track)] += 1
    most = together.max()
    pairs = assign(most - together, most + 1)
    return float(sum(together[pair] for pair in pairs) / together.sum())
