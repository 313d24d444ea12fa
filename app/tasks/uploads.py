"""Files that clients send in parts, each over a signed address; then they are media like any other.

    POST /v1/uploads -> addresses of the parts -> PUT each, in any order, again where it broke -> complete

Where pictures are kept in S3 the addresses lead there, and no byte of the file passes this service. Elsewhere
they lead here, and each part is an object of its own: a part is small enough for one body.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Protocol

from sqlalchemy import delete, insert, select, update

from app.db.ids import new_id
from app.db.tables import CleanupTaskRow
from app.db.task_tables import UploadPartRow, UploadRow
from app.db.upsert import insert_for
from app.errors import Conflict, Forbidden, NotFound
from app.records.cleanup import register
from app.tasks.queue import utc_now
from app.tasks.values import read_upload_id, upload_text
from pipelines.errors import InvalidOption, MediaTooLarge

if TYPE_CHECKING:
    import uuid
    from collections.abc import AsyncGenerator, Callable
    from datetime import datetime

    from sqlalchemy import Select

    from app.db.engine import Database, Reading, Writing
    from app.records.cleanup import Cleanup
    from app.storage.port import ObjectStore
    from app.tasks.signing import TextSigner

PART_BYTES = 8 * 1024 * 1024
#: S3 takes no smaller parts than 5 MiB, and no more than 10,000 of them.
MOST_BYTES = 2_000_000_000
#: To be sent within this time, and to be used within it.
LIVES = timedelta(days=1)
PATH = "/v1/uploads"
_COMPLETE = "The upload is complete; its parts cannot be changed."


@dataclass(frozen=True, slots=True)
class Upload:
    """A file on its way, or whole."""

    id: uuid.UUID
    owner: uuid.UUID
    filename: str
    size_bytes: int
    part_bytes: int
    is_complete: bool
    expires_at: datetime
    multipart_id: str | None = None
    object_key: str | None = None

    @property
    def part_count(self) -> int:
        """Return how many parts it has."""
        return math.ceil(self.size_bytes / self.part_bytes)

    def bytes_of(self, number: int) -> int:
        """Return how large a part is; they are counted from 1 and all but the last are alike."""
        return min(self.part_bytes, self.size_bytes - (number - 1) * self.part_bytes)


class Multipart(Protocol):
    """A storage that takes parts itself."""

    async def begin(self, key: str) -> str:
        """Begin an object of parts and return what the storage calls it."""

    async def part_url(self, key: str, multipart_id: str, number: int, expires_in_s: int) -> str:
        """Return the address that a part is sent to."""

    async def arrived(self, key: str, multipart_id: str) -> set[int]:
        """Return the numbers of the parts that are there."""

    async def finish(self, key: str, multipart_id: str) -> int:
        """Join the parts that are there and return the object's size; again, only the size."""

    async def abandon(self, key: str, multipart_id: str) -> None:
        """Drop the parts."""


