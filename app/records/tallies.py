"""Running totals, kept right by whoever adds or removes what they count."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from sqlalchemy import select

from app.db.bulk import EngineBulk
from app.db.tables import TallyRow
from app.db.upsert import DIALECTS, insert_for

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Dialect, Insert

    from app.db.bulk import Bulk
    from app.db.engine import Reading, Writing

IMAGES = "images"
IMAGE_BYTES = "images.bytes"
ORIGINAL_BYTES = "originals.bytes"
PROCESSED_BYTES = "processed.bytes"
FACES = "faces"
JOBS = "jobs."


def jobs_name(job_type: str, method: str | None) -> str:
    """Name the total of one kind of job."""
    return f"{JOBS}{job_type}.{method}" if method else f"{JOBS}{job_type}"


def _add(dialect: Dialect) -> Insert:
    insert = insert_for(dialect, TallyRow)
    return insert.on_conflict_do_update(
        index_elements=[TallyRow.name], set_={"amount": TallyRow.amount + insert.excluded.amount}
    )


_ADD = {dialect.name: _add(dialect) for dialect in DIALECTS}


async def add(tx: Writing, changes: Mapping[str, int]) -> None:
    """Change totals; see `add_here`."""
    await tx.run_sync(lambda connection: add_here(EngineBulk(connection), changes))


def add_here(tx: Bulk, changes: Mapping[str, int]) -> None:
    """Change totals. Do it last in a transaction: every other writer waits for these rows.

    The order of names is the same for all, so two writers cannot wait for each other.
    """
    rows = [{"name": name, "amount": amount} for name, amount in sorted(changes.items()) if amount]
    if not rows:
        return
    tx.run(_ADD[tx.dialect.name], rows)


async def totals(tx: Reading) -> Counter[str]:
    """Return all totals; one that was never counted is zero."""
    rows = await tx.execute(select(TallyRow.name, TallyRow.amount))
    return Counter(dict(rows.all()))


def count_jobs(totals: Mapping[str, int], job_type: str | None, method: str | None) -> int:
    """Tell how many jobs pass the filters."""
    return sum(
        amount
        for name, amount in totals.items()
        if name.startswith(JOBS) and _passes(name.removeprefix(JOBS), job_type, method)
    )


def _passes(kind: str, job_type: str | None, method: str | None) -> bool:
    its_type, _, its_method = kind.partition(".")
    return job_type in {None, its_type} and method in {None, its_method}
