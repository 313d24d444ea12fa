"""An object storage behind a spool: what is staged can be read at once, and reaches the storage soon.

    stage -> [rows committed] -> release -> storage.put_file -> still wanted? -> spool file gone
                                                             `-> no: removed from the storage again

The question in the middle closes the one gap there is: an image deleted, by any process anywhere, while its
bytes are on their way.
"""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol, TypeVar

import structlog

from app.storage.local import naming_disk_trouble
from app.storage.port import CHUNK_BYTES, storage_down
from pipelines.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection, Sequence
    from pathlib import Path
    from typing import BinaryIO

    from app.storage.port import ObjectStore
    from app.storage.signing import UrlSigner
    from app.storage.spool import Spool, SpooledFile

log = structlog.get_logger(__name__)

THREADS = 4
MOVE_TOGETHER = 64
GATHER_S = 0.5
SWEEP_EVERY_S = 15.0
SWEEP_FILES = 256
QUEUE_FILES = 256
STOP_TIMEOUT_S = 20
DOUBT_S = 120.0  # a commit whose answer was lost may take this long to show

T = TypeVar("T")


class Wanted(Protocol):
    """Tells which of these keys the database still knows."""

    async def __call__(self, keys: Collection[str]) -> set[str]:
        """Return those that rows name."""


