"""What a report tells of a job: its tables and its journal, read once, added up, never held."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from app.bulk.journal import read_journal
from app.bulk.packages import parquet

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

QUALITY_STEPS = 20
_DECADE = 10
_BATCH = 50_000
#: A pause in the journal that is longer than this was a break of the job.
BREAK_S = 120.0


@dataclass(slots=True)
class JobFigures:
    """A job, added up.

    Attributes:
        ages: faces by decade.
        qualities: faces by twentieths from 0 to 1.
        faces_a_minute: medium by faces in a minute of it (videos and animations only), rounded.
        failures: rows by code.
        reasons: the first of each code.
        ended_at: when each row ended, in order.
    """

    rows: int = 0
    succeeded: int = 0
    failed: int = 0
    faces: int = 0
    sightings: int = 0
    media_s: float = 0.0
    ages: Counter[int] = field(default_factory=Counter)
    qualities: Counter[int] = field(default_factory=Counter)
    genders: Counter[str] = field(default_factory=Counter)
    faces_a_minute: list[float] = field(default_factory=list)
    faces_each: Counter[int] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)
    reasons: dict[str, str] = field(default_factory=dict)
    ended_at: list[float] = field(default_factory=list)

    @property
    def worked_s(self) -> float:
        """Tell how long the job ran, without its breaks."""
        steps = zip(self.ended_at, self.ended_at[1:], strict=False)
        return sum(later - before for before, later in steps if later - before < BREAK_S)


def read_figures(folder: Path, file_format: str) -> JobFigures:
    """Add up a job's tables and journal."""
    figures = JobFigures()
    wanted = ("status", "error_code", "reason", "duration_s", "total_faces")
    for row in _rows(folder / "media", file_format, wanted):
        _add_media(figures, row)
    for row in _rows(folder / "faces", file_format, ("age", "gender", "quality")):
        figures.sightings += 1
        if row["age"] is not None:
            figures.ages[row["age"] // _DECADE * _DECADE] += 1
        if row["gender"] is not None:
            figures.genders[row["gender"]] += 1
        if row["quality"] is not None:
            figures.qualities[min(int(row["quality"] * QUALITY_STEPS), QUALITY_STEPS - 1)] += 1
    events = read_journal(folder / "journal.jsonl")
    figures.ended_at = sorted(each["at"] for each in events if each["event"] in {"done", "failed"})
    return figures


def _add_media(figures: JobFigures, row: dict[str, Any]) -> None:
    figures.rows += 1
    if row["status"] != "succeeded":
        figures.failed += 1
        figures.failures[row["error_code"]] += 1
        figures.reasons.setdefault(row["error_code"], row["reason"])
        return
    faces = row["total_faces"] or 0
    figures.succeeded += 1
    figures.faces += faces
    figures.faces_each[faces] += 1
    if row["duration_s"]:
        figures.media_s += row["duration_s"]
        figures.faces_a_minute.append(faces / row["duration_s"] * 60)


def _rows(folder: Path, file_format: str, columns: Sequence[str]) -> Iterator[dict[str, Any]]:
    for path in sorted(folder.glob(f"part-*.{file_format}")):
        if file_format == "jsonl":
            with path.open(encoding="utf-8") as stream:
                yield from map(json.loads, stream)
        else:
            with parquet().ParquetFile(path) as file:
                for batch in file.iter_batches(batch_size=_BATCH, columns=list(columns)):
                    yield from batch.to_pylist()
