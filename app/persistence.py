"""Open everything that remembers, in the order in which it needs each other, and close it in reverse.

database -> migrations -> keys, sessions, audit -> object storage -> records -> maintenance
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import structlog

from app.db.engine import Database, database_url
from app.db.migrate import migrate
from app.records.api_keys import ApiKeys
from app.records.audit import AuditLog
from app.records.cleanup import Cleanup
from app.records.deleting import RecordDeleter
from app.records.listing import RecordReader
from app.records.maintenance import Maintenance
from app.records.sessions import AdminSessions
from app.records.traffic import Traffic
from app.records.usage import KeyUsage
from app.records.writing import RecordWriter
from app.storage.local import LocalStore
from app.storage.s3 import S3Store
from app.storage.signing import UrlSigner, read_or_make_secret
from app.storage.spool import Spool
from app.storage.spooled import SpooledStore
from pipelines.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from pydantic import SecretStr

    from app.storage.port import ObjectStore
    from app.storage.s3 import S3Place

log = structlog.get_logger(__name__)

TRY_AGAIN_S = 2.0
SPOOL_BYTES = 4 * 1024**3


@dataclass(frozen=True, slots=True)
class PersistenceOptions:
    """What the operator chose.

    Attributes:
        home: folder of this service.
        database_url: None for a SQLite file in it.
        storage_enabled: whether pictures and results are kept.
        s3: None for a folder in it.
        spool_bytes: how much may wait on this machine while the storage is away.
        wait_for_store: answer only when the storage has the picture; for machines whose disks vanish.
        files_url: where this server gives out the local folder's objects.
        retention_days: how long images are kept; None for ever.
        bootstrap_key: a key that is to exist, with its webhook secret.
        session_mark: stands for the administrator's password: sessions of another one are over.
    """

    home: Path
    database_url: SecretStr | None = None
    storage_enabled: bool = True
    s3: S3Place | None = None
    spool_bytes: int = SPOOL_BYTES
    wait_for_store: bool = False
    files_url: str = "/files"
    retention_days: int | None = None
    bootstrap_key: SecretStr | None = None
    bootstrap_webhook_secret: SecretStr | None = None
    session_mark: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class Storage:
    """The tier that keeps pictures and results; `place` is where `objects` go in the end."""

    objects: SpooledStore
    place: ObjectStore
    signer: UrlSigner
    writer: RecordWriter
    reader: RecordReader
    deleter: RecordDeleter
    cleanup: Cleanup


@dataclass(frozen=True, slots=True)
class Persistence:
    """Everything that remembers; `storage` is None where pictures are not kept."""

    database: Database
    keys: ApiKeys
    sessions: AdminSessions
    audit: AuditLog
    maintenance: Maintenance
    traffic: Traffic
    storage: Storage | None


@asynccontextmanager
async def open_persistence(options: PersistenceOptions) -> AsyncIterator[Persistence]:
    """Open it for this process; leaving the block writes what is still in memory.

    Where the database is away, everything that needs it says so until it is back: no restart is needed.
    """
    configured = options.database_url.get_secret_value() if options.database_url else None
    async with AsyncExitStack() as stack:
        database = Database(database_url(configured, options.home))
        stack.push_async_callback(database.close)
        usage = KeyUsage(database)
        await usage.start()
        stack.push_async_callback(usage.close)
        traffic = Traffic(database)
        await traffic.start()
        stack.push_async_callback(traffic.close)
        keys = ApiKeys(database, usage)
        await _prepare(database, keys, options, stack)
        sessions = AdminSessions(database, options.session_mark)
        storage = await _open_storage(database, options, stack) if options.storage_enabled else None
        maintenance = Maintenance(
            sessions,
            storage.cleanup if storage else None,
            storage.deleter if storage else None,
            options.retention_days,
        )
        await maintenance.start()
        stack.push_async_callback(maintenance.close)
        yield Persistence(database, keys, sessions, AuditLog(database), maintenance, traffic, storage)


async def _prepare(
    database: Database, keys: ApiKeys, options: PersistenceOptions, stack: AsyncExitStack
) -> None:
    """Bring schema and bootstrap key in order: now, or as soon as the database answers."""

    async def attempt() -> bool:
        try:
            await migrate(database)
            await _put_bootstrap_key(keys, options)
        except Unavailable as error:
            log.warning("waiting for the database", reason=error.message)
            return False
        return True

    async def keep_trying() -> None:
        is_done = False
        while not is_done:
            await asyncio.sleep(TRY_AGAIN_S)
            is_done = await attempt()

    if not await attempt():
        trying = asyncio.create_task(keep_trying())
        stack.callback(trying.cancel)


async def _put_bootstrap_key(keys: ApiKeys, options: PersistenceOptions) -> None:
    if options.bootstrap_key is not None:
        secret = options.bootstrap_webhook_secret
        await keys.put_bootstrap(
            options.bootstrap_key.get_secret_value(), secret.get_secret_value() if secret else None
        )


async def _open_storage(database: Database, options: PersistenceOptions, stack: AsyncExitStack) -> Storage:
    signer = UrlSigner(read_or_make_secret(options.home / "secrets" / "url_signing_key"), options.files_url)
    place: ObjectStore = (
        S3Store(options.s3) if options.s3 is not None else LocalStore(options.home / "objects", signer)
    )
    reader = RecordReader(database)
    objects = SpooledStore(
        Spool(options.home / "spool", options.spool_bytes),
        place,
        signer,
        reader.named_objects,
        wait_for_store=options.wait_for_store,
    )
    await objects.start()
    stack.push_async_callback(objects.close)
    writer = RecordWriter(database, objects)
    stack.push_async_callback(writer.close)
    cleanup = Cleanup(database, objects)
    return Storage(objects, place, signer, writer, reader, RecordDeleter(database, cleanup), cleanup)
