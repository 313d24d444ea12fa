"""Networks of crops without weights: what they answer is decided by the test or read off the pixels."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from pipelines.crops import BoxCrop
from pipelines.ports import CropSpec, Reading

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: A mesh that looks straight ahead is put together by the tests; this one is a grid over the crop.
_GRID = np.stack([*np.meshgrid(np.linspace(8, 24, 26), np.linspace(8, 24, 18)), np.zeros((18, 26))], axis=-1)

#: What each kind answers where the test does not say.
ANSWERS: dict[Reading, NDArray[np.float32]] = {
    Reading.MESH: np.append(_GRID.reshape(-1), 0.99).astype(np.float32),
    Reading.LANDMARKS: np.linspace(0, 32, 212, dtype=np.float32),
    Reading.AGE: np.array([31.4], np.float32),
    Reading.GENDER: np.array([0.9], np.float32),
    Reading.AGE_AND_GENDER: np.array([52.0, 0.1], np.float32),
    Reading.EMOTION: np.array([0.1, 0.7, 0, 0, 0.2, 0, 0], np.float32),
    Reading.GLASSES: np.array([0.8], np.float32),
    Reading.MASK: np.array([0.2], np.float32),
}


@dataclass
class FakeCropNetwork:
    """Answers every crop with the same row and remembers how many came at a time."""

    reading: Reading
    row: NDArray[np.float32] | None = None
    copies: int = 1
    side: int = 32
    max_batch: int = 16
    name: str | None = None
    seen: list[int] = field(default_factory=list)

    @property
    def spec(self) -> CropSpec:
        """Tell what the network is."""
        crops = tuple(BoxCrop(self.side, 1.0 + 0.2 * copy) for copy in range(self.copies))
        again = tuple(replace(crops[0], mirrored=mirrored) for mirrored in (False, True))
        return CropSpec(
            self.name or self.reading.value,
            self.reading,
            crops,
            again if self.reading is Reading.MESH else (),
        )

    def answer(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the row for each crop."""
        self.seen.append(len(crops))
        row = ANSWERS[self.reading] if self.row is None else self.row
        return np.repeat(row[None], len(crops), axis=0)
