"""The galleries of one process: those that were asked for last, each as new as the asker needs it.

    search(library, revision) -> gallery here? -> as new as that? -> thread: search
                                  no: load it      no: follow

What a gallery is made from comes from a source, the truth; a gallery can be dropped at any time. Libraries
load and follow one at a time each, so one that takes long holds up nobody who asks for another.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from pipelines.errors import Overloaded
from pipelines.gallery.gallery import Gallery
from pipelines.metrics import GALLERY_BYTES, GALLERY_SEARCHES

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Hashable

    import numpy as np
    from numpy.typing import NDArray

    from pipelines.gallery.gallery import Changes

#: How long a search waits for its library to be loaded; it goes on loading meanwhile.
PATIENCE_S = 10.0
RETRY_AFTER_S = 5


class TooOld(Exception):
    """The source does not know any more what changed since then."""


class GallerySource(Protocol):
    """Where galleries come from. Whatever it raises besides goes to whoever searches."""

    async def size(self, library: Hashable) -> int:
        """Tell how many people a library has."""

    def everything(self, library: Hashable) -> AsyncIterator[Changes]:
        """Yield all people of a library in parts, the revision being what it was before the first part."""

    async def since(self, library: Hashable, revision: int) -> Changes:
        """Return what changed after a revision.

        Raises:
            TooOld: that is not known any more, or it is so much that all is less.
        """


@dataclass(slots=True)
class _Book:
    gallery: Gallery | None = None
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    nbytes: int = 0
    loaded: int = 0
    expected: int = 0
    loading: asyncio.Task[None] | None = None


class Shelf:
    """Keeps galleries.

    Args:
        source: the truth.
        max_bytes: what they may take together; the one that was not asked for for longest goes first. A
            single larger one is kept nevertheless: nobody could search it otherwise.
        threads: searches that run at the same time.
        patience_s: how long a search waits for its library to be loaded.
    """

    def __init__(
        self, source: GallerySource, max_bytes: int, threads: int = 2, patience_s: float = PATIENCE_S
    ) -> None:
        self._source = source
        self._max_bytes = max_bytes
        self._patience_s = patience_s
        self._books: OrderedDict[Hashable, _Book] = OrderedDict()
        self._nbytes = 0
        # Searches have threads of their own: loading a large library must not hold them up.
        self._searching = ThreadPoolExecutor(threads, thread_name_prefix="gallery")
        self._changing = ThreadPoolExecutor(threads, thread_name_prefix="gallery-changes")

    async def search(
        self, library: Hashable, revision: int, queries: NDArray[np.float32], count: int
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Return similarities and numbers [Q, count] of a library as it is at this revision or later.

        Raises:
            Overloaded: the library is still being loaded.
        """
        book = self._books.setdefault(library, _Book())
        self._books.move_to_end(library)
        gallery = book.gallery
        if gallery is None or gallery.revision < revision:
            GALLERY_SEARCHES.add(1, "loaded" if gallery is None else "updated")
            gallery = await self._brought_to(library, book, revision)
        else:
            GALLERY_SEARCHES.add(1, "ready")
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._searching, gallery.search, queries, count)

    async def refresh(self, library: Hashable, revision: int) -> None:
        """Bring a gallery that is here to this revision or later, without counting it as asked for."""
        book = self._books.get(library)
        if book is not None and book.gallery is not None and book.gallery.revision < revision:
            await self._brought_to(library, book, revision)

    @property
    def libraries(self) -> tuple[Hashable, ...]:
        """List the libraries that are here."""
        return tuple(self._books)

    def forget(self, library: Hashable) -> None:
        """Drop a library."""
        book = self._books.pop(library, None)
        if book is not None:
            self._nbytes -= book.nbytes
            GALLERY_BYTES.put(self._nbytes)

    @property
    def nbytes(self) -> int:
        """Tell how much memory all galleries take."""
        return self._nbytes

    def __len__(self) -> int:
        """Return how many galleries are here."""
        return len(self._books)

    def loading(self) -> dict[Hashable, float]:
        """Tell how far the libraries are that are being loaded, 0..1."""
        return {
            library: min(book.loaded / max(book.expected, 1), 1.0)
            for library, book in self._books.items()
            if book.loading is not None
        }

    async def close(self) -> None:
        """Stop loading, finish searching."""
        tasks = [book.loading for book in self._books.values() if book.loading is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for executor in (self._searching, self._changing):
            await asyncio.to_thread(executor.shutdown)

    async def _brought_to(self, library: Hashable, book: _Book, revision: int) -> Gallery:
        # A task of its own: who gives up waiting must not undo what others wait for as well.
        if book.loading is None:
            book.loading = asyncio.create_task(self._bring(library, book, revision))
            book.loading.add_done_callback(_looked_at)
        waiting = book.loading
        try:
            await asyncio.wait_for(asyncio.shield(waiting), self._patience_s)
        except asyncio.TimeoutError as error:
            message = f"the library is being loaded: {self.loading().get(library, 0):.0%}"
            raise Overloaded(message, RETRY_AFTER_S) from error
        gallery = book.gallery
        if gallery is None or gallery.revision < revision:
            # What was under way had begun before this revision was there.
            return await self._brought_to(library, book, revision)
        return gallery

    async def _bring(self, library: Hashable, book: _Book, revision: int) -> None:
        try:
            async with book.lock:
                if book.gallery is not None and book.gallery.revision < revision:
                    try:
                        await self._apply(
                            book.gallery, await self._source.since(library, book.gallery.revision)
                        )
                    except TooOld:
                        book.gallery = None
                if book.gallery is None:
                    book.gallery = await self._load(library, book)
            if self._books.get(library) is book:
                self._nbytes += book.gallery.nbytes - book.nbytes
                book.nbytes = book.gallery.nbytes
                self._make_room(library)
                GALLERY_BYTES.put(self._nbytes)
        except BaseException:
            if self._books.get(library) is book:
                self.forget(library)
            raise
        finally:
            book.loading = None

    async def _load(self, library: Hashable, book: _Book) -> Gallery:
        while True:
            book.loaded, book.expected = 0, await self._source.size(library)
            gallery = Gallery(book.expected)
            async for part in self._source.everything(library):
                await self._apply(gallery, part)
                book.loaded += len(part.numbers)
            try:
                await self._apply(gallery, await self._source.since(library, gallery.revision))
            except TooOld:
                continue
            return gallery

    async def _apply(self, gallery: Gallery, changes: Changes) -> None:
        await asyncio.get_running_loop().run_in_executor(self._changing, gallery.apply, changes)

    def _make_room(self, keep: Hashable) -> None:
        """Drop what was not asked for for longest, as long as there is too much."""
        for library in list(self._books):
            if self.nbytes <= self._max_bytes:
                return
            book = self._books[library]
            if library != keep and book.loading is None:
                self.forget(library)


def _looked_at(task: asyncio.Task[None]) -> None:
    """Have an error count as seen where everybody gave up waiting for it."""
    if not task.cancelled():
        task.exception()
