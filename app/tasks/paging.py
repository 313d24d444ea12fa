"""Results in pages: entries as they are shown, gathered up to a size and packed.

A page holds JSON entries joined by commas, without brackets: pages are joined again without being read.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic_core import to_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

PAGE_BYTES = 256 * 1024
PAGE_ENTRIES = 1000
#: Quick: what a page saves is mostly its repeated names.
_LEVEL = 1


@dataclass(frozen=True, slots=True)
class Page:
    """Some entries of a result."""

    entry_count: int
    json_bytes: int
    packed: bytes


class PageFiller:
    """Takes entries in order and gives pages away as they fill up."""

    def __init__(self, page_bytes: int = PAGE_BYTES, page_entries: int = PAGE_ENTRIES) -> None:
        self._page_bytes = page_bytes
        self._page_entries = page_entries
        self._entries: list[bytes] = []
        self._size = 0

    def add(self, entries: Iterable[Mapping[str, Any]]) -> Iterator[Page]:
        """Take entries; yield each page that they fill."""
        for entry in entries:
            text = to_json(entry)
            self._entries.append(text)
            self._size += len(text) + 1
            if self._size >= self._page_bytes or len(self._entries) >= self._page_entries:
                yield self._page()

    def rest(self) -> Iterator[Page]:
        """Yield the last page, if anything is in it."""
        if self._entries:
            yield self._page()

    def _page(self) -> Page:
        text = b",".join(self._entries)
        page = Page(len(self._entries), len(text), packed(text))
        self._entries, self._size = [], 0
        return page


def packed(text: bytes) -> bytes:
    """Return entries as a page keeps them."""
    return zlib.compress(text, _LEVEL)


def unpack(page: bytes) -> bytes:
    """Return a page's entries as JSON, joined by commas."""
    return zlib.decompress(page)
