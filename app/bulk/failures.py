"""Rows that failed, with reasons, as a manifest of their own: mend what is wrong and run it."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any

from app.bulk.files import whole_file
from app.bulk.rows import OPTIONS, BadRow

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from app.bulk.rows import Row

NAME = "failures.csv"


def failures_of(events: Iterable[Mapping[str, Any]]) -> dict[int, tuple[str, str]]:
    """Return code and reason of each row that failed."""
    return {each["row"]: (each["code"], each["reason"]) for each in events if each["event"] == "failed"}


def write_failures(folder: Path, rows: Iterable[Row | BadRow], failed: Mapping[int, tuple[str, str]]) -> None:
    """Write the file, or remove it where nothing failed."""
    target = folder / NAME
    if not failed:
        target.unlink(missing_ok=True)
        return
    heads = ["id", "source", "type", *OPTIONS, "error_code", "reason"]
    with whole_file(target) as stream:
        text = io.TextIOWrapper(
            stream, encoding="utf-8", errors="surrogateescape", newline="", write_through=True
        )
        lines = csv.DictWriter(text, heads, restval="")
        lines.writeheader()
        for row in rows:
            if row.number in failed:
                code, reason = failed[row.number]
                lines.writerow({**_cells(row), "error_code": code, "reason": reason})
        text.detach()


def _cells(row: Row | BadRow) -> dict[str, Any]:
    if isinstance(row, BadRow):
        known = {"id", "type", "source", *OPTIONS}
        source = next((row.values[name] for name in ("media_url", "url", "path") if name in row.values), "")
        return {"source": source, **{name: value for name, value in row.values.items() if name in known}}
    options = {name: _cell(value) for name, value in row.fields.items()}
    return {"id": row.id, "source": row.source, "type": row.media_type, **options}


def _cell(value: object) -> object:
    if isinstance(value, list):
        return ",".join(map(str, value))
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else value
