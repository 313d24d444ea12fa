"""Libraries, people and matches as clients see them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from app.libraries.values import face_text
from app.tasks.answers import time_text
from app.tasks.faces import shown_face

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from uuid import UUID

    from app.libraries.values import Library, Match, Person, PersonFace
    from pipelines.results import Detection

SCORE_DIGITS = 4


def library_answer(library: Library) -> dict[str, Any]:
    """Return a library."""
    return {
        "library_id": library.handle,
        "name": library.name,
        "description": library.description,
        "model": library.space,
        "person_count": library.persons,
        "face_count": library.faces,
        "created_at": time_text(library.created_at),
        "updated_at": time_text(library.updated_at),
    }


def person_answer(
    person: Person, faces: Sequence[PersonFace] | None = None, urls: Mapping[UUID, str] | None = None
) -> dict[str, Any]:
    """Return somebody, with the faces they are known by where those were asked for.

    Args:
        person: who.
        faces: theirs.
        urls: where pictures of them are, by the faces' identifiers.
    """
    answer: dict[str, Any] = {
        "person_id": person.handle,
        "name": person.name,
        "metadata": person.metadata,
        "face_count": person.faces,
        "created_at": time_text(person.created_at),
        "updated_at": time_text(person.updated_at),
    }
    if faces is not None:
        answer["faces"] = [
            {
                "face_id": face_text(face.id),
                "quality": round(face.quality, SCORE_DIGITS),
                "created_at": time_text(face.created_at),
                **({"thumbnail_url": urls[face.id]} if urls and face.id in urls else {}),
            }
            for face in faces
        ]
    return answer


def match_answer(match: Match) -> dict[str, Any]:
    """Return somebody whom a face may belong to."""
    answer: dict[str, Any] = {
        "person_id": match.person,
        "name": match.name,
        "score": round(match.score, SCORE_DIGITS),
        "similarity": round(match.similarity, SCORE_DIGITS),
    }
    return answer if match.metadata is None else {**answer, "metadata": match.metadata}


def face_box(detection: Detection, face: int) -> dict[str, Any]:
    """Return where a face is and how sure the detector is of it."""
    size = (detection.image.width, detection.image.height)
    return shown_face(detection.faces.boxes[face], float(detection.faces.scores[face]), size)
