"""Whether a picture is good enough to know a person by: one clear face, or the reason why not.

A bad reference is worse than none: every later search is measured against it. The bars are low, though; they
keep out what the embedding network itself can hardly see, and leave taste to the caller.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from pipelines.embed_faces import EmbeddedFaces
    from pipelines.faces import Faces

# The column of the factors of `pipelines.quality`.
_SHARPNESS = 0


class Reason(str, Enum):
    """Why a picture was refused."""

    NO_FACE = "no_face"
    SEVERAL_FACES = "several_faces"
    TOO_SMALL = "too_small"
    LOW_CONFIDENCE = "low_confidence"
    EXTREME_POSE = "extreme_pose"
    TOO_DARK = "too_dark"
    TOO_BLURRED = "too_blurred"


#: Each reason in words.
WORDS: Final = {
    Reason.NO_FACE: "no face was found",
    Reason.SEVERAL_FACES: "there is more than one face",
    Reason.TOO_SMALL: "the face is too small",
    Reason.LOW_CONFIDENCE: "the face is not clear enough to be sure that it is one",
    Reason.EXTREME_POSE: "the face is turned too far away",
    Reason.TOO_DARK: "the face is too dark",
    Reason.TOO_BLURRED: "the face is too blurred",
}


@dataclass(frozen=True, slots=True)
class EnrolmentRules:
    """The bars.

    Attributes:
        side_px: the least that the face's shorter side may have.
        confidence: the detector's, at least.
        eyes_apart: how far the eyes may be from each other, in units of the way from the eyes to the mouth.
            It is 1 for most people who look at the camera and shrinks as a head turns: 99 in 100 press
            photos (LFW) are above 0.66, profiles under 0.5. It grows as a head nods.
        brightness: of the face, 0..1, at least.
        sharpness: 0..1, at least.
        bystander: a second face counts where its longer side has this share of the largest one's; a smaller
            one is somebody in the background.
    """

    side_px: float = 40.0
    confidence: float = 0.6
    eyes_apart: tuple[float, float] = (0.55, 1.8)
    brightness: float = 0.12
    sharpness: float = 0.25
    bystander: float = 0.3


@dataclass(frozen=True, slots=True)
class Verdict:
    """Which face it is, or why none is taken; exactly one of both is None."""

    face: int | None
    reason: Reason | None


def judge(faces: Faces, embedded: EmbeddedFaces, rules: EnrolmentRules | None = None) -> Verdict:
    """Return the one face that a picture may be enrolled with, or the first reason against it.

    Args:
        faces: all that were found in the picture.
        embedded: the same faces as vectors.
        rules: the bars; the usual ones by default.
    """
    bars = rules or EnrolmentRules()
    if not len(faces):
        return Verdict(None, Reason.NO_FACE)
    sides = faces.boxes[:, 2:] - faces.boxes[:, :2]
    longer = sides.max(axis=1)
    first = int(np.argmax(longer))
    if int((longer >= bars.bystander * longer[first]).sum()) > 1:
        return Verdict(None, Reason.SEVERAL_FACES)
    # Written so that a value that is not a number fails too.
    passes = {
        Reason.TOO_SMALL: sides[first].min() >= bars.side_px,
        Reason.LOW_CONFIDENCE: faces.scores[first] >= bars.confidence,
        Reason.TOO_DARK: embedded.brightness[first] >= bars.brightness,
        Reason.TOO_BLURRED: embedded.factors[first, _SHARPNESS] >= bars.sharpness,
        Reason.EXTREME_POSE: _looks_here(faces, first, bars.eyes_apart),
    }
    reason = next((reason for reason, is_passed in passes.items() if not is_passed), None)
    return Verdict(first, None) if reason is None else Verdict(None, reason)


def _looks_here(faces: Faces, face: int, eyes_apart: tuple[float, float]) -> bool:
    """Tell whether a head is turned and nodded little enough; without points nobody knows."""
    if faces.points is None:
        return True
    left_eye, right_eye, _nose, left_mouth, right_mouth = faces.points[face].astype(np.float64)
    apart = float(np.linalg.norm(right_eye - left_eye))
    down = float(np.linalg.norm((left_mouth + right_mouth - left_eye - right_eye) / 2))
    low, high = eyes_apart
    return low * down <= apart <= high * down and down > 0


def largest(faces: Faces) -> int | None:
    """Return the largest face; None where there is none."""
    if not len(faces):
        return None
    sides = faces.boxes[:, 2:] - faces.boxes[:, :2]
    return int(np.argmax(sides[:, 0] * sides[:, 1]))
