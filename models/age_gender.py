"""The age and gender networks of dlib-models (Cydral).

Crop: upright by the eyes, where dlib's own face chip with a padding of 0.25 has them; 64 pixels for age, 32
for gender; both closer by a tenth. At 32 pixels the answer turns on where pixels fall, so two chips are
averaged for gender, one a little wider and one a little closer.
Input: NCHW, RGB, minus the means of ImageNet, divided by 256. Outputs: probabilities. Age is the mean of 81
classes, of which the first stands for a quarter of a year; of the two genders the first is female.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from models.crop_network import Family
from pipelines.align import FaceCrop
from pipelines.ports import Reading

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

#: Where the eyes lie in the chip, as shares of its side.
_EYES: Final = np.array([[0.318, 0.314], [0.6685, 0.314]])
_AGES: Final = np.array([0.25, *range(1, 81)], np.float32)


def _chip(side: int, zoom: float) -> FaceCrop:
    eyes = ((_EYES - 0.5) * zoom + 0.5) * side
    return FaceCrop(eyes.astype(np.float32), (side, side))


AGE_CROP: Final = _chip(64, 1.1)
GENDER_CROPS: Final = (_chip(32, 1.05), _chip(32, 1.15))


def decode_age(outputs: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Return the expected age in years, [N, 1]."""
    return np.asarray(outputs[0].reshape(-1, len(_AGES)) @ _AGES[:, None], np.float32)


def decode_gender(outputs: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Return how likely each is female, [N, 1]."""
    return outputs[0].reshape(-1, 2)[:, :1]


AGE: Final = Family(Reading.AGE, (AGE_CROP,), decode_age)
GENDER: Final = Family(Reading.GENDER, GENDER_CROPS, decode_gender)
