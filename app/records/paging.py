"""Which rows a page holds, and from which end of the list they are reached sooner."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import select

if TYPE_CHECKING:
    import uuid

    from sqlalchemy import Select, Subquery
    from sqlalchemy.orm import InstrumentedAttribute

MOST_PER_PAGE = 100
# Databases count in 64 bits; no list is this long.
_FURTHEST = 2**53


@dataclass(frozen=True, slots=True)
class Walk:
    """Skip so many rows from one end, then take so many."""

    from_newest: bool
    skip: int
    take: int


def walk_to(page: int, per_page: int, total: int) -> Walk:
    """Return the shorter way to a page of a list that is shown newest first.

    Skipped rows cost time, so a page of the older half is reached from the oldest end.
    """
    skip = min((page - 1) * per_page, _FURTHEST)
    take = max(0, min(per_page, total - skip))
    after = total - skip - take
    if take == 0 or skip <= after:
        return Walk(from_newest=True, skip=skip, take=take)
    return Walk(from_newest=False, skip=after, take=take)


def page_of_ids(
    identifier: InstrumentedAttribute[uuid.UUID], walk: Walk, *, among: Select[uuid.UUID] | None = None
) -> Subquery:
    """Select a page's identifiers. Only the index is read on the way there, never the rows."""
    query = among if among is not None else select(identifier)
    order = identifier.desc() if walk.from_newest else identifier.asc()
    return query.order_by(order).offset(walk.skip).limit(walk.take).subquery()
