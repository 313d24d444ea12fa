"""The emotion network of the FER package, a mini-Xception.

Crop: a square around the box, not turned, 64 pixels. The answer depends on how close the square is, so two
are averaged: as wide as the box's longer side, and 1.2 times that.
Input: NCHW, one grey channel, -1..1. Output: probabilities of seven emotions in an order of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from models.crop_network import Family
from pipelines.attributes import Emotion
from pipelines.crops import BoxCrop
from pipelines.ports import Reading

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

EMOTION_CROPS: Final = (BoxCrop(64, 1.0), BoxCrop(64, 1.2))

#: The network's order: angry, disgust, fear, happy, sad, surprise, neutral.
_ORDER: Final = (
    Emotion.ANGRY,
    Emotion.DISGUSTED,
    Emotion.FEARFUL,
    Emotion.HAPPY,
    Emotion.SAD,
    Emotion.SURPRISED,
    Emotion.NEUTRAL,
)
_PLACES: Final = np.array([_ORDER.index(emotion) for emotion in Emotion])


def decode_emotion(outputs: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Return the probabilities in the order of `Emotion`, [N, 7]."""
    return outputs[0].reshape(-1, len(_ORDER))[:, _PLACES]


FAMILY: Final = Family(Reading.EMOTION, EMOTION_CROPS, decode_emotion)
