"""Canvases of many pictures through one network: those of one shape together, as many as it can take."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from pipelines.ports import DetectorNetwork, Proposals


def propose_grouped(
    network: DetectorNetwork, pictures: Sequence[tuple[Sequence[NDArray[np.uint8]], float]]
) -> list[list[Proposals]]:
    """Return the proposals for every canvas of every picture, in the order they came.

    Args:
        network: what looks at them.
        pictures: the canvases of each picture and the confidence asked for it.
    """
    places = [(p, c) for p, (canvases, _) in enumerate(pictures) for c in range(len(canvases))]
    groups: dict[tuple[int, ...], list[tuple[int, int]]] = defaultdict(list)
    for p, c in places:
        groups[pictures[p][0][c].shape].append((p, c))
    found: dict[tuple[int, int], Proposals] = {}
    for group in groups.values():
        for start in range(0, len(group), network.max_batch):
            batch = group[start : start + network.max_batch]
            canvases = [pictures[p][0][c] for p, c in batch]
            confidences = [pictures[p][1] for p, _ in batch]
            found.update(zip(batch, network.propose(canvases, confidences), strict=True))
    return [[found[p, c] for c in range(len(canvases))] for p, (canvases, _) in enumerate(pictures)]
