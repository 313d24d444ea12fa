"""What ends a bulk job before its time."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from app.bulk.rows import BadRow

SHOWN_ROWS = 20


class BulkError(Exception):
    """The root; its text is for people."""


class BadManifest(BulkError):
    """The manifest as a whole cannot be used."""


class BadRows(BulkError):
    """Some of its rows cannot be used; nothing was sent."""

    def __init__(self, rows: Sequence[BadRow], count: int, total: int) -> None:
        self.rows = rows
        shown = "\n".join(f"  {row.where}: {row.reason}" for row in rows[:SHOWN_ROWS])
        more = f"\n  and {count - SHOWN_ROWS} more" if count > SHOWN_ROWS else ""
        super().__init__(
            f"{count} of {total} rows cannot be used, nothing was sent:\n{shown}{more}\n"
            "Correct them, or leave them out with --skip-bad-rows."
        )


class FolderTaken(BulkError):
    """The output folder belongs to something else."""


class MissingPackage(BulkError):
    """Parquet needs a package that is not installed."""


class Stopped(BulkError):
    """The job cannot go on now; the same command goes on later. Its cause is a `ClientError`."""
