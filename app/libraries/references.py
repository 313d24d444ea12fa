"""Pictures that people are to be known by: judged, and told about once they are enrolled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from app.libraries.answers import face_box, person_answer
from app.libraries.values import Library, NewFace, Person, face_text
from pipelines.enrolment import WORDS, Reason, judge
from pipelines.errors import NoFaces, UnfitReference

if TYPE_CHECKING:
    from uuid import UUID

    from app.libraries.enrolling import Enrolment
    from pipelines.results import Detection

_QUALITY_DIGITS = 4


@dataclass(frozen=True, slots=True)
class Named:
    """Whose face it is said to be, with metadata that passed its check."""

    person: str
    name: str | None
    metadata: dict[str, Any] | None


def reference_of(detection: Detection) -> int:
    """Return the face that somebody is to be known by.

    Raises:
        NoFaces: there is none.
        UnfitReference: the picture will not do.
    """
    assert detection.embedded is not None  # noqa: S101 - narrows the type: vectors were asked for
    verdict = judge(detection.faces, detection.embedded)
    if verdict.face is not None:
        return verdict.face
    reason = verdict.reason or Reason.NO_FACE
    message = f"The picture cannot be used as a reference: {WORDS[reason]}."
    if reason is Reason.NO_FACE:
        raise NoFaces(message)
    raise UnfitReference(message, reason.value)


async def new_face(
    enrolment: Enrolment, picture: bytes, detection: Detection, face: int, named: Named
) -> NewFace:
    """Return a face as it is enrolled; its picture is kept, where that is wanted."""
    assert detection.embedded is not None  # noqa: S101 - narrows the type: vectors were asked for
    quality = float(detection.embedded.qualities[face])
    key = await enrolment.thumbnail(picture, detection.faces.boxes[face])
    return NewFace(named.person, named.name, named.metadata, detection.embedded.vectors[face], quality, key)


def enrolled_answer(
    detection: Detection, face: int, library: Library, person: Person, face_id: UUID
) -> dict[str, Any]:
    """Return what is told of somebody who was enrolled."""
    assert detection.embedded is not None  # noqa: S101 - narrows the type: vectors were asked for
    return {
        "library_id": library.handle,
        **person_answer(person),
        "face_id": face_text(face_id),
        **face_box(detection, face),
        "quality": round(float(detection.embedded.qualities[face]), _QUALITY_DIGITS),
    }
