"""What door two answers about libraries of faces, and of comparing two."""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 - read by the JSON reader
from dataclasses import dataclass
from datetime import datetime  # noqa: TC003 - read by the JSON reader
from typing import Any

from app.client.task_results import Match  # noqa: TC001 - read by the JSON reader


@dataclass(frozen=True, slots=True)
class Library:
    """A collection of people."""

    library_id: str
    name: str | None = None
    description: str | None = None
    person_count: int | None = None
    face_count: int | None = None
    created_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class LibraryPage:
    """Libraries."""

    libraries: tuple[Library, ...]
    next_cursor: str | None = None


@dataclass(frozen=True, slots=True)
class EnrolledFace:
    """A face that was taken into a library."""

    face_id: str
    person_id: str | None = None
    library_id: str | None = None
    quality: float | None = None
    created_at: datetime | None = None
    thumbnail_url: str | None = None


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody in a library, with the faces that he is known by."""

    person_id: str
    name: str | None = None
    metadata: Mapping[str, Any] | None = None
    face_count: int | None = None
    faces: tuple[EnrolledFace, ...] = ()
    created_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class PersonPage:
    """People of a library."""

    persons: tuple[Person, ...]
    next_cursor: str | None = None


@dataclass(frozen=True, slots=True)
class SearchedFace:
    """A face of the picture that was searched with, and whom it resembles."""

    bbox: tuple[int, ...]
    confidence: float | None = None
    matches: tuple[Match, ...] = ()


@dataclass(frozen=True, slots=True)
class SearchResult:
    """Every face of the picture."""

    faces: tuple[SearchedFace, ...]
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class Comparison:
    """How alike the largest faces of two pictures are."""

    score: float
    is_same_person: bool
    threshold: float
    similarity: float | None = None
    request_id: str | None = None
