"""`facefleet migrate`: the database brought up to date by itself, before anything starts."""

import asyncio

import typer

from app.commands.codes import DONE, TRY_LATER
from app.db.engine import Database, database_url
from app.db.migrate import migrate as bring_up_to_date
from app.settings import load_settings
from pipelines.errors import Unavailable


def migrate() -> None:
    """Bring the database's tables up to date: exit code 6 where it does not answer.

    Every start does this by itself; a cluster does it once, before its new version starts.
    """
    settings = load_settings()
    try:
        url = settings.database_url.get_secret_value() if settings.database_url else None
        asyncio.run(_migrate(Database(database_url(url, settings.home))))
    except Unavailable as error:
        typer.echo(f"facefleet: {error.message}", err=True)
        raise typer.Exit(TRY_LATER) from error
    typer.echo("facefleet: the database is up to date")
    raise typer.Exit(DONE)


async def _migrate(database: Database) -> None:
    try:
        await bring_up_to_date(database)
    finally:
        await database.close()
