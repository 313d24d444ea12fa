"""Whom results of tasks name, and thumbnails of reference pictures."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision: str | None = "0005"


def upgrade() -> None:
    """Make the table, and the column."""
    op.create_table(
        "task_mentions",
        sa.Column("task_id", sa.Uuid(), nullable=False),
        sa.Column("person", sa.String(length=128), nullable=False),
        sa.Column("owner", sa.Uuid(), nullable=False),
        sa.Column("library", sa.String(length=128), nullable=False),
        sa.ForeignKeyConstraint(
            ["task_id"], ["tasks.id"], name=op.f("fk_task_mentions_task_id_tasks"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("task_id", "person", name=op.f("pk_task_mentions")),
    )
    op.create_index(
        "ix_task_mentions_owner_library_person", "task_mentions", ["owner", "library", "person"], unique=False
    )
    op.add_column("person_faces", sa.Column("thumbnail_key", sa.String(length=200), nullable=True))