class SpooledStore:
    """What the service uses as its object storage.

    Args:
        spool: the files on their way.
        store: where they go.
        signer: signs addresses of this server, for files that are still here.
        wanted: asks the database.
        wait_for_store: put each object in the storage before its rows are committed. For machines whose
            disks vanish with them.
    """

    def __init__(
        self,
        spool: Spool,
        store: ObjectStore,
        signer: UrlSigner,
        wanted: Wanted,
        *,
        wait_for_store: bool = False,
    ) -> None:
        self._spool = spool
        self._store = store
        self._signer = signer
        self._wanted = wanted
        self._wait_for_store = wait_for_store
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="spool")
        self._released: asyncio.Queue[SpooledFile | None] = asyncio.Queue()
        self._stopping = asyncio.Event()
        self._try_again_at = 0.0
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def is_waiting(self) -> bool:
        """Tell whether the storage was away just now, so that files stay here for a while."""
        return time.monotonic() < self._try_again_at

    async def start(self) -> None:
        """Begin to move files, those that a killed process left first."""
        self._tasks = [asyncio.create_task(self._move_forever()), asyncio.create_task(self._sweep_forever())]

    async def close(self) -> None:
        """Stop, after a last try to move what is here; what stays is moved by the next start."""
        self._stopping.set()
        self._released.put_nowait(None)
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=STOP_TIMEOUT_S)
            for task in late:
                task.cancel()
        await asyncio.to_thread(self._threads.shutdown)
        await self._store.close()

    @property
    def waits_for_store(self) -> bool:
        """Tell whether files must be settled before their rows are committed."""
        return self._wait_for_store

    def stage(self, pieces: Sequence[tuple[str, bytes]]) -> list[SpooledFile]:
        """Put bytes on this machine's disk, each under its key; they are nobody's until `release`.

        This blocks; callers bring a thread.
        """
        with naming_disk_trouble():
            return self._spool.stage(pieces)

    async def settle(self, files: Sequence[SpooledFile]) -> None:
        """Put staged files into the storage already now, where that is to be waited for."""
        if self._wait_for_store:
            for spooled in files:
                await self._store.put_file(spooled.key, spooled.path)
                spooled.is_stored = True

    def release(self, *files: SpooledFile) -> None:
        """Say that the rows which name the files are committed."""
        for spooled in files:
            if self.is_waiting or self._stopping.is_set() or self._released.qsize() >= QUEUE_FILES:
                spooled.let_go()  # an open file each, for as long as the storage is away, would be too many
            else:
                self._released.put_nowait(spooled)

    def leave(self, *files: SpooledFile) -> None:
        """Let the next sweep ask the database whether files are wanted: this process cannot tell."""
        for spooled in files:
            spooled.let_go()

    async def get(self, key: str) -> AsyncIterator[bytes]:
        """Give the bytes in pieces, from wherever they are."""
        file = await self._away(lambda: _open_if_there(self._spool.path(key)))
        if file is None:
            async for piece in self._store.get(key):
                yield piece
            return
        try:
            while piece := await self._away(lambda: file.read(CHUNK_BYTES)):
                yield piece
        finally:
            file.close()

    async def url(self, key: str, expires_in_s: int) -> str:
        """Return an address from which anyone who has it can load the object for this long."""
        if await self._away(self._spool.path(key).exists):
            return self._signer.url(key, expires_in_s)
        return await self._store.url(key, expires_in_s)

    async def exists(self, key: str) -> bool:
        """Tell whether there is such an object, here or there."""
        return await self._away(self._spool.path(key).exists) or await self._store.exists(key)

    async def delete(self, key: str) -> None:
        """Remove an object from here and there."""
        await self._away(lambda: self._spool.path(key).unlink(missing_ok=True))
        await self._store.delete(key)

    async def ready(self) -> bool:
        """Tell whether the storage answers now."""
        return await self._store.ready()

    async def problem(self) -> str | None:
        """Say what keeps the storage from answering now; None where it answers."""
        return None if await self.ready() else storage_down().message

    async def sweep(self) -> int:
        """See to files that no living process holds: move those that rows name, remove the others.

        Returns:
            How many were seen to; none while the storage or the database is away.
        """
        found = await self._away(lambda: self._spool.left_behind(SWEEP_FILES))
        try:
            wanted = await self._wanted([spooled.key for spooled in found])
            named = [spooled for spooled in found if spooled.key in wanted]
            unnamed = [spooled for spooled in found if spooled.key not in wanted and spooled.age_s > DOUBT_S]
            for spooled in unnamed:
                await self._remove_unwanted(spooled)
            if await self._move(named[:1]):  # while the storage is away, one attempt is enough to know
                return len(unnamed) + 1 + await self._move(named[1:])
        except Unavailable:
            return 0
        finally:
            for spooled in found:
                spooled.let_go()
        return len(unnamed)

    async def _remove_unwanted(self, spooled: SpooledFile) -> None:
        try:
            await self._store.delete(spooled.key)
        except Unavailable:
            spooled.let_go()
        else:
            await self._away(lambda: self._spool.remove(spooled))

    async def _move(self, files: Sequence[SpooledFile]) -> int:
        """Move files to the storage and tell how many; one that cannot be moved now waits for a sweep."""
        await self._drop([spooled for spooled in files if not spooled.is_wanted])
        moved = await self._put([spooled for spooled in files if spooled.is_wanted])
        try:
            wanted = await self._wanted([spooled.key for spooled in moved]) if moved else set()
        except Unavailable:
            for spooled in moved:
                spooled.let_go()
            return 0
        for spooled in moved:
            if spooled.key not in wanted:
                await self._remove_unwanted(spooled)
        kept = [spooled for spooled in moved if spooled.key in wanted]
        await self._away(lambda: self._spool.remove(*kept))
        return len(moved)

    async def _drop(self, files: Sequence[SpooledFile]) -> None:
        """Remove files that no row names; most of them never left this disk."""
        for spooled in files:
            if spooled.is_stored:
                await self._remove_unwanted(spooled)
        here = [spooled for spooled in files if not spooled.is_stored]
        if here:
            await self._away(lambda: self._spool.remove(*here))

    async def _put(self, files: Sequence[SpooledFile]) -> list[SpooledFile]:
        """Put files into the storage, and return those that are there."""
        fresh = [spooled for spooled in files if not spooled.is_stored]
        troubles = await self._store.put_files([(spooled.key, spooled.path) for spooled in fresh])
        for spooled, trouble in zip(fresh, troubles, strict=True):
            # A file that is gone was deleted meanwhile, with its rows: that is no trouble of the storage.
            spooled.is_stored = trouble is None or not spooled.path.exists()
            if trouble is not None and not spooled.is_stored:
                log.warning("object waits in the spool", reason=trouble.message)
                spooled.let_go()
                self._try_again_at = time.monotonic() + SWEEP_EVERY_S
        return [spooled for spooled in files if spooled.is_stored]

    async def _move_forever(self) -> None:
        while (first := await self._released.get()) is not None:
            await asyncio.sleep(GATHER_S)  # one question to the database for many files
            files = [first, *self._take_released()]
            try:
                await self._move(files)
            except Exception:
                log.exception("moving objects failed")
                for spooled in files:
                    spooled.let_go()

    def _take_released(self) -> list[SpooledFile]:
        taken: list[SpooledFile] = []
        while len(taken) < MOVE_TOGETHER and not self._released.empty():
            spooled = self._released.get_nowait()
            if spooled is None:
                self._released.put_nowait(None)  # the stop sign stays the last
                break
            taken.append(spooled)
        return taken

    async def _sweep_forever(self) -> None:
        while not self._stopping.is_set():
            swept = 0
            try:
                swept = await self.sweep()
            except Exception:
                log.exception("sweeping the spool failed")
            if not swept:
                with suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), SWEEP_EVERY_S)

    async def _away(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)


def _open_if_there(path: Path) -> BinaryIO | None:
    try:
        return path.open("rb")
    except FileNotFoundError:
        return None
