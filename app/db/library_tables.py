"""The tables of libraries: people, the faces they are known by, and what became of them.

A library's `revision` grows with each change of its vectors, in the transaction that makes the change and
holds the library's row: changes of one library come one after the other. People carry the revision of their
last change, and who is erased leaves its number behind, so that whoever holds the vectors in memory can ask
what changed since. A number is never used again.

Vectors are stored at half precision: a cosine changes by less than a thousandth.
"""

from __future__ import annotations

import uuid  # noqa: TC003 - SQLAlchemy reads the annotations at run time
from datetime import datetime  # noqa: TC003 - as above
from typing import Any

from sqlalchemy import JSON, ForeignKey, ForeignKeyConstraint, Index, LargeBinary, String, Text, Uuid
from sqlalchemy.orm import Mapped, mapped_column

from app.db.tables import HANDLE_LENGTH, OBJECT_KEY_LENGTH, Table

SPACE_LENGTH = 100


class LibraryRow(Table):
    """A collection of people. `handle` is what its owner calls it, `space` the network it was built with."""

    __tablename__ = "libraries"

    id: Mapped[uuid.UUID] = mapped_column(Uuid(), primary_key=True)
    # No foreign key: a key may be deleted while its libraries stay.
    owner: Mapped[uuid.UUID] = mapped_column(Uuid())
    handle: Mapped[str] = mapped_column(String(HANDLE_LENGTH), unique=True)
    name: Mapped[str | None] = mapped_column(Text())
    description: Mapped[str | None] = mapped_column(Text())
    space: Mapped[str] = mapped_column(String(SPACE_LENGTH))
    revision: Mapped[int] = mapped_column(default=0)
    # Who was erased up to this revision is not known any more.
    forgotten_revision: Mapped[int] = mapped_column(default=0)
    next_number: Mapped[int] = mapped_column(default=1)
    person_count: Mapped[int] = mapped_column(default=0)
    face_count: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]

    __table_args__ = (Index("ix_libraries_owner_id", "owner", "id"),)


class PersonRow(Table):
    """Somebody; `template` is what all faces come to, None for somebody without any."""

    __tablename__ = "persons"

    library_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("libraries.id", ondelete="CASCADE"), primary_key=True
    )
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    handle: Mapped[str] = mapped_column(String(HANDLE_LENGTH))
    name: Mapped[str | None] = mapped_column(Text())
    # The name `metadata` is SQLAlchemy's own.
    note: Mapped[dict[str, Any] | None] = mapped_column("metadata", JSON(none_as_null=True))
    template: Mapped[bytes | None] = mapped_column(LargeBinary())
    revision: Mapped[int]
    face_count: Mapped[int]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]

    __table_args__ = (
        Index("ix_persons_library_id_handle", "library_id", "handle", unique=True),
        Index("ix_persons_library_id_revision", "library_id", "revision"),
    )


class PersonFaceRow(Table):
    """A picture that somebody is known by: its vector, and where the operator wants it a thumbnail."""

    __tablename__ = "person_faces"

    id: Mapped[uuid.UUID] = mapped_column(Uuid(), primary_key=True)
    library_id: Mapped[uuid.UUID] = mapped_column(Uuid())
    number: Mapped[int]
    vector: Mapped[bytes] = mapped_column(LargeBinary())
    quality: Mapped[float]
    created_at: Mapped[datetime]
    thumbnail_key: Mapped[str | None] = mapped_column(String(OBJECT_KEY_LENGTH))

    __table_args__ = (
        ForeignKeyConstraint(
            ["library_id", "number"],
            ["persons.library_id", "persons.number"],
            name="fk_person_faces_library_id",
            ondelete="CASCADE",
        ),
        Index("ix_person_faces_library_id_number", "library_id", "number"),
    )


class DepartedRow(Table):
    """Somebody who was erased: a number that means nobody, for those who still hold the vector."""

    __tablename__ = "departed"

    library_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("libraries.id", ondelete="CASCADE"), primary_key=True
    )
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    revision: Mapped[int]
    at: Mapped[datetime] = mapped_column(index=True)

    __table_args__ = (Index("ix_departed_library_id_revision", "library_id", "revision"),)
