"""What the first start of a service makes: a key, and the administrator's password."""

import asyncio
from dataclasses import dataclass

from app.admin_password import first_admin_password
from app.db.engine import Database, database_url
from app.db.migrate import migrate
from app.records.api_keys import ApiKeys
from app.records.usage import KeyUsage
from app.records.values import Actor
from app.settings import Settings
from pipelines.errors import Unavailable

MAKER = Actor("facefleet up")


@dataclass(frozen=True, slots=True)
class Made:
    """Secrets that were made just now and are kept nowhere; None where there were some already.

    Attributes:
        trouble: why no key could be made, though there may be none.
    """

    key: str | None
    admin_password: str | None
    trouble: str | None = None


def make_first_secrets(settings: Settings) -> Made:
    """Make what there is not yet and what the operator did not set himself."""
    password = None if settings.admin_password else first_admin_password(settings.home)
    if settings.bootstrap_key or not settings.database_enabled or not settings.api_key_enabled:
        return Made(None, password)
    try:
        return Made(asyncio.run(_first_key(settings)), password)
    except Unavailable as error:
        return Made(None, password, error.message)


async def _first_key(settings: Settings) -> str | None:
    given = settings.database_url
    database = Database(database_url(given.get_secret_value() if given else None, settings.home))
    try:
        await migrate(database)
        made = await ApiKeys(database, KeyUsage(database)).create_first("first key", MAKER)
    finally:
        await database.close()
    return made.key if made else None
