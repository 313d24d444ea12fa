"""Attributes in a request, and in an answer: what may be asked for by name, and how each value is shown.

A value that could not be told is null, except for gender, which is left out: clients of old expect that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from fastapi import Query

from pipelines.attributes import Attribute
from pipelines.errors import InvalidOption
from pipelines.read_attributes import refuse_disabled

if TYPE_CHECKING:
    from collections.abc import Collection

    from pipelines.attributes import FaceAttributes

_NAMES = ", ".join(attribute.value for attribute in Attribute)

AttributeNames = Annotated[
    str | None,
    Query(
        max_length=200,
        description=f"What to tell of each face, names separated by commas: {_NAMES}.",
        examples=["age,landmarks"],
    ),
]

DEGREE_DIGITS = 1
QUALITY_DIGITS = 3
PIXEL_DIGITS = 1


def wanted_attributes(names: str | None, disabled: Collection[Attribute]) -> frozenset[Attribute]:
    """Return the attributes that a query names.

    Raises:
        InvalidOption: there is no such attribute.
        SwitchedOff: the operator does not offer it.
    """
    asked = [name.strip() for name in (names or "").split(",") if name.strip()]
    known = {attribute.value for attribute in Attribute}
    unknown = next((name for name in asked if name not in known), None)
    if unknown is not None:
        message = f"attributes: no attribute has that name; there are {_NAMES}."
        raise InvalidOption(message)
    wanted = frozenset(Attribute(name) for name in asked)
    refuse_disabled(wanted, disabled)
    return wanted


def attributes_answer(face: FaceAttributes, wanted: Collection[Attribute]) -> dict[str, Any]:
    """Return the attributes that were asked for as they are shown."""
    pose, landmarks = face.pose, face.landmarks
    values: dict[Attribute, Any] = {
        Attribute.AGE: face.age,
        Attribute.GENDER: face.gender,
        Attribute.EMOTION: face.emotion,
        Attribute.POSE: None
        if pose is None
        else {name: round(getattr(pose, name), DEGREE_DIGITS) for name in ("yaw", "pitch", "roll")},
        Attribute.GLASSES: face.glasses,
        Attribute.MASK: face.mask,
        Attribute.QUALITY: None if face.quality is None else round(face.quality, QUALITY_DIGITS),
        Attribute.LANDMARKS: None
        if landmarks is None
        else landmarks.astype(np.float64).round(PIXEL_DIGITS).tolist(),
    }
    return {
        attribute.value: value
        for attribute, value in values.items()
        if attribute in wanted and (attribute is not Attribute.GENDER or value is not None)
    }
