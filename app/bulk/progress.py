"""How a job goes, for whoever watches: a live line on a terminal, a line now and then in a log."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from app.bulk.clock import duration

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from app.bulk.state import JobState
    from app.client.errors import ClientError

EVERY_S = 10.0
#: Rows that the rate is taken from: the last ones tell more than the whole job.
REMEMBERED_S = 120.0


class Board(Protocol):
    """Shows a job."""

    def show(self, figures: Figures) -> None:
        """Show how it stands."""

    def say(self, text: str) -> None:
        """Tell of something beside it."""


@dataclass(frozen=True, slots=True)
class Figures:
    """A job at one moment."""

    total: int
    done: int
    failed: int
    faces: int
    media_s: float
    under_way: int
    rate: float

    @property
    def ended(self) -> int:
        """Tell how many rows have ended."""
        return self.done + self.failed

    def line(self) -> str:
        """Return all of it in one line."""
        left = (self.total - self.ended) / self.rate if self.rate > 0 else None
        return (
            f"{self.ended:,}/{self.total:,} done, {self.failed:,} failed, {self.under_way} under way, "
            f"{self.media_s / 60:,.1f} min, {self.faces:,} faces, {self.rate * 60:,.0f}/min, "
            f"{'-' if left is None else duration(left)} left"
        )


class JobProgress:
    """Counts, and shows when there is something new.

    Args:
        state: of the job.
        board: where it is shown.
        under_way: tells how many rows are at work.
        every_s: no more often than this.
    """

    def __init__(self, state: JobState, board: Board, under_way: Callable[[], int], every_s: float) -> None:
        self._state = state
        self._board = board
        self._under_way = under_way
        self._every_s = every_s
        self._marks = [(time.monotonic(), state.done + state.failed)]
        self._shown = 0.0
        self._troubled_at = 0.0

    def moved(self) -> None:
        """Show, if it is time."""
        now = time.monotonic()
        if now - self._shown >= self._every_s:
            self._shown = now
            self.show()

    def show(self) -> None:
        """Show now."""
        state, now = self._state, time.monotonic()
        ended = state.done + state.failed
        self._marks.append((now, ended))
        while len(self._marks) > 2 and self._marks[1][0] < now - REMEMBERED_S:  # noqa: PLR2004 - two make a rate
            self._marks.pop(0)
        since, before = self._marks[0]
        rate = (ended - before) / (now - since) if now > since else 0.0
        self._board.show(
            Figures(
                len(state.rows), state.done, state.failed, state.faces, state.media_s, self._under_way(), rate
            )
        )

    def heard(self, error: ClientError, pause_s: float) -> None:
        """Tell of trouble with the service, but not of each request that has it."""
        now = time.monotonic()
        if now - self._troubled_at > max(EVERY_S, pause_s):
            self._troubled_at = now
            self._board.say(f"{error}; trying again in {duration(pause_s)}")


class _Lines:
    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def show(self, figures: Figures) -> None:
        self.say(figures.line())

    def say(self, text: str) -> None:
        self._stream.write(f"{time.strftime('%H:%M:%S')} {text}\n")
        self._stream.flush()


class _Bar:
    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task = progress.add_task("", total=None)

    def show(self, figures: Figures) -> None:
        self._progress.update(
            self._task, total=figures.total, completed=figures.ended, description=figures.line()
        )

    def say(self, text: str) -> None:
        self._progress.console.print(text, highlight=False, markup=False, soft_wrap=True)


@contextmanager
def open_board(stream: TextIO | None = None) -> Iterator[tuple[Board, float]]:
    """Give a board, and how often it is to be shown anew; on stderr unless told otherwise."""
    stream = stream or sys.stderr
    if not stream.isatty():
        yield _Lines(stream), EVERY_S
        return
    columns = (BarColumn(bar_width=20), TextColumn("{task.description}"))
    with Progress(*columns, console=Console(file=stream), refresh_per_second=4) as progress:
        yield _Bar(progress), 0.25
