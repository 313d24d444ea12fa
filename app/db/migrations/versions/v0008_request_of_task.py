"""Which request made a task, for the logs of all that is done for it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision: str | None = "0007"


def upgrade() -> None:
    """Make the column."""
    op.add_column("tasks", sa.Column("request_id", sa.String(length=128), nullable=True))
