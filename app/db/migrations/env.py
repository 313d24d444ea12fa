"""Run by Alembic for each command, on the connection that `app.db.migrate` holds."""

from __future__ import annotations

from alembic import context

from app.db import library_tables, task_tables  # noqa: F401 - their tables belong to the schema
from app.db.tables import Table

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Table.metadata,
    render_as_batch=True,  # SQLite changes a table by building it anew
)
context.run_migrations()
