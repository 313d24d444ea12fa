"""Which of the 106 points lies where on the other half of the face, for tests of mirrored faces."""

from __future__ import annotations

#: Points that are each other's, as the 2d106 layout is published; those left out lie on the middle line.
_PAIRS = (
    *((index, index + 16) for index in range(1, 17)),  # the outline
    *((33, 87), (34, 88), (35, 93), (36, 91), (37, 90), (38, 92), (39, 89), (40, 94), (41, 96), (42, 95)),
    *((43, 101), (44, 100), (45, 99), (46, 97), (47, 98), (48, 105), (49, 104), (50, 102), (51, 103)),
    *((52, 61), (54, 57), (55, 58), (56, 59), (63, 67), (64, 68), (65, 69), (66, 70)),
    *((75, 81), (76, 82), (77, 83), (78, 84), (79, 85)),
)
#: For each point the one on the other half.
MIRRORED = [
    next((one if index == other else other for one, other in _PAIRS if index in {one, other}), index)
    for index in range(106)
]
