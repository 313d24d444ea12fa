"""What a face shows: the attributes that may be asked for, and their values.

A value is None where it was not asked for, or where the face does not show it: a profile has no two eyes, and
a box without a face has no landmarks. `docs/attributes.md` tells which values may be missing, and why.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

#: Gender is left out where the network gives the likelier one less than this.
GENDER_CONFIDENCE: Final = 0.6
#: Ages are within these.
YOUNGEST, OLDEST = 0, 100


class Attribute(str, Enum):
    """What may be asked for of each face."""

    AGE = "age"
    GENDER = "gender"
    EMOTION = "emotion"
    POSE = "pose"
    GLASSES = "glasses"
    MASK = "mask"
    QUALITY = "quality"
    LANDMARKS = "landmarks"


class Gender(str, Enum):
    """How the person would be taken for by their looks; who they are, no picture tells."""

    MALE = "male"
    FEMALE = "female"


class Emotion(str, Enum):
    """What an expression would be called."""

    NEUTRAL = "neutral"
    HAPPY = "happy"
    SAD = "sad"
    ANGRY = "angry"
    SURPRISED = "surprised"
    DISGUSTED = "disgusted"
    FEARFUL = "fearful"


@dataclass(frozen=True, slots=True)
class Pose:
    """How the head is turned, in degrees.

    Attributes:
        yaw: positive where the face looks towards the picture's right.
        pitch: positive where it looks up.
        roll: positive where the head leans clockwise, as the picture is seen.
    """

    yaw: float
    pitch: float
    roll: float


@dataclass(frozen=True, slots=True)
class FaceAttributes:
    """What one face shows.

    Attributes:
        age: in whole years, 0..100.
        gender: None where the network is less sure than `GENDER_CONFIDENCE`.
        emotion: the likeliest.
        pose: None where no face is seen in the box.
        glasses: whether there is eyewear of any kind.
        mask: whether the lower half of the face is covered.
        quality: 0..1, how well the face can be used for what comes after.
        landmarks: float32 [106, 2] in pixels of the picture; None where no face is seen in the box.
        presence: 0..1, how sure the landmarks' network is that it looks at a face; None where it does
            not tell.
    """

    age: int | None = None
    gender: Gender | None = None
    emotion: Emotion | None = None
    pose: Pose | None = None
    glasses: bool | None = None
    mask: bool | None = None
    quality: float | None = None
    landmarks: NDArray[np.float32] | None = None
    presence: float | None = None
