"""InsightFace's 2d106det (106 landmarks) and genderage, for those who accept their licence.

Crop: a square of 1.5 times the longer side of the box, not turned; 192 and 96 pixels.
Input: NCHW, RGB, 0..255: the published files subtract and scale by themselves. Exports that do not are fed
(x - 127.5) / 128, as InsightFace feeds them; they are told by the lack of such nodes at their start.
Outputs: 106 x (x, y) as -1..1 of the crop; two scores, of which the first is female's, and age / 100.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np

from models.crop_network import Family
from pipelines.crops import BoxCrop
from pipelines.ports import Reading

if TYPE_CHECKING:
    from collections.abc import Sequence

    import onnx
    from numpy.typing import NDArray

    from models.manifest import InputSpec

LANDMARKS_CROP: Final = BoxCrop(192, 1.5)
AGE_AND_GENDER_CROP: Final = BoxCrop(96, 1.5)

#: Among how many nodes at the start of a graph its own scaling is looked for, and by what names.
_FIRST_NODES = 8
_SUBTRACTS = ("Sub", "_minus")
_MULTIPLIES = ("Mul", "_mul")
_NORMALISES = "bn_data"


def decode_landmarks(outputs: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Return 106 points in pixels of the crop, [N, 212]."""
    rows = outputs[0].reshape(len(outputs[0]), -1)
    return np.asarray((rows + 1) * np.float32(LANDMARKS_CROP.side / 2), np.float32)


def decode_age_and_gender(outputs: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Return years and how likely female, [N, 2].

    The two scores are compared and no more by their makers; a softmax of them keeps that order.
    """
    rows = outputs[0].reshape(-1, 3)
    female = (np.tanh((rows[:, 0] - rows[:, 1]) / 2) + 1) / 2
    return np.stack([rows[:, 2] * 100, female], axis=1)


def feed_of(model: onnx.ModelProto, feed: InputSpec) -> InputSpec:
    """Return how this export is fed: as the manifest says, or scaled where it does not do so itself."""
    start = list(model.graph.node[:_FIRST_NODES])
    subtracts = any(node.name.startswith(_SUBTRACTS) for node in start)
    multiplies = any(node.name.startswith(_MULTIPLIES) for node in start)
    if (subtracts and multiplies) or any(node.name == _NORMALISES for node in start[:3]):
        return feed
    return replace(feed, mean=(127.5,) * 3, scale=(1 / 128,) * 3)


LANDMARKS: Final = Family(Reading.LANDMARKS, (LANDMARKS_CROP,), decode_landmarks)
AGE_AND_GENDER: Final = Family(Reading.AGE_AND_GENDER, (AGE_AND_GENDER_CROP,), decode_age_and_gender)
