"""How alike two faces are, as a score from 0 to 1 that means the same for every embedding network.

    cosine -> straight lines between measured points -> score

The points are cosines that a share of pairs of strangers reaches: one in ten scores 0.50, one in a hundred
0.60, one in a thousand 0.70, and so on. So 0.70 is "the same person" with one false answer in a thousand,
whatever network is used, and each further tenth is ten times rarer among strangers.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: From this score on two faces are taken to be of one person.
SAME_PERSON: Final = 0.70
#: The false accept rates that are measured, and the scores that they are given.
FALSE_ACCEPT_RATES: Final = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5)
SCORES: Final = (0.50, 0.60, 0.70, 0.80, 0.90)
#: The least that two measured cosines are apart, so that scores grow with every cosine.
_STEP = 1e-3


@dataclass(frozen=True, slots=True)
class Calibration:
    """What was measured of a network on pairs of pictures.

    Attributes:
        cosines: reached by each of `FALSE_ACCEPT_RATES` of the strangers.
        accuracy: of same or different, at the best threshold, as a mean over folds.
        tar: of pairs of one person, the share that reaches `SAME_PERSON`.
        people: in the set of pictures.
        genuine: pairs of one person.
        impostors: pairs of strangers.
        source: the set, in words.
    """

    cosines: tuple[float, ...]
    accuracy: float
    tar: float
    people: int
    genuine: int
    impostors: int
    source: str

    def __post_init__(self) -> None:
        """Refuse points that would not make a growing line."""
        edges = (-1.0, *self.cosines, 1.0)
        if len(self.cosines) != len(FALSE_ACCEPT_RATES) or any(
            not high - low >= _STEP for low, high in pairwise(edges)
        ):
            message = f"cosines that grow are expected, one for each rate, not {self.cosines}"
            raise ValueError(message)

    @property
    def threshold(self) -> float:
        """Return the cosine from which on two faces are of one person."""
        return self.cosines[SCORES.index(SAME_PERSON)]

    def score(self, cosine: float) -> float:
        """Return the score of a cosine."""
        return float(self.scores(np.array([cosine]))[0])

    def cosine(self, score: float) -> float:
        """Return the cosine of a score."""
        return float(np.interp(score, (0.0, *SCORES, 1.0), (-1.0, *self.cosines, 1.0)))

    def scores(self, cosines: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return the score of each cosine, within 0..1; it grows with the cosine."""
        known = np.interp(cosines, (-1.0, *self.cosines, 1.0), (0.0, *SCORES, 1.0))
        return np.asarray(known, np.float64)
