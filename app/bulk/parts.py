"""The tables on disk, in parts: every part holds the same rows of the manifest whoever writes it, and when.

kept results of rows n..m, all ended -> faces, tracks, media (in this order: who sees a part of `media` finds
the others) -> the kept results are dropped
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from app.bulk.files import UNFINISHED, settle, whole_file
from app.bulk.packages import arrow, parquet
from app.bulk.tables import COLUMNS, TABLES, VERSION, outcome_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

FORMATS = ("parquet", "jsonl")
#: Rows that are turned into columns at once; also the size of a Parquet file's row groups.
GROUP = 20_000


class Kept:
    """Results that wait for their part: a file for each row, whole or not there."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def put(self, row: int, lines: Sequence[bytes]) -> None:
        """Keep a row's lines."""
        with whole_file(self._path(row)) as stream:
            # JSON needs no line breaks; what a service writes may have some all the same.
            stream.writelines(line.rstrip(b"\n").replace(b"\n", b" ") + b"\n" for line in lines)

    def lines(self, row: int) -> list[bytes]:
        """Return a row's lines."""
        return self._path(row).read_bytes().splitlines()

    def drop(self, rows: Iterable[int]) -> None:
        """Forget rows; those that are not there as well."""
        for row in rows:
            self._path(row).unlink(missing_ok=True)

    def _path(self, row: int) -> Path:
        return self._folder / f"{row}.jsonl"


class PartWriter:
    """Writes parts of the tables.

    Args:
        folder: the job's.
        file_format: parquet or jsonl.
    """

    def __init__(self, folder: Path, file_format: str) -> None:
        self._folder = folder
        self._format = file_format
        if file_format == "parquet":
            parquet()  # a missing package is told before the work, not after it
        for table in TABLES:
            (folder / table).mkdir(exist_ok=True)

    def write(self, number: int, rows: Iterable[int], kept: Kept) -> None:
        """Write the tables' part with this number from what was kept of these rows."""
        name = f"part-{number:05d}.{self._format}"
        paths = {table: self._folder / table / name for table in TABLES}
        sinks = {table: self._sink(table, path) for table, path in paths.items()}
        try:
            for row in rows:
                outcome = outcome_of(kept.lines(row))
                sinks["media"].add(outcome.media)
                for track in outcome.tracks:
                    sinks["tracks"].add(track)
                for face in outcome.faces:
                    sinks["faces"].add(face)
        finally:
            for sink in sinks.values():
                sink.close()
        for table in TABLES:
            settle(paths[table])

    def _sink(self, table: str, path: Path) -> _ParquetSink | _JsonlSink:
        unfinished = path.with_name(path.name + UNFINISHED)
        if self._format == "parquet":
            return _ParquetSink(unfinished, table)
        return _JsonlSink(unfinished)


def arrow_schema(table: str) -> Any:  # noqa: ANN401 - pyarrow has no types
    """Return a table's columns for Arrow, with the version of the schema."""
    pa = arrow()
    types = {
        "string": pa.string(),
        "int32": pa.int32(),
        "int64": pa.int64(),
        "double": pa.float64(),
        "bool": pa.bool_(),
        "list<float>": pa.list_(pa.float32()),
    }
    fields = [(name, types[kind]) for name, kind in COLUMNS[table].items()]
    return pa.schema(fields, metadata={"facefleet.table": table, "facefleet.schema_version": str(VERSION)})


class _ParquetSink:
    def __init__(self, path: Path, table: str) -> None:
        self._schema = arrow_schema(table)
        self._writer = parquet().ParquetWriter(path, self._schema, compression="zstd")
        self._rows: list[Mapping[str, Any]] = []

    def add(self, row: Mapping[str, Any]) -> None:
        self._rows.append(row)
        if len(self._rows) >= GROUP:
            self._flush()

    def close(self) -> None:
        self._flush()
        self._writer.close()

    def _flush(self) -> None:
        if self._rows:
            self._writer.write_table(arrow().Table.from_pylist(self._rows, schema=self._schema))
            self._rows = []


class _JsonlSink:
    def __init__(self, path: Path) -> None:
        self._stream = path.open("w", encoding="utf-8")

    def add(self, row: Mapping[str, Any]) -> None:
        self._stream.write(json.dumps(row, ensure_ascii=False) + "\n")

    def close(self) -> None:
        self._stream.close()
