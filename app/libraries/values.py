"""What libraries are made of. Plain values: rows stay in the modules that read them."""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from datetime import datetime

    from numpy.typing import NDArray

_FACE_ID = re.compile(r"face_([0-9a-f]{32})")
#: A person is known by this many pictures at most; more make nobody easier to recognise.
MOST_FACES: Final = 50


@dataclass(frozen=True, slots=True)
class Library:
    """A collection of people.

    Attributes:
        id: of this service.
        owner: whose it is.
        handle: what its owner calls it; unique.
        space: what its vectors can be compared with.
        revision: grows with each change of its vectors.
        persons: how many people there are.
        faces: how many pictures they are known by.
    """

    id: uuid.UUID
    owner: uuid.UUID
    handle: str
    name: str | None
    description: str | None
    space: str
    revision: int
    persons: int
    faces: int
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody in a library, under the identifier that its owner gave."""

    number: int
    handle: str
    name: str | None
    metadata: dict[str, Any] | None
    faces: int
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class PersonFace:
    """A picture that somebody is known by."""

    id: uuid.UUID
    quality: float
    created_at: datetime
    thumbnail_key: str | None = None


@dataclass(frozen=True, slots=True)
class NewFace:
    """A face that passed every check, and whose it is said to be."""

    person: str
    name: str | None
    metadata: dict[str, Any] | None
    vector: NDArray[np.float32]
    quality: float
    thumbnail_key: str | None = None


@dataclass(frozen=True, slots=True)
class Match:
    """Somebody whom a face may belong to.

    Attributes:
        person: the identifier that the owner gave.
        name: as it is now.
        metadata: as it is now.
        score: 0..1, the same for every network; see `pipelines.similarity`.
        similarity: the cosine that the score stands for.
    """

    person: str
    name: str | None
    metadata: dict[str, Any] | None
    score: float
    similarity: float


def face_text(face_id: uuid.UUID) -> str:
    """Return a face's identifier as clients know it."""
    return f"face_{face_id.hex}"


def read_face_id(text: str) -> uuid.UUID | None:
    """Return the identifier that a client wrote; None for what cannot be one."""
    found = _FACE_ID.fullmatch(text)
    return uuid.UUID(found[1]) if found else None


def packed(vector: NDArray[np.float32]) -> bytes:
    """Return a vector as it is stored."""
    return vector.astype("<f2").tobytes()


def unpacked(rows: list[bytes]) -> NDArray[np.float32]:
    """Return stored vectors as float32 [N, D]."""
    if not rows:
        return np.zeros((0, 0), np.float32)
    return np.frombuffer(b"".join(rows), "<f2").reshape(len(rows), -1).astype(np.float32)
