"""Which people are to be taken out of results that name them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision: str | None = "0006"


def upgrade() -> None:
    """Add the column, and the index of the few rows that are marked at any time."""
    op.add_column(
        "task_mentions", sa.Column("is_leaving", sa.Boolean(), nullable=False, server_default=sa.false())
    )
    op.create_index(
        "ix_task_mentions_leaving",
        "task_mentions",
        ["owner", "task_id"],
        unique=False,
        sqlite_where=sa.text("is_leaving"),
        postgresql_where=sa.text("is_leaving"),
    )
