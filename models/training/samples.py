"""Faces to learn from: a CSV names picture, label, person and the five points of each.

Columns: `file` (relative to the CSV's folder), `label` (1 wears it, 0 does not), `person` (whoever must
not stand on both sides of a split; empty: the file itself), `source` (where the picture comes from),
`group` (of people; optional), then `x0, y0 … x4, y4` in the order of `pipelines.faces.POINT_NAMES`.

Groups are drawn equally often among those who wear it and among those who do not, so that a network
cannot guess from who somebody is. Where most wearers are men it otherwise learns that women wear none.
"""

from __future__ import annotations

import csv
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

POINT_COLUMNS = tuple(f"{axis}{point}" for point in range(5) for axis in "xy")


@dataclass(frozen=True)
class Samples:
    """N faces: BGR pictures, points float32 [N, 5, 2], labels [N], and what each belongs to."""

    files: list[str]
    pictures: list[NDArray[np.uint8]]
    points: NDArray[np.float32]
    labels: NDArray[np.int64]
    persons: list[str]
    sources: list[str]
    groups: list[str]

    def __len__(self) -> int:
        """Return how many faces there are."""
        return len(self.files)

    def take(self, which: NDArray[np.bool_]) -> Samples:
        """Return the faces where the mask is true."""
        chosen = np.flatnonzero(which)
        return Samples(
            [self.files[i] for i in chosen],
            [self.pictures[i] for i in chosen],
            self.points[chosen],
            self.labels[chosen],
            [self.persons[i] for i in chosen],
            [self.sources[i] for i in chosen],
            [self.groups[i] for i in chosen],
        )


def read_samples(tables: Sequence[Path]) -> Samples:
    """Read every face of the CSV files, pictures included; they must fit in memory."""
    files, points, labels, persons, sources, groups = [], [], [], [], [], []
    pictures: list[NDArray[np.uint8]] = []
    for table in tables:
        with table.open(newline="") as lines:
            for row in csv.DictReader(lines):
                picture = cv2.imread(str(table.parent / row["file"]), cv2.IMREAD_COLOR)
                if picture is None:
                    message = f"{table}: {row['file']} is not a picture that can be read"
                    raise ValueError(message)
                files.append(row["file"])
                pictures.append(np.asarray(picture, np.uint8))
                points.append([float(row[column]) for column in POINT_COLUMNS])
                labels.append(int(row["label"]))
                persons.append(row["person"] or row["file"])
                sources.append(row["source"] or table.stem)
                groups.append(row.get("group") or "")
    return Samples(
        files,
        pictures,
        np.array(points, np.float32).reshape(-1, 5, 2),
        np.array(labels, np.int64),
        persons,
        sources,
        groups,
    )


def held_out(samples: Samples, share: float) -> NDArray[np.bool_]:
    """Tell which faces are kept for testing: whole persons, chosen by a hash of their name alone.

    The same person lands on the same side in every run and every set.
    """
    digests = [hashlib.sha256(person.encode()).digest() for person in samples.persons]
    return np.array([int.from_bytes(digest[:4], "big") < share * 2**32 for digest in digests])
