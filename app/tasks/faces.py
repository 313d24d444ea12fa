"""One face as door two shows it: whole pixels, clipped to the frame."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from app.attributes import attributes_answer
from pipelines.attributes import Attribute
from pipelines.video.assembly import whole_box

if TYPE_CHECKING:
    from collections.abc import Collection

    from numpy.typing import NDArray

    from pipelines.attributes import FaceAttributes

CONFIDENCE_DIGITS = 3


def shown_face(
    box: NDArray[np.float32],
    score: float,
    frame_size: tuple[int, int],
    attributes: FaceAttributes | None = None,
    wanted: Collection[Attribute] = (),
) -> dict[str, Any]:
    """Return a face without its number.

    Args:
        box: corners x1, y1, x2, y2 in pixels of the frame.
        score: the detector's confidence.
        frame_size: width and height of the frame.
        attributes: what the face shows, where that was asked for.
        wanted: what was asked for.
    """
    x1, y1, x2, y2 = (float(edge) for edge in box)
    face: dict[str, Any] = {
        "bbox": list(whole_box((x1, y1, x2, y2), frame_size)),
        "confidence": round(score, CONFIDENCE_DIGITS),
    }
    if wanted and attributes is not None:
        face["attributes"] = shown_attributes(attributes, wanted)
    return face


def shown_attributes(attributes: FaceAttributes, wanted: Collection[Attribute]) -> dict[str, Any]:
    """Return what was asked for; landmarks in whole pixels."""
    told = attributes_answer(attributes, wanted)
    if told.get(Attribute.LANDMARKS.value) is not None and attributes.landmarks is not None:
        told[Attribute.LANDMARKS.value] = np.rint(attributes.landmarks).astype(int).tolist()
    return told
