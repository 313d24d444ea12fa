"""Pairs rows with columns at the least total cost (the Hungarian method)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def assign(costs: NDArray[np.float64], unpaired: float) -> list[tuple[int, int]]:
    """Return the pairs of rows and columns whose costs together are least, by rows.

    Args:
        costs: [rows, columns].
        unpaired: what it costs to leave a row or column alone; a pair that costs as much is not made.
    """
    rows, columns = costs.shape
    if not rows or not columns:
        return []
    if rows > columns:
        return sorted((row, column) for column, row in assign(costs.T, unpaired))
    bounded = np.minimum(costs, unpaired)
    return [(row, column) for row, column in _solve(bounded) if costs[row, column] < unpaired]


def _solve(costs: NDArray[np.float64]) -> list[tuple[int, int]]:
    """Pair each of the rows, of which there are no more than columns, by shortest augmenting paths."""
    rows, columns = costs.shape
    # Column 0 and row 0 stand for "not paired yet"; real ones count from 1.
    row_price, column_price = np.zeros(rows + 1), np.zeros(columns + 1)
    row_of = np.zeros(columns + 1, np.intp)
    for row in range(1, rows + 1):
        row_of[0] = row
        at = 0
        least = np.full(columns + 1, np.inf)
        came_from = np.zeros(columns + 1, np.intp)
        is_used = np.zeros(columns + 1, bool)
        while row_of[at]:
            is_used[at] = True
            reduced = costs[row_of[at] - 1] - row_price[row_of[at]] - column_price[1:]
            is_better = ~is_used[1:] & (reduced < least[1:])
            least[1:][is_better] = reduced[is_better]
            came_from[1:][is_better] = at
            following = 1 + int(np.argmin(np.where(is_used[1:], np.inf, least[1:])))
            step = least[following]
            row_price[row_of[is_used]] += step
            column_price[is_used] -= step
            least[~is_used] -= step
            at = following
        while at:
            row_of[at] = row_of[came_from[at]]
            at = int(came_from[at])
    return sorted((int(row_of[column]) - 1, column - 1) for column in range(1, columns + 1) if row_of[column])
