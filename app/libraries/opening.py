"""Open everything that libraries stand on, for this process, and close it in reverse."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import structlog

from app.errors import NotOffered
from app.intake.buckets import BucketSender
from app.intake.data_urls import DataSender
from app.intake.fetching import Intake
from app.intake.uploaded import UploadSender
from app.intake.web import WebSender
from app.libraries.enrolling import Enrolment
from app.libraries.erasing import Erasure
from app.libraries.galleries import DatabaseGalleries
from app.libraries.pictures import Pictures
from app.libraries.recognition import Recognizer
from app.libraries.store import LibraryStore
from app.libraries.thumbnails import Thumbnails
from app.logs import log_bug
from app.net.open import open_outbound
from app.services import s3_access
from app.storage.s3 import s3_client
from app.tasks.scratch import Scratch
from app.tasks.signing import TextSigner
from pipelines.errors import Unavailable
from pipelines.gallery.shelf import Shelf

if TYPE_CHECKING:
    import uuid
    from collections.abc import AsyncIterator, Coroutine, Hashable, Sequence

    from app.db.engine import Database
    from app.intake.port import Sender
    from app.libraries.erasing import Mentions
    from app.libraries.values import PersonFace
    from app.services import Services
    from app.tasks.uploads import Uploads
    from pipelines.similarity import Calibration

#: How long vectors of somebody who was erased may stay in a process that is asked nothing.
TIDY_EVERY_S = 60.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class EmbeddingModel:
    """The network that this service knows people by.

    Attributes:
        space: what its vectors can be compared within.
        calibration: what their cosines mean.
    """

    space: str
    calibration: Calibration


@dataclass(frozen=True, slots=True)
class Libraries:
    """What the routes of libraries stand on.

    Attributes:
        store: libraries and people.
        enrolment: changes of who is known.
        erasure: forgets people.
        recognizer: finds people.
        pictures: what requests name.
        thumbnails: pictures of the faces that people are known by; None where nothing is kept.
    """

    store: LibraryStore
    enrolment: Enrolment
    erasure: Erasure
    recognizer: Recognizer
    pictures: Pictures
    thumbnails: Thumbnails | None = None

    async def thumbnail_urls(self, faces: Sequence[PersonFace], origin: str) -> dict[uuid.UUID, str]:
        """Return where the pictures of these faces are, of those that have one."""
        if self.thumbnails is None:
            return {}
        return {
            face.id: await self.thumbnails.url(face.thumbnail_key, origin)
            for face in faces
            if face.thumbnail_key is not None
        }


@asynccontextmanager
async def open_recognizer(
    database: Database, model: EmbeddingModel, max_bytes: int, tidy_every_s: float = TIDY_EVERY_S
) -> AsyncIterator[Recognizer]:
    """Open the galleries of this process; for processes that only recognise.

    Args:
        database: where libraries are.
        model: the network that vectors come from.
        max_bytes: what galleries may take of memory.
        tidy_every_s: how often galleries are compared with the database without being asked.
    """
    source = DatabaseGalleries(database)
    shelf = Shelf(source, max_bytes)
    try:
        async with _in_background(_keep_tidy(source, shelf, tidy_every_s)):
            yield Recognizer(database, shelf, model.space, model.calibration)
    finally:
        await shelf.close()


@asynccontextmanager
async def open_libraries(
    services: Services,
    model: EmbeddingModel,
    *,
    uploads: Uploads | None = None,
    mentions: Mentions | None = None,
    tidy_every_s: float = TIDY_EVERY_S,
) -> AsyncIterator[Libraries]:
    """Open the libraries of this process.

    Args:
        services: the app's, with a database.
        model: the network that the engine embeds faces with.
        uploads: files sent in parts; None where nothing is kept.
        mentions: where else people may be named.
        tidy_every_s: how often galleries are compared with the database without being asked.

    Raises:
        NotOffered: there is no database.
    """
    memory, settings = services.memory, services.settings
    if memory is None:
        message = "libraries need the database"
        raise NotOffered(message)
    async with AsyncExitStack() as stack:
        outbound = stack.enter_context(open_outbound(settings.fetch_allow, settings.fetch_ca_file))
        web = WebSender(outbound)
        shared: dict[str, Sender] = {"http": web, "https": web, "data": DataSender()}
        if settings.fetch_s3_buckets:
            client = s3_client(s3_access(settings))
            stack.callback(client.close)
            buckets = BucketSender(client, settings.fetch_s3_buckets)
            stack.push_async_callback(buckets.close)
            shared["s3"] = buckets

        def intake_of(owner: uuid.UUID) -> Intake:
            if uploads is None:
                return Intake(shared)
            return Intake({**shared, "upload": UploadSender(partial(uploads.open, owner))})

        scratch = Scratch(settings.home / "scratch")
        await asyncio.to_thread(scratch.open)
        stack.callback(scratch.close)
        recognizer = await stack.enter_async_context(
            open_recognizer(memory.database, model, settings.gallery_max_bytes, tidy_every_s)
        )
        thumbnails = thumbnails_of(services)
        erasure = Erasure(memory.database, mentions, thumbnails)
        await stack.enter_async_context(_in_background(_keep_erasing(erasure, tidy_every_s)))
        yield Libraries(
            LibraryStore(memory.database, TextSigner(memory.database), model.space),
            Enrolment(memory.database, model.space, thumbnails),
            erasure,
            recognizer,
            Pictures(intake_of, scratch, services.engine, settings.max_image_bytes),
            thumbnails,
        )


def thumbnails_of(services: Services) -> Thumbnails | None:
    """Return who keeps pictures of faces; None where nothing is kept."""
    memory, settings = services.memory, services.settings
    if memory is None or memory.storage is None:
        return None
    storage, lifetime_s = memory.storage, settings.object_url_ttl_s
    keeps_new = settings.reference_thumbnails
    return Thumbnails(memory.database, storage.place, storage.cleanup, lifetime_s, keeps_new=keeps_new)


@asynccontextmanager
async def _in_background(work: Coroutine[None, None, None]) -> AsyncIterator[None]:
    doing = asyncio.create_task(work)
    try:
        yield
    finally:
        doing.cancel()
        with suppress(asyncio.CancelledError):
            await doing


async def _keep_erasing(erasure: Erasure, every_s: float) -> None:
    """Go on with what processes that died have left of an erasure."""
    while True:
        await asyncio.sleep(every_s)
        try:
            await erasure.finish()
        except Unavailable as error:
            log.warning("erasing people from results waits", reason=error.message)
        except Exception as error:  # noqa: BLE001 - the next time may go better
            log_bug("erasing people from results stumbled", error)


async def _keep_tidy(source: DatabaseGalleries, shelf: Shelf, every_s: float) -> None:
    """Have galleries that nobody asks follow the database as well: who was erased leaves memory too."""
    while True:
        await asyncio.sleep(every_s)
        try:
            here: tuple[Hashable, ...] = shelf.libraries
            now = await source.revisions(here)
            for library in here:
                if library not in now:
                    shelf.forget(library)
                else:
                    await shelf.refresh(library, now[library])
            await source.forget_departed()
        except Unavailable as error:
            log.warning("tidying galleries waits", reason=error.message)
        except Exception as error:  # noqa: BLE001 - the next time may go better
            log_bug("tidying galleries stumbled", error)
