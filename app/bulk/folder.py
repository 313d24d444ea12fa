"""A job's output folder: what it belongs to, and that only one process works in it.

job.json         what the job is; written first, never changed
job-manifest.*   its own copy of the manifest
job-skipped.json rows that were left out from the beginning, and why
journal.jsonl    what was done
work/            results that wait for their part
faces/ tracks/ media/   the tables
failures.csv     rows that failed, with reasons: a manifest of its own
"""

from __future__ import annotations

import json
import shutil
import time
import uuid
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from app.bulk.errors import SHOWN_ROWS, BadRows, FolderTaken
from app.bulk.files import whole_file
from app.bulk.manifest import Manifest, check
from app.bulk.sources import COPY, base_of, fingerprint, freeze
from app.bulk.tables import VERSION

if TYPE_CHECKING:
    from collections.abc import Mapping

PART_ROWS = 500
SKIPPED = "job-skipped.json"
#: Made before a job is one; a start that was killed leaves them.
_NOT_OURS_TO_MIND = (".lock", ".service", COPY, "job-skipped", "job.json.part")


@dataclass(frozen=True, slots=True)
class Job:
    """What a job is.

    Attributes:
        job_id: in the idempotency keys of its tasks.
        given: the manifest as it was named.
        fingerprint: of the manifest and of all that changes what the job does.
        manifest: the job's own copy, in its folder.
        base: what paths in it are relative to.
        defaults: options of rows that do not say otherwise.
        ignores_others: whether columns that mean nothing are read over.
        file_format: of the tables.
        rows: how many.
        part_rows: rows of the manifest in a part of the tables.
        url: of the service; `local` where the job brings its own.
        begun_at: seconds since 1970.
        schema_version: of the tables.
    """

    job_id: str
    given: str
    fingerprint: str
    manifest: str
    base: str
    defaults: Mapping[str, Any]
    ignores_others: bool
    file_format: str
    rows: int
    part_rows: int
    url: str
    begun_at: float
    schema_version: int = VERSION


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the command line asks for."""

    given: str
    url: str
    defaults: Mapping[str, Any]
    file_format: str = "parquet"
    ignores_others: bool = False
    skips_bad_rows: bool = False
    part_rows: int = PART_ROWS


class JobFolder:
    """The folder of a job; held by one process at a time from `take` to `release`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = FileLock(path / ".lock")
        self._made = False

    def take(self) -> None:
        """Keep others out.

        Raises:
            FolderTaken: another process works in it.
        """
        if self.path.exists() and not self.path.is_dir():
            message = f"{self.path} is a file; --out names a folder"
            raise FolderTaken(message)
        foreign = not self.path.exists() or (self.path / "job.json").exists() or not self._others()
        if not foreign:
            message = f"{self.path} is not empty, and what is in it is no bulk job; choose another folder"
            raise FolderTaken(message)
        self._made = not self.path.exists()
        self.path.mkdir(parents=True, exist_ok=True)
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            message = f"another process works in {self.path}; wait for it, or choose another folder"
            raise FolderTaken(message) from None

    def release(self) -> None:
        """Let others in."""
        self._lock.release()

    def read(self) -> Job | None:
        """Return the job of this folder; None where it is empty."""
        path = self.path / "job.json"
        if not path.exists():
            return None
        try:
            return Job(**json.loads(path.read_bytes()))
        except (ValueError, TypeError) as error:
            message = f"{path} was written by another version of facefleet; choose another folder"
            raise FolderTaken(message) from error

    def open(self, wanted: Wanted) -> tuple[Job, bool]:
        """Return the job, and whether it was there before.

        Raises:
            FolderTaken: the folder belongs to another job.
            BadManifest: the manifest cannot be used.
            BadRows: some of its rows cannot.
        """
        found = self.read()
        mark = _mark(wanted)
        if found is None:
            return self._begin(wanted, mark), False
        begun = time.strftime("%Y-%m-%d %H:%M", time.localtime(found.begun_at))
        if found.fingerprint != mark:
            message = (
                f"{self.path} belongs to another job, begun on {begun} with {found.given}: the manifest's "
                "content or the options differ. Choose another folder, or call it as it was called then."
            )
            raise FolderTaken(message)
        if found.url != wanted.url:
            message = (
                f"{self.path} belongs to a job at {found.url}; its tasks are there and not at {wanted.url}"
            )
            raise FolderTaken(message)
        return found, True

    def manifest(self, job: Job) -> Manifest:
        """Return the job's own manifest."""
        path = self.path / job.manifest
        return Manifest(path, job.defaults, Path(job.base), ignores_others=job.ignores_others)

    def skipped(self) -> dict[int, str]:
        """Return the rows that were left out from the beginning, and why."""
        return {int(row): reason for row, reason in json.loads((self.path / SKIPPED).read_bytes()).items()}

    def _begin(self, wanted: Wanted, mark: str) -> Job:
        frozen = None
        try:
            frozen = freeze(wanted.given, self.path)
            base = base_of(wanted.given)
            manifest = Manifest(frozen, wanted.defaults, base, ignores_others=wanted.ignores_others)
            total, bad, count = check(manifest, None if wanted.skips_bad_rows else SHOWN_ROWS)
            if bad and (not wanted.skips_bad_rows or count == total):
                raise BadRows(bad, count, total)  # noqa: TRY301 - what was made is removed below
            skipped = {row.number: row.reason for row in bad}
            with whole_file(self.path / SKIPPED) as stream:
                stream.write(json.dumps(skipped).encode())
        except BaseException:
            if frozen is not None:
                frozen.unlink(missing_ok=True)
            raise
        job = Job(
            uuid.uuid4().hex,
            wanted.given,
            mark,
            frozen.name,
            str(base),
            dict(wanted.defaults),
            wanted.ignores_others,
            wanted.file_format,
            total,
            wanted.part_rows,
            wanted.url,
            time.time(),
        )
        with whole_file(self.path / "job.json") as stream:
            stream.write(json.dumps(asdict(job), indent=1).encode())
        return job

    def forget(self) -> None:
        """Remove a folder in which nothing was begun."""
        if self._made and not (self.path / "job.json").exists() and not self._others():
            shutil.rmtree(self.path, ignore_errors=True)

    def _others(self) -> list[str]:
        return [each.name for each in self.path.iterdir() if not each.name.startswith(_NOT_OURS_TO_MIND)]


def _mark(wanted: Wanted) -> str:
    rest = [
        wanted.defaults,
        wanted.file_format,
        wanted.ignores_others,
        wanted.part_rows,
        wanted.skips_bad_rows,
    ]
    return f"{fingerprint(wanted.given)} {json.dumps(rest, sort_keys=True)}"
