"""A bulk job at work.

rows -> [a place among those under way] -> file sent -> task -> [seen to have ended] -> result kept -> part

Every arrow is in the journal, so that whoever goes on after a kill begins where it ended.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from app.bulk.errors import Stopped
from app.bulk.lost import task_key
from app.bulk.rows import BadRow
from app.bulk.state import OPEN
from app.bulk.tables import OWN_METADATA, header_of, tally
from app.bulk.waiting import TaskWatch
from app.client import task_calls
from app.client.call import answer_json
from app.client.errors import (
    ApiError,
    ClientError,
    NotFound,
    RateLimited,
    Unauthorized,
    Unavailable,
    Unreachable,
)
from app.client.parts import FileChanged, LocalFile

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from app.bulk.folder import Job
    from app.bulk.journal import Journal
    from app.bulk.pace import Pace
    from app.bulk.parts import Kept, PartWriter
    from app.bulk.rows import Row
    from app.bulk.state import JobState
    from app.client.async_client import AsyncClient

#: Files that are sent at the same time.
UPLOADS_AT_ONCE = 4
#: What the service says of tasks that it failed itself.
OWN_FAULTS = frozenset({"internal_error", "service_unavailable"})
#: Where these end a call, nothing that follows would fare better.
_ENDS_ALL = (Unauthorized, RateLimited, Unavailable, Unreachable)


class Watcher(Protocol):
    """Whoever shows how a job goes."""

    def moved(self) -> None:
        """Something has changed."""


@dataclass(frozen=True, slots=True)
class Desk:
    """What a job works with."""

    job: Job
    state: JobState
    journal: Journal
    kept: Kept
    writer: PartWriter
    pace: Pace
    client: AsyncClient
    watcher: Watcher
    skipped: Mapping[int, str]
    retries: int = 2
    forgets: bool = False


class BulkWork:
    """Does what is left of a job."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._watch = TaskWatch(desk.client, desk.pace)
        self._under_way: set[asyncio.Task[None]] = set()
        self._room = asyncio.Event()
        self._uploads = asyncio.Semaphore(UPLOADS_AT_ONCE)
        self._trouble: BaseException | None = None
        self._left = self._count_left()
        self._writing = asyncio.Lock()

    @property
    def under_way(self) -> int:
        """Tell how many rows are at work now."""
        return len(self._under_way)

    async def run(self, rows: Iterable[Row | BadRow]) -> None:
        """Do every row that is open, and write every part.

        Raises:
            Stopped: the service, or its limits, do not let it go on now.
        """
        watching = asyncio.create_task(self._watch.run())
        watching.add_done_callback(self._noted)
        try:
            await self._write_complete_parts()
            for row in rows:
                if self._desk.state.rows[row.number] != OPEN:
                    continue
                while len(self._under_way) >= self._desk.pace.window and self._trouble is None:
                    await self._wait_for_room()
                if self._trouble is not None:
                    break
                self._begin(row)
            while self._under_way and self._trouble is None:
                await self._wait_for_room()
            if self._trouble is not None:
                raise self._trouble
        finally:
            for each in [watching, *self._under_way]:
                each.cancel()
            await asyncio.gather(watching, *self._under_way, return_exceptions=True)

    def _begin(self, row: Row | BadRow) -> None:
        task = asyncio.create_task(self._row(row))
        self._under_way.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        self._noted(task)

    def _noted(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None and self._trouble is None:
            self._trouble = error
        self._room.set()

    async def _wait_for_room(self) -> None:
        self._room.clear()
        try:
            # The window grows without anybody ending.
            await asyncio.wait_for(self._room.wait(), 0.2)
        except asyncio.TimeoutError:
            return

    async def _row(self, row: Row | BadRow) -> None:
        reason = self._desk.skipped.get(row.number)
        if isinstance(row, BadRow) or reason is not None:
            text = reason or (row.reason if isinstance(row, BadRow) else "")
            await self._failed(row, "unusable_row", text)
            return
        try:
            answer = await self._analysed(row)
        except (OSError, FileChanged) as error:
            await self._failed(row, "unreadable_file", _in_words(error))
        except _ENDS_ALL as error:
            raise Stopped(str(error)) from error
        except ApiError as error:
            await self._failed(row, error.code, error.message)
        except ClientError as error:
            await self._failed(row, "unreadable_answer", str(error))
        else:
            if answer is not None:
                await self._succeeded(row, answer)

    async def _analysed(self, row: Row) -> list[bytes] | None:
        """Return a row's result; None where its task failed for good, which is noted then."""
        desk = self._desk
        while True:
            work = desk.state.work(row.number)
            if work.task is None:
                work.task = await self._created(row)
            task_id = work.task
            answer = await self._watch.ended(task_id)
            told = answer_json(answer)
            if told["status"] == "succeeded":
                return [
                    answer.content,
                    *await self._further_pages(task_id, told["result"].get("next_cursor")),
                ]
            error = told.get("error") or {}
            code = str(error.get("code") or told["status"])
            if code not in OWN_FAULTS or work.tries >= desk.retries:
                await self._failed(row, code, str(error.get("message") or f"the task was {told['status']}"))
                return None
            tries = work.tries + 1
            await desk.journal.write("again", row.number, tries=tries, task=task_id)
            work.tries, work.task = tries, None

    async def _created(self, row: Row) -> str:
        desk = self._desk
        work = desk.state.work(row.number)
        media_url = await self._sent(row) if row.is_local else row.source
        key = task_key(desk.job.job_id, row.number, work.tries)
        if work.upload is not None:  # another file is another task
            key += f"-{work.upload[0][-12:]}"
        fields: Any = dict(row.fields)
        fields["metadata"] = {**(fields.get("metadata") or {}), OWN_METADATA: key}
        kind: Any = row.media_type
        made = await desk.client.tasks.create(kind, media_url, idempotency_key=key, **fields)
        await desk.journal.write("task", row.number, task=made.task_id)
        return made.task_id

    async def _sent(self, row: Row) -> str:
        """Send a row's file, or what is missing of it, and return its address."""
        desk = self._desk
        work = desk.state.work(row.number)
        async with self._uploads:
            file = await asyncio.to_thread(LocalFile.at, row.source)
            if work.upload is not None and work.upload[1:] == (file.size, file.changed_ns):
                try:
                    known = await desk.client.uploads.get(work.upload[0])
                    return (await desk.client.uploads.send_file(row.source, begun=known)).media_url
                except NotFound:
                    pass  # its day is over
            begun = await desk.client.uploads.begin(file.path.name, file.size)
            work.upload = (begun.upload_id, file.size, file.changed_ns)
            await desk.journal.write(
                "upload", row.number, upload=begun.upload_id, size=file.size, changed_ns=file.changed_ns
            )
            return (await desk.client.uploads.send_file(row.source, begun=begun)).media_url

    async def _further_pages(self, task_id: str, cursor: str | None) -> list[bytes]:
        pages = []
        while cursor is not None:
            page = await self._desk.client.send(task_calls.get_result_page_json(task_id, cursor))
            pages.append(page.content)
            cursor = answer_json(page)["next_cursor"]
        return pages

    async def _succeeded(self, row: Row, lines: list[bytes]) -> None:
        desk = self._desk
        counted = await asyncio.to_thread(_tally_of, lines[0])
        await asyncio.to_thread(desk.kept.put, row.number, [header_of(row), *lines])
        task_id = desk.state.work(row.number).task
        await self._over("done", row.number, faces=counted.faces, media_s=counted.media_s)
        if desk.forgets and task_id is not None:
            try:
                await desk.client.tasks.delete(task_id)
            except (NotFound, Unreachable):
                return  # it is gone, or the service drops it when its time is over

    async def _failed(self, row: Row | BadRow, code: str, reason: str) -> None:
        await asyncio.to_thread(self._desk.kept.put, row.number, [header_of(row, code, reason)])
        await self._over("failed", row.number, code=code, reason=reason)

    async def _over(self, event: str, row: int, **facts: Any) -> None:  # noqa: ANN401 - JSON
        desk = self._desk
        await desk.journal.write(event, row, **facts)
        desk.state.apply({"event": event, "row": row, "at": time.time(), **facts})
        desk.watcher.moved()
        part = row // desk.job.part_rows
        self._left[part] -= 1
        if not self._left[part]:
            await self._write_part(part)

    async def _write_complete_parts(self) -> None:
        """Write what a kill kept from being written, and drop what it kept from being dropped."""
        for part, left in enumerate(self._left):
            if left:
                continue
            if part in self._desk.state.parts:
                await asyncio.to_thread(self._desk.kept.drop, self._rows_of(part))
            else:
                await self._write_part(part)

    async def _write_part(self, part: int) -> None:
        desk = self._desk
        rows = self._rows_of(part)
        async with self._writing:  # one at a time is in memory
            await asyncio.to_thread(desk.writer.write, part, rows, desk.kept)
        await desk.journal.write("part", part)
        desk.state.parts.add(part)
        await asyncio.to_thread(desk.kept.drop, rows)

    def _rows_of(self, part: int) -> range:
        size = self._desk.job.part_rows
        return range(part * size, min((part + 1) * size, self._desk.job.rows))

    def _count_left(self) -> list[int]:
        job, state = self._desk.job, self._desk.state
        parts = -(-job.rows // job.part_rows)
        return [state.rows.count(OPEN, span.start, span.stop) for span in map(self._rows_of, range(parts))]


def _tally_of(answer: bytes) -> Any:  # noqa: ANN401 - a Tally
    from pydantic_core import from_json  # noqa: PLC0415 - beside its only use

    return tally(from_json(answer))


def _in_words(error: Exception) -> str:
    if isinstance(error, OSError):
        return f"{error.filename or 'the file'}: {error.strerror or error}"
    return str(error)
