"""Manifests, read a row at a time: CSV, JSONL or Parquet. Nothing is held but the row in hand."""

from __future__ import annotations

import csv
import json
import os
from typing import TYPE_CHECKING, Any

from app.bulk.errors import BadManifest
from app.bulk.packages import parquet
from app.bulk.rows import OPTIONS, REMARKS, SOURCE_NAMES, BadRow, Row, RowReader

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

SUFFIXES = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet"}
_BATCH = 2000
_USED = frozenset({*SOURCE_NAMES, "id", "type", *OPTIONS, *REMARKS})


class Manifest:
    """A manifest's rows, as often as they are asked for.

    Args:
        path: the file.
        defaults: options for rows that do not say otherwise.
        base: what paths in it are relative to.
        ignores_others: columns that mean nothing are read over instead of being refused.
    """

    def __init__(
        self, path: Path, defaults: Mapping[str, Any], base: Path, *, ignores_others: bool = False
    ) -> None:
        self.path = path
        self._defaults = defaults
        self._base = base
        self._ignores_others = ignores_others

    def rows(self) -> Iterator[Row | BadRow]:
        """Yield every row in order.

        Raises:
            BadManifest: the file as a whole cannot be used.
        """
        kind = SUFFIXES.get(self.path.suffix.lower())
        if kind == "csv":
            return self._csv()
        return self._jsonl() if kind == "jsonl" else self._parquet()

    def _columns(self, names: list[str]) -> list[str]:
        return [name for name in names if name in _USED] if self._ignores_others else names

    def _csv(self) -> Iterator[Row | BadRow]:
        # Bytes that are no UTF-8 spoil their own row, not all that come after it.
        with self.path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as stream:
            lines = csv.reader(stream)
            try:
                heads = [head.strip() for head in next(lines, [])]
            except csv.Error as error:
                message = f"{self.path} is no CSV: {error}"
                raise BadManifest(message) from error
            reader = RowReader(self._columns(heads), self._defaults, self._base)
            kept = [(at, head) for at, head in enumerate(heads) if head in _USED]
            number = -1
            while True:
                where = f"line {lines.line_num + 1}"
                try:
                    cells = next(lines, None)
                except csv.Error as error:
                    number += 1
                    yield BadRow(number, where, f"it cannot be read: {error}")
                    continue
                if cells is None:
                    return
                if not cells:
                    continue
                number += 1
                if len(cells) != len(heads):
                    reason = f"it has {len(cells)} fields, the first line has {len(heads)}"
                    yield BadRow(number, where, reason)
                    continue
                yield reader.read(number, where, {head: cells[at] for at, head in kept})

    def _jsonl(self) -> Iterator[Row | BadRow]:
        readers: dict[tuple[str, ...], RowReader] = {}
        number = -1
        with self.path.open("rb") as stream:
            for line_number, line in enumerate(stream, 1):
                if not line.strip():
                    continue
                number += 1
                where = f"line {line_number}"
                try:
                    values = json.loads(line)
                except ValueError as error:
                    yield BadRow(number, where, f"it is no JSON: {error}")
                    continue
                if not isinstance(values, dict):
                    yield BadRow(number, where, "it is no JSON object")
                    continue
                shape = tuple(values)
                try:
                    reader = readers.get(shape) or RowReader(
                        self._columns(list(shape)), self._defaults, self._base
                    )
                except BadManifest as error:
                    yield BadRow(number, where, str(error))
                    continue
                if len(readers) < _BATCH:
                    readers[shape] = reader
                yield reader.read(number, where, values)

    def _parquet(self) -> Iterator[Row | BadRow]:
        pq = parquet()
        try:
            file = pq.ParquetFile(self.path)
        except Exception as error:
            message = f"{self.path} is no Parquet file: {error}"
            raise BadManifest(message) from error
        with file:
            names = self._columns(list(file.schema_arrow.names))
            reader = RowReader(names, self._defaults, self._base)
            number = 0
            for batch in file.iter_batches(batch_size=_BATCH, columns=[n for n in names if n in _USED]):
                for values in batch.to_pylist():
                    yield reader.read(number, f"row {number + 1}", values)
                    number += 1


def check(manifest: Manifest, keep: int | None) -> tuple[int, list[BadRow], int]:
    """Look at every row before any is used.

    Args:
        manifest: what to check.
        keep: how many bad rows are kept to be shown; None keeps all.

    Returns:
        The number of rows, the first bad ones, and how many are bad.
    """
    seen: dict[str, int] = {}
    bad: list[BadRow] = []
    total = count = 0
    for row in manifest.rows():
        total += 1
        found = row if isinstance(row, BadRow) else _trouble(row, seen)
        if found is not None:
            count += 1
            if keep is None or len(bad) < keep:
                bad.append(found)
    if total == 0:
        message = f"{manifest.path} has no rows"
        raise BadManifest(message)
    return total, bad, count


def _trouble(row: Row, seen: dict[str, int]) -> BadRow | None:
    first = seen.setdefault(row.id, row.number)
    if first != row.number:
        return duplicate(row, first)
    if row.is_local and (reason := file_trouble(row.source)):
        return BadRow(row.number, f"row {row.number + 1}", reason)
    return None


def duplicate(row: Row, first: int) -> BadRow:
    """Return why a row whose id was there before is none."""
    return BadRow(row.number, f"row {row.number + 1}", f"the id {row.id!r} is that of row {first + 1} too")


def file_trouble(path: str) -> str | None:
    """Return why a file cannot be sent; None where it can."""
    try:
        facts = os.stat(path)  # noqa: PTH116 - a hundred thousand times; Path costs five times as much
    except OSError as error:
        return f"{path}: {error.strerror or error}"
    except ValueError:
        return f"{path!r} is no path"
    if not facts.st_size:
        return f"{path} is empty"
    return None if (facts.st_mode & 0o170000) == 0o100000 else f"{path} is no file"  # noqa: PLR2004 - a regular file's type bits
