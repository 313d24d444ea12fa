"""How good a network is, and how sure one may be of that."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_Z95 = 1.959964


@dataclass(frozen=True)
class Figures:
    """Recall of either label and their mean, with 95 % intervals."""

    wearing: int
    bare: int
    recall_wearing: float
    recall_bare: float
    balanced: float
    balanced_interval: tuple[float, float]

    def __str__(self) -> str:
        """Return one line for a table."""
        low, high = self.balanced_interval
        return (
            f"balanced {self.balanced:.4f} [{low:.4f}, {high:.4f}]  "
            f"wearing {self.recall_wearing:.4f} of {self.wearing}  bare {self.recall_bare:.4f} of {self.bare}"
        )


def wilson(hits: int, trials: int) -> tuple[float, float]:
    """Return the 95 % Wilson interval of a share."""
    if trials == 0:
        return (0.0, 1.0)
    share, square = hits / trials, _Z95**2
    centre = (share + square / (2 * trials)) / (1 + square / trials)
    reach = _Z95 * np.sqrt(share * (1 - share) / trials + square / (4 * trials**2)) / (1 + square / trials)
    return (max(0.0, float(centre - reach)), min(1.0, float(centre + reach)))


def figures(
    chances: NDArray[np.floating], labels: NDArray[np.int64], persons: Sequence[str], threshold: float
) -> Figures:
    """Judge probabilities against labels; the interval draws whole persons again (2,000 bootstraps)."""
    right = (chances >= threshold) == (labels == 1)
    names, owner = np.unique(np.array(persons), return_inverse=True)
    # Per person: how many of either label, how many of them right.
    counts = np.zeros((len(names), 4))
    for column, which in enumerate((labels == 1, labels == 0)):
        np.add.at(counts[:, column], owner[which], 1)
        np.add.at(counts[:, column + 2], owner[which & right], 1)
    if not counts.sum(axis=0)[:2].all():
        message = "both labels are needed to judge; for one alone see `wilson`"
        raise ValueError(message)
    drawn = np.random.default_rng(0).multinomial(len(names), np.full(len(names), 1 / len(names)), 2000)
    low, high = np.nanpercentile(_balanced(drawn @ counts), [2.5, 97.5])
    totals = counts.sum(axis=0)
    recalls = totals[2:] / np.maximum(totals[:2], 1)
    return Figures(
        int(totals[0]), int(totals[1]), float(recalls[0]), float(recalls[1]),
        float(_balanced(totals[None])[0]), (float(low), float(high)),
    )  # fmt: skip


def best_threshold(chances: NDArray[np.floating], labels: NDArray[np.int64]) -> float:
    """Return the threshold of the best balanced accuracy, the middle one where several tie."""
    grid = np.linspace(0.02, 0.98, 97)
    wearing, bare = chances[labels == 1], chances[labels == 0]
    balanced = np.array([(np.mean(wearing >= cut) + np.mean(bare < cut)) / 2 for cut in grid])
    ties = grid[balanced >= balanced.max() - 1e-9]
    return float(ties[len(ties) // 2])


def _balanced(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    with np.errstate(invalid="ignore"):
        return np.asarray((counts[:, 2] / counts[:, 0] + counts[:, 3] / counts[:, 1]) / 2)
