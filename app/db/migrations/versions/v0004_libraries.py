"""Libraries: people, the faces they are known by, and who was erased."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision: str | None = "0003"


def upgrade() -> None:
    """Make them."""
    op.create_table(
        "libraries",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("owner", sa.Uuid(), nullable=False),
        sa.Column("handle", sa.String(length=128), nullable=False),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("space", sa.String(length=100), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("forgotten_revision", sa.BigInteger(), nullable=False),
        sa.Column("next_number", sa.BigInteger(), nullable=False),
        sa.Column("person_count", sa.BigInteger(), nullable=False),
        sa.Column("face_count", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_libraries")),
        sa.UniqueConstraint("handle", name=op.f("uq_libraries_handle")),
    )
    op.create_index("ix_libraries_owner_id", "libraries", ["owner", "id"], unique=False)
    op.create_table(
        "departed",
        sa.Column("library_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["library_id"], ["libraries.id"], name=op.f("fk_departed_library_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("library_id", "number", name=op.f("pk_departed")),
    )
    op.create_index(op.f("ix_departed_at"), "departed", ["at"], unique=False)
    op.create_index("ix_departed_library_id_revision", "departed", ["library_id", "revision"], unique=False)
    op.create_table(
        "persons",
        sa.Column("library_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("handle", sa.String(length=128), nullable=False),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("metadata", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("template", sa.LargeBinary(), nullable=True),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("face_count", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["library_id"], ["libraries.id"], name=op.f("fk_persons_library_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("library_id", "number", name=op.f("pk_persons")),
    )
    op.create_index("ix_persons_library_id_handle", "persons", ["library_id", "handle"], unique=True)
    op.create_index("ix_persons_library_id_revision", "persons", ["library_id", "revision"], unique=False)
    op.create_table(
        "person_faces",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("library_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("vector", sa.LargeBinary(), nullable=False),
        sa.Column("quality", sa.Double(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["library_id", "number"],
            ["persons.library_id", "persons.number"],
            name=op.f("fk_person_faces_library_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_person_faces")),
    )
    op.create_index(
        "ix_person_faces_library_id_number", "person_faces", ["library_id", "number"], unique=False
    )


def downgrade() -> None:
    """Drop them, children first."""
    for table in ("person_faces", "persons", "departed", "libraries"):
        op.drop_table(table)
