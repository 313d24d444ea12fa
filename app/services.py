"""What the web app is given by whoever starts it, and how that is opened and closed."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from app.admin_password import AdminPassword, open_admin_password
from app.keys import OnlyKey
from app.limits import open_limiter
from app.persistence import PersistenceOptions, open_persistence
from app.storage.s3 import S3Place

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from app.keys import KeyStore
    from app.limits import Limiter
    from app.persistence import Persistence
    from app.settings import Settings
    from pipelines.ports import ImageEngine

#: Where objects of the local folder are given out.
FILES_PATH = "/files"


@dataclass(frozen=True, slots=True)
class Services:
    """The app's collaborators.

    Attributes:
        settings: what the operator set.
        engine: answers the pictures.
        keys: knows who may call.
        limiter: counts how often.
        admin: knows the administrator's password.
        memory: everything that is kept; None where the service runs without a database.
        is_behind_edge: whether our own proxy stands before the app. It already puts `X-Request-Id` on every
            request and answer, and says who the client is.
        is_draining: whether it is being taken out of work and takes nothing new.
    """

    settings: Settings
    engine: ImageEngine
    keys: KeyStore
    limiter: Limiter
    admin: AdminPassword
    memory: Persistence | None
    is_behind_edge: bool = False
    is_draining: bool = False


@asynccontextmanager
async def open_services(
    settings: Settings, engine: ImageEngine, *, is_behind_edge: bool = False, is_draining: bool = False
) -> AsyncIterator[Services]:
    """Open everything that these settings ask for; leaving the block writes what is still in memory.

    A database or storage that is away stops nothing: it is waited for, and `/health` says so.
    """
    admin = await open_admin_password(settings)
    redis_url = settings.redis_url.get_secret_value() if settings.redis_url else None
    limiter = open_limiter(settings.home, redis_url)
    try:
        if not settings.database_enabled:
            keys = OnlyKey(settings.bootstrap_key)
            yield Services(settings, engine, keys, limiter, admin, None, is_behind_edge, is_draining)
            return
        options = replace(persistence_options(settings), session_mark=admin.mark)
        async with open_persistence(options) as memory:
            yield Services(settings, engine, memory.keys, limiter, admin, memory, is_behind_edge, is_draining)
    finally:
        await limiter.close()


def persistence_options(settings: Settings) -> PersistenceOptions:
    """Return what of the settings concerns what is kept."""
    return PersistenceOptions(
        home=settings.home,
        database_url=settings.database_url,
        storage_enabled=settings.keeps_pictures,
        s3=_s3_place(settings),
        spool_bytes=settings.spool_max_bytes,
        wait_for_store=settings.wait_for_storage,
        files_url=FILES_PATH,
        retention_days=settings.retention_days,
        bootstrap_key=settings.bootstrap_key,
        bootstrap_webhook_secret=settings.bootstrap_webhook_secret,
    )


def _s3_place(settings: Settings) -> S3Place | None:
    return None if settings.s3_bucket is None else s3_access(settings)


def s3_access(settings: Settings) -> S3Place:
    """Return who this service is to S3, with its own bucket where it has one."""
    return S3Place(
        bucket=settings.s3_bucket or "",
        endpoint=settings.s3_endpoint,
        region=settings.s3_region,
        access_key_id=settings.s3_access_key_id,
        secret_access_key=settings.s3_secret_access_key,
        public_endpoint=settings.s3_public_endpoint,
    )