class Uploads:
    """All files that are on their way, and those that have arrived.

    Args:
        database: knows of them.
        objects: where the bytes are.
        cleanup: removes what was registered to go.
        signer: signs the addresses of parts.
        multipart: where the storage takes the parts itself.
    """

    def __init__(
        self,
        database: Database,
        objects: ObjectStore,
        cleanup: Cleanup,
        signer: TextSigner,
        multipart: Multipart | None = None,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._database = database
        self._objects = objects
        self._cleanup = cleanup
        self._signer = signer
        self._multipart = multipart
        self._now = now

    async def begin(self, owner: uuid.UUID, filename: str, size_bytes: int) -> Upload:
        """Note a file that will come.

        Raises:
            MediaTooLarge: it would be too large for any task.
        """
        if size_bytes > MOST_BYTES:
            message = f"size: at most {MOST_BYTES} bytes are accepted."
            raise MediaTooLarge(message)
        now = self._now()
        upload_id = new_id(now)
        key = multipart_id = None
        if self._multipart is not None:
            key = f"uploads/{upload_id.hex}"
            multipart_id = await self._multipart.begin(key)
        upload = Upload(
            upload_id,
            owner,
            filename,
            size_bytes,
            PART_BYTES,
            is_complete=False,
            expires_at=now + LIVES,
            multipart_id=multipart_id,
            object_key=key,
        )
        async with self._database.transaction() as tx:
            await tx.execute(
                insert(UploadRow).values(
                    id=upload.id,
                    owner=owner,
                    filename=filename,
                    size_bytes=size_bytes,
                    part_bytes=PART_BYTES,
                    multipart_id=multipart_id,
                    object_key=key,
                    is_complete=False,
                    created_at=now,
                    expires_at=upload.expires_at,
                )
            )
        return upload

    async def part_urls(self, upload: Upload, origin: str) -> list[str]:
        """Return where each part is sent to, in order.

        Args:
            upload: the file.
            origin: where clients reach this service.
        """
        numbers = range(1, upload.part_count + 1)
        if self._multipart is not None and upload.object_key and upload.multipart_id:
            lives_s = max(1, int((upload.expires_at - self._now()).total_seconds()))
            return [
                await self._multipart.part_url(upload.object_key, upload.multipart_id, number, lives_s)
                for number in numbers
            ]
        expires = int(upload.expires_at.timestamp())
        return [
            f"{origin}{PATH}/{upload_text(upload.id)}/parts/{number}?expires={expires}"
            f"&signature={await self._signer.sign('part', upload.id.hex, str(number), str(expires))}"
            for number in numbers
        ]

    async def check_part(self, upload_id: uuid.UUID, number: int, expires: int, signature: str) -> Upload:
        """Return the upload that a part's address is for, before a byte of it is read.

        Raises:
            Forbidden: the address is none of ours, or its time is over.
        """
        genuine = await self._signer.verify(signature, "part", upload_id.hex, str(number), str(expires))
        if not genuine or expires <= self._now().timestamp():
            message = "This address has expired, or was never valid."
            raise Forbidden(message)
        async with self._database.read() as tx:
            return await _found(tx, upload_id)

    async def put_part(self, upload: Upload, number: int, data: bytes) -> None:
        """Keep a part; one that came before is replaced.

        Raises:
            InvalidOption: it has another size than announced.
            Conflict: the upload is complete.
        """
        if len(data) != upload.bytes_of(number):
            message = f"Part {number} must have {upload.bytes_of(number)} bytes, not {len(data)}."
            raise InvalidOption(message)
        if upload.is_complete:
            raise Conflict(_COMPLETE)
        key = f"uploads/{upload.id.hex}/{number:05d}-{new_id().hex}"
        # Should this process die on the way, the object is removed after a while.
        async with self._database.transaction() as tx:
            await register(tx, [key])
        await self._objects.put(key, data)
        async with self._database.transaction() as tx:
            if (await _found(tx, upload.id, lock=True)).is_complete:
                raise Conflict(_COMPLETE)
            before = await tx.scalar(
                select(UploadPartRow.object_key).where(
                    UploadPartRow.upload_id == upload.id, UploadPartRow.number == number
                )
            )
            statement = insert_for(tx.dialect, UploadPartRow).values(
                upload_id=upload.id, number=number, object_key=key, size_bytes=len(data)
            )
            await tx.execute(
                statement.on_conflict_do_update(
                    index_elements=[UploadPartRow.upload_id, UploadPartRow.number],
                    set_={"object_key": key, "size_bytes": len(data)},
                )
            )
            await tx.execute(delete(CleanupTaskRow).where(CleanupTaskRow.object_key == key))
            replaced = [before] if before else []
            await register(tx, replaced)
        await self._cleanup.try_now(replaced)

    async def complete(self, owner: uuid.UUID, upload_id: uuid.UUID) -> Upload:
        """Say that every part was sent; any number of times.

        Raises:
            NotFound: there is no such upload.
            Forbidden: it is another's.
            Conflict: parts are missing.
        """
        upload = await self.get(owner, upload_id)
        if upload.is_complete:
            return upload
        missing = await self.missing_parts(upload)
        if missing:
            shown = ", ".join(map(str, missing[:10]))
            message = f"{len(missing)} parts are missing, the first of them: {shown}."
            raise Conflict(message)
        if self._multipart is not None and upload.object_key and upload.multipart_id:
            size = await self._multipart.finish(upload.object_key, upload.multipart_id)
            if size != upload.size_bytes:
                message = f"The parts have {size} bytes together, not {upload.size_bytes}."
                raise Conflict(message)
        async with self._database.transaction() as tx:
            await tx.execute(update(UploadRow).where(UploadRow.id == upload_id).values(is_complete=True))
            return await _owned(tx, owner, upload_id)

    async def missing_parts(self, upload: Upload) -> list[int]:
        """Return which parts did not arrive yet."""
        if upload.is_complete:
            return []
        if self._multipart is not None and upload.object_key and upload.multipart_id:
            arrived = await self._multipart.arrived(upload.object_key, upload.multipart_id)
        else:
            async with self._database.read() as tx:
                arrived = set(
                    await tx.scalars(select(UploadPartRow.number).where(UploadPartRow.upload_id == upload.id))
                )
        return [number for number in range(1, upload.part_count + 1) if number not in arrived]

    async def get(self, owner: uuid.UUID, upload_id: uuid.UUID) -> Upload:
        """Return an upload.

        Raises:
            NotFound: there is no such upload.
            Forbidden: it is another's.
        """
        async with self._database.read() as tx:
            return await _owned(tx, owner, upload_id)

    async def open(self, owner: uuid.UUID, upload_id: str) -> AsyncGenerator[bytes, None]:
        """Give a whole file's bytes; `LookupError` before the first where its owner has no such file."""
        parsed = read_upload_id(upload_id)
        if parsed is None:
            raise LookupError
        async with self._database.read() as tx:
            try:
                upload = await _owned(tx, owner, parsed)
            except (NotFound, Forbidden):
                raise LookupError from None
            keys = [upload.object_key] if upload.object_key else list(await tx.scalars(_parts_of(parsed)))
        if not upload.is_complete:
            raise LookupError
        for key in keys:
            async for piece in self._objects.get(key):
                yield piece

    async def remove(self, owner: uuid.UUID, upload_id: uuid.UUID) -> None:
        """Remove an upload and its bytes; one that is not there, or another's, is left alone."""
        async with self._database.transaction() as tx:
            try:
                upload = await _found(tx, upload_id, lock=True)
            except NotFound:
                return
            if upload.owner != owner:
                return
            keys = await _remove(tx, upload)
        await self._cleanup.try_now(keys)

    async def remove_expired(self) -> None:
        """Remove uploads whose time is over."""
        async with self._database.read() as tx:
            over = list(
                await tx.scalars(select(UploadRow.id).where(UploadRow.expires_at <= self._now()).limit(100))
            )
        for upload_id in over:
            async with self._database.transaction() as tx:
                try:
                    upload = await _found(tx, upload_id, lock=True)
                except NotFound:
                    continue  # another process was quicker
                keys = await _remove(tx, upload)
            await self._cleanup.try_now(keys)
            if self._multipart is not None and upload.multipart_id and not upload.is_complete:
                await self._multipart.abandon(upload.object_key or "", upload.multipart_id)


def _parts_of(upload_id: uuid.UUID) -> Select[Any]:
    return (
        select(UploadPartRow.object_key)
        .where(UploadPartRow.upload_id == upload_id)
        .order_by(UploadPartRow.number)
    )


async def _remove(tx: Writing, upload: Upload) -> list[str]:
    keys = list(await tx.scalars(_parts_of(upload.id)))
    if upload.object_key:
        keys.append(upload.object_key)
    await register(tx, keys)
    await tx.execute(delete(UploadRow).where(UploadRow.id == upload.id))
    return keys


async def _owned(tx: Reading, owner: uuid.UUID, upload_id: uuid.UUID) -> Upload:
    upload = await _found(tx, upload_id)
    if upload.owner != owner:
        message = "This upload belongs to another key."
        raise Forbidden(message)
    return upload


async def _found(tx: Reading, upload_id: uuid.UUID, *, lock: bool = False) -> Upload:
    query = select(
        UploadRow.id,
        UploadRow.owner,
        UploadRow.filename,
        UploadRow.size_bytes,
        UploadRow.part_bytes,
        UploadRow.is_complete,
        UploadRow.expires_at,
        UploadRow.multipart_id,
        UploadRow.object_key,
    ).where(UploadRow.id == upload_id)
    row = (await tx.execute(query.with_for_update() if lock else query)).one_or_none()
    if row is None:
        message = "There is no such upload."
        raise NotFound(message)
    return Upload(*row)
