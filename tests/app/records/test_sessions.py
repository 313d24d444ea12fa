"""Sessions of administrators, the audit log, and the password."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from app.admin_password import (
    AdminPassword,
    first_admin_password,
    hash_password,
    kept_password_hash,
)
from app.db.tables import AdminSessionRow
from app.records.values import Actor

if TYPE_CHECKING:
    from pathlib import Path

    from app.persistence import Persistence

HOUR = timedelta(hours=1)


async def test_a_session_holds_until_it_is_revoked(persistence: Persistence, admin: Actor) -> None:
    """After logout the very same cookie is worth nothing, and other sessions go on."""
    sessions = persistence.sessions
    token, other = [await sessions.create(admin, HOUR) for _ in range(2)]
    assert token != other
    assert await sessions.check(token) == "admin"
    assert await sessions.revoke(token, admin)
    assert await sessions.check(token) is None
    assert not await sessions.revoke(token, admin)
    assert await sessions.check(other) == "admin"


async def test_forged_and_expired_cookies_are_worth_nothing(persistence: Persistence, admin: Actor) -> None:
    """Guesses, tricks, changed and overdue cookies open nothing."""
    token = await persistence.sessions.create(admin, HOUR)
    expired = await persistence.sessions.create(admin, timedelta(0))
    for forged in ("", "admin", token + "x", token[:-1], "' OR 1=1 --", "x" * 100_000, "\udc80", expired):
        assert await persistence.sessions.check(forged) is None


async def test_the_database_does_not_know_cookies(persistence: Persistence, admin: Actor) -> None:
    """Who reads the database cannot log in with what is in it."""
    token = await persistence.sessions.create(admin, HOUR)
    async with persistence.database.read() as tx:
        kept = await tx.scalar(select(AdminSessionRow.token_hash))
    assert kept is not None
    assert token.encode() not in kept
    assert await persistence.sessions.check(kept.hex()) is None


async def test_ended_sessions_are_removed(persistence: Persistence, admin: Actor) -> None:
    """Maintenance keeps those that still hold."""
    live = await persistence.sessions.create(admin, HOUR)
    await persistence.sessions.create(admin, timedelta(0))
    await persistence.sessions.revoke(await persistence.sessions.create(admin, HOUR), admin)
    await persistence.maintenance.run()
    assert await persistence.sessions.check(live) == "admin"
    async with persistence.database.read() as tx:
        assert await tx.scalar(select(func.count()).select_from(AdminSessionRow)) == 1


async def test_the_audit_log_tells_who_did_what(persistence: Persistence) -> None:
    """Newest first, page by page, with all that was noted."""
    audit = persistence.audit
    for number in range(5):
        await audit.append(Actor(f"who {number}", "192.0.2.7"), "session.refused", "admin", {"n": number})
        await asyncio.sleep(0.002)  # entries of one millisecond have no order
    first = await audit.list(limit=2)
    assert [entry.who for entry in first] == ["who 4", "who 3"]
    rest = await audit.list(before=first[-1].id)
    assert [entry.detail["n"] for entry in rest] == [2, 1, 0]
    assert (rest[0].action, rest[0].address) == ("session.refused", "192.0.2.7")


async def test_only_the_right_name_and_password_pass() -> None:
    """Either of them wrong, or both, fails."""
    password = AdminPassword("admin", hash_password("correct horse"))
    assert await password.verify("admin", "correct horse")
    assert await password.verify("admin", "correct horse")
    assert not await password.verify("admin", "wrong")
    assert not await password.verify("Admin", "correct horse")
    assert not await password.verify("", "")
    assert not await password.verify("admin", "x" * 1_000_000)
    assert not await AdminPassword("admin", "not a hash").verify("admin", "not a hash")


async def test_a_password_that_was_right_is_not_computed_again() -> None:
    """Clients that send it with every request do not wait for Argon2 each time."""
    password = AdminPassword("admin", hash_password("correct horse"))
    begun = time.perf_counter()
    assert await password.verify("admin", "correct horse")
    first = time.perf_counter() - begun
    begun = time.perf_counter()
    for _ in range(20):
        assert await password.verify("admin", "correct horse")
    assert time.perf_counter() - begun < first


def test_the_first_password_is_made_once_and_kept_as_a_hash(tmp_path: Path) -> None:
    """The second start makes none, and the file does not tell what it is."""
    assert kept_password_hash(tmp_path) is None
    made = first_admin_password(tmp_path)
    assert made is not None
    assert first_admin_password(tmp_path) is None
    kept = kept_password_hash(tmp_path)
    assert kept is not None
    assert kept.startswith("$argon2id$")
    assert made not in kept
