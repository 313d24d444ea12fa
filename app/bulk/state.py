"""Where a job is: its journal, added up. One byte a row, and more only for rows that are at work."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

OPEN: Final = 0
DONE: Final = 1
FAILED: Final = 2


@dataclass(slots=True)
class RowState:
    """A row that is at work.

    Attributes:
        tries: tasks of it that failed through the service's own fault.
        upload: that was begun for its file, with the file's size and time of change.
        task: that it became.
    """

    tries: int = 0
    upload: tuple[str, int, int] | None = None
    task: str | None = None


@dataclass(slots=True)
class JobState:
    """A whole job.

    Attributes:
        rows: a byte for each: open, done or failed.
        at_work: what is known of open rows that were begun.
        parts: numbers of parts that are written.
        faces: found so far.
        media_s: seconds of media analysed so far.
        last_at: when the last line was written.
    """

    rows: bytearray
    at_work: dict[int, RowState] = field(default_factory=dict)
    parts: set[int] = field(default_factory=set)
    failed: int = 0
    done: int = 0
    faces: int = 0
    media_s: float = 0.0
    last_at: float = 0.0

    @classmethod
    def replayed(cls, total: int, events: Iterable[Mapping[str, Any]]) -> JobState:
        """Return where a job of this many rows is after these events."""
        state = cls(bytearray(total))
        for event in events:
            state.apply(event)
        return state

    def apply(self, event: Mapping[str, Any]) -> None:
        """Add an event."""
        kind, row = event["event"], event["row"]
        self.last_at = event["at"]
        if kind == "part":
            self.parts.add(row)
        elif kind == "upload":
            self.work(row).upload = (event["upload"], event["size"], event["changed_ns"])
        elif kind == "task":
            self.work(row).task = event["task"]
        elif kind == "again":
            self.at_work[row] = RowState(event["tries"], self.work(row).upload)
        elif kind in {"done", "failed"} and self.rows[row] == OPEN:
            self.end(row, DONE if kind == "done" else FAILED)
            self.faces += event.get("faces", 0)
            self.media_s += event.get("media_s", 0.0)

    def work(self, row: int) -> RowState:
        """Return what is known of an open row."""
        return self.at_work.setdefault(row, RowState())

    def end(self, row: int, how: int) -> None:
        """Note that a row has ended."""
        self.rows[row] = how
        self.at_work.pop(row, None)
        if how == DONE:
            self.done += 1
        else:
            self.failed += 1

    @property
    def is_over(self) -> bool:
        """Tell whether every row has ended."""
        return self.done + self.failed == len(self.rows)
