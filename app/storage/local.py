"""Objects as files in a folder of this machine."""

from __future__ import annotations

import asyncio
import errno
import os
import secrets
import shutil
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, BinaryIO, ParamSpec, TypeVar

from app.storage.port import CHUNK_BYTES, ObjectMissing, checked_key, storage_down, storage_full
from pipelines.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Sequence
    from pathlib import Path

    from app.storage.signing import UrlSigner

P = ParamSpec("P")
T = TypeVar("T")

_FULL = (errno.ENOSPC, errno.EDQUOT)
THREADS = 4


class LocalStore:
    """A folder. A file has its name only when it is whole and on the disk."""

    def __init__(self, folder: Path, signer: UrlSigner) -> None:
        self._folder = folder
        self._signer = signer
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="objects")

    async def put(self, key: str, data: bytes) -> None:
        """Keep bytes."""
        await self._away(_write, self._path(key), data)

    async def put_file(self, key: str, path: Path) -> None:
        """Keep a file's bytes; on the same disk that costs a second name for them, not a copy."""
        await self._away(_link_or_copy, path, self._path(key))

    async def put_files(self, files: Sequence[tuple[str, Path]]) -> list[Unavailable | None]:
        """Keep many files' bytes, with one change of threads for all of them."""
        pairs = [(path, self._path(key)) for key, path in files]
        return await self._away(lambda: [_try_to_keep(source, target) for source, target in pairs])

    async def get(self, key: str) -> AsyncIterator[bytes]:
        """Give the bytes in pieces."""
        file = await self._away(_open, self._path(key))
        try:
            while piece := await self._away(file.read, CHUNK_BYTES):
                yield piece
        finally:
            file.close()

    async def delete(self, key: str) -> None:
        """Remove a file."""
        await self._away(partial(self._path(key).unlink, missing_ok=True))

    async def exists(self, key: str) -> bool:
        """Tell whether there is such a file."""
        return await self._away(self._path(key).is_file)

    async def url(self, key: str, expires_in_s: int) -> str:
        """Return a signed address of this server."""
        return self._signer.url(key, expires_in_s)

    async def ready(self) -> bool:
        """Tell whether the folder can be written."""
        return await self._away(_writable, self._folder)

    async def close(self) -> None:
        """Let the threads end."""
        await asyncio.to_thread(self._threads.shutdown)

    def _path(self, key: str) -> Path:
        return self._folder / checked_key(key)

    async def _away(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        call = partial(work, *args, **kwargs)
        with naming_disk_trouble():
            return await asyncio.get_running_loop().run_in_executor(self._threads, call)


@contextmanager
def naming_disk_trouble() -> Iterator[None]:
    """Say which trouble it is when a file cannot be written or read."""
    try:
        yield
    except OSError as error:
        raise (storage_full() if error.errno in _FULL else storage_down()) from error


def _open(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
        raise ObjectMissing(path.name) from error


def _write(path: Path, data: bytes) -> None:
    temporary = _temporary(path)
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        flush_folder(path.parent)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _try_to_keep(source: Path, target: Path) -> Unavailable | None:
    try:
        with naming_disk_trouble():
            _link_or_copy(source, target)
    except Unavailable as error:
        return error
    return None


def _link_or_copy(source: Path, target: Path) -> None:
    """Give a file that is on the disk already a second name.

    The new name is not flushed by itself: the disk's journal keeps it in order before the removal of the old.
    """
    try:
        _link(source, target)
    except FileExistsError:
        return  # moved before, by a process that died just then
    except OSError as error:
        if error.errno not in {errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP}:
            raise
        _copy(source, target)


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except FileNotFoundError:  # the folder is missing, seldom
        target.parent.mkdir(parents=True, exist_ok=True)
        os.link(source, target)


def _copy(source: Path, target: Path) -> None:
    temporary = _temporary(target)
    try:
        with source.open("rb") as reader, temporary.open("xb") as writer:
            shutil.copyfileobj(reader, writer, CHUNK_BYTES)
            writer.flush()
            os.fsync(writer.fileno())
        temporary.replace(target)
        flush_folder(target.parent)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _temporary(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.with_name(f".{path.name[:32]}.{secrets.token_hex(8)}")


def flush_folder(folder: Path) -> None:
    """Make new names in a folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _writable(folder: Path) -> bool:
    folder.mkdir(parents=True, exist_ok=True)
    return os.access(folder, os.W_OK | os.X_OK)
