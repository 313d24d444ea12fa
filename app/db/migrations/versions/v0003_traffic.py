"""What came in and how it was answered, by the minute and by the quarter of an hour."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision: str | None = "0002"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "traffic",
        sa.Column("span_s", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("name", sa.String(length=32), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("span_s", "at", "name", name=op.f("pk_traffic")),
    )


def downgrade() -> None:
    """Drop it."""
    op.drop_table("traffic")
