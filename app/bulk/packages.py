"""Packages that only some need: imported when they are, with words where they are missing."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from app.bulk.errors import MissingPackage


def arrow() -> Any:  # noqa: ANN401 - the module has no types
    """Return pyarrow."""
    return _package("pyarrow")


def parquet() -> Any:  # noqa: ANN401 - as above
    """Return what reads and writes Parquet."""
    return _package("pyarrow.parquet")


def _package(name: str) -> Any:  # noqa: ANN401 - as above
    try:
        return import_module(name)
    except ImportError as error:
        message = "Parquet needs pyarrow: pip install 'facefleet[bulk]'; or use --format jsonl"
        raise MissingPackage(message) from error
