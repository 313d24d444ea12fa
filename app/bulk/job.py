"""A bulk job from its folder to its end: `run_job`, for the command line and for programs."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx

from app.bulk.failures import failures_of, write_failures
from app.bulk.folder import JobFolder
from app.bulk.journal import Journal, read_journal
from app.bulk.lost import find_lost
from app.bulk.pace import Pace
from app.bulk.parts import Kept, PartWriter
from app.bulk.progress import JobProgress
from app.bulk.state import JobState
from app.bulk.work import BulkWork, Desk
from app.client.async_client import AsyncClient
from app.client.call import Connection
from app.client.errors import RateLimited, Unavailable
from app.client.retrying import RetryPolicy

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

    from app.bulk.folder import Job, Wanted
    from app.bulk.progress import Board
    from app.client.errors import ClientError


@dataclass(frozen=True, slots=True)
class Manner:
    """How a job is done; none of it changes what comes out.

    Attributes:
        concurrency: tasks under way at once, at most.
        patience_s: how long a service may be away before the job stops.
        retries: how often a task is made again that the service failed through its own fault.
        forgets: whether tasks and uploads are removed from the service once their results are here.
        show_every_s: how often progress is shown, at most.
    """

    concurrency: int = 64
    patience_s: float = 1800.0
    retries: int = 2
    forgets: bool = False
    show_every_s: float = 10.0


@dataclass(frozen=True, slots=True)
class JobEnd:
    """How a job ended."""

    job: Job
    done: int
    failed: int
    faces: int
    media_s: float
    was_there: bool


def run_job(
    path: Path,
    wanted: Wanted,
    service: Connection | AbstractContextManager[Connection],
    board: Board,
    manner: Manner,
) -> JobEnd:
    """Do a job, or what is left of it.

    Args:
        path: its folder.
        wanted: what it is.
        service: where it is, and with which key; or what starts it once the folder is the job's.
        board: shows how it goes.
        manner: how it is done.

    Raises:
        BulkError: it cannot be begun, or not go on now.
    """
    folder = JobFolder(path)
    folder.take()
    try:
        job, was_there = folder.open(wanted)
        if was_there:
            board.say("going on where the job was left")
        state = JobState.replayed(job.rows, read_journal(path / "journal.jsonl"))
        try:
            if not (state.is_over and len(state.parts) == -(-job.rows // job.part_rows)):
                with nullcontext(service) if isinstance(service, Connection) else service as connection:
                    asyncio.run(_worked(folder, job, state, connection, board, manner))
        finally:
            failed = failures_of(read_journal(path / "journal.jsonl"))
            write_failures(path, folder.manifest(job).rows(), failed)
        if state.is_over:
            with suppress(OSError):
                (path / "work").rmdir()
        return JobEnd(job, state.done, state.failed, state.faces, state.media_s, was_there)
    finally:
        folder.release()
        folder.forget()


async def _worked(
    folder: JobFolder, job: Job, state: JobState, connection: Connection, board: Board, manner: Manner
) -> None:
    pace = Pace(manner.concurrency)
    work: BulkWork | None = None
    progress = JobProgress(
        state, board, lambda: work.under_way if work is not None else 0, manner.show_every_s
    )

    def heard(error: ClientError, pause_s: float) -> None:
        if isinstance(error, (RateLimited, Unavailable)):
            pace.refused()
        progress.heard(error, pause_s)

    policy = RetryPolicy(tries=1_000_000, longest_s=30.0, patience_s=manner.patience_s)
    limits = httpx.Limits(max_connections=manner.concurrency + 8, max_keepalive_connections=32)
    timeout = httpx.Timeout(connection.timeout_s, connect=10.0, pool=None)
    journal = Journal(folder.path / "journal.jsonl")
    try:
        async with (
            httpx.AsyncClient(timeout=timeout, limits=limits) as http,
            AsyncClient(connection, policy, http, heard) as client,
        ):
            await find_lost(job, state, journal, client)
            desk = Desk(
                job,
                state,
                journal,
                Kept(folder.path / "work"),
                PartWriter(folder.path, job.file_format),
                pace,
                client,
                progress,
                folder.skipped(),
                manner.retries,
                manner.forgets,
            )
            work = BulkWork(desk)
            await work.run(folder.manifest(job).rows())
    finally:
        await journal.close()
        progress.show()
