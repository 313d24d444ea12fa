"""Clients' keys, and how often they are used."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from sqlalchemy import select, update

from app.db.ids import new_id
from app.db.tables import ApiKeyRow
from app.persistence import open_persistence
from app.records.api_keys import FRESH_S, ApiKeys
from app.records.usage import KeyUsage
from tests.app.records.requests import detect, image, until

if TYPE_CHECKING:
    import pytest

    from app.persistence import Persistence, PersistenceOptions, Storage
    from app.records.values import Actor


async def test_a_key_is_shown_once_and_lets_in(persistence: Persistence, admin: Actor) -> None:
    """What is kept shows both ends of the key and no more."""
    made = await persistence.keys.create("Production App", admin, plan="pro")
    identity = await persistence.keys.check(made.key)
    assert identity is not None
    assert (identity.id, identity.name) == (str(made.info.id), "Production App")
    shown = await persistence.keys.get(made.info.id)
    assert shown is not None
    assert (shown.name, shown.plan, shown.is_active, shown.request_count) == (
        "Production App",
        "pro",
        True,
        0,
    )
    assert made.key.startswith(shown.key_prefix)
    assert made.key.endswith(shown.key_suffix)
    assert shown.key_preview == f"{shown.key_prefix}...{shown.key_suffix}"
    assert made.key not in repr(shown)
    assert made.webhook_secret.startswith("whsec_")
    async with persistence.database.read() as tx:
        for row in await tx.execute(select(ApiKeyRow.key_hash, ApiKeyRow.key_prefix, ApiKeyRow.key_suffix)):
            assert made.key not in str(tuple(row))


async def test_other_texts_let_nobody_in(persistence: Persistence, admin: Actor) -> None:
    """Not a changed key, not an empty one, not a trick, not a very long one."""
    made = await persistence.keys.create("a", admin)
    for wrong in (
        "",
        made.key + "x",
        made.key[:-1],
        made.key.upper(),
        "' OR 1=1 --",
        "\udc80",
        "x" * 100_000,
    ):
        assert await persistence.keys.check(wrong) is None


async def test_keys_are_listed_changed_and_removed(persistence: Persistence, admin: Actor) -> None:
    """Newest first; a change is seen at once by the process that made it; a removed key is gone."""
    made = [await persistence.keys.create(f"key {number}", admin) for number in range(3)]
    page = await persistence.keys.list(1, 2)
    assert ([key.name for key in page.items], page.total, page.pages) == (["key 2", "key 1"], 3, 2)
    first = made[0]
    changed = await persistence.keys.patch(first.info.id, {"name": "renamed", "is_active": False}, admin)
    assert changed is not None
    assert (changed.name, changed.is_active) == ("renamed", False)
    assert await persistence.keys.check(first.key) is None
    await persistence.keys.patch(first.info.id, {"is_active": True, "request_count": 10**6}, admin)
    assert await persistence.keys.check(first.key) is not None
    assert await persistence.keys.delete(first.info.id, admin)
    assert await persistence.keys.check(first.key) is None
    assert await persistence.keys.get(first.info.id) is None
    assert not await persistence.keys.delete(first.info.id, admin)
    assert await persistence.keys.patch(new_id(), {"name": "x"}, admin) is None
    actions = [entry.action for entry in await persistence.audit.list()]
    assert actions == ["key.delete", "key.change", "key.change", "key.create", "key.create", "key.create"]


async def test_a_key_that_is_turned_off_stops_everywhere_within_five_seconds(
    persistence: Persistence, admin: Actor
) -> None:
    """Another replica, which let the key in a moment ago, learns of it by itself."""
    made = await persistence.keys.create("a", admin)
    replica = ApiKeys(persistence.database, KeyUsage(persistence.database))
    assert await replica.check(made.key) is not None
    await persistence.keys.patch(made.info.id, {"is_active": False}, admin)
    turned_off = time.monotonic()

    async def is_shut_out() -> bool:
        return await replica.check(made.key) is None

    await until(is_shut_out)
    assert time.monotonic() - turned_off < 5
    assert FRESH_S < 5


async def test_a_check_asks_the_database_once(
    persistence: Persistence, admin: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thousand requests at once, and those after them, cost one question."""
    made = await persistence.keys.create("a", admin)
    asked = 0
    read = persistence.database.read

    def counting() -> object:
        nonlocal asked
        asked += 1
        return read()

    monkeypatch.setattr(persistence.database, "read", counting)
    await asyncio.gather(*(persistence.keys.check(made.key) for _ in range(1000)))
    await persistence.keys.check(made.key)
    assert asked == 1


async def test_use_is_counted_and_survives_a_clean_stop(options: PersistenceOptions, admin: Actor) -> None:
    """No request writes by itself, and after a clean stop none is missing."""
    async with open_persistence(options) as opened:
        made = await opened.keys.create("a", admin)
        await asyncio.gather(*(opened.keys.check(made.key) for _ in range(250)))
    async with open_persistence(options) as opened:
        shown = await opened.keys.get(made.info.id)
    assert shown is not None
    assert shown.request_count == 250
    assert shown.last_used_at is not None
    assert shown.last_used_at >= shown.created_at


async def test_use_counted_by_replicas_adds_up(persistence: Persistence, admin: Actor) -> None:
    """Two that write at the same time do not overwrite each other, and the latest use stays the latest."""
    made = await persistence.keys.create("a", admin)
    replicas = [KeyUsage(persistence.database) for _ in range(2)]
    for _ in range(5):
        for usage in replicas:
            usage.count(str(made.info.id))
        await asyncio.gather(*(usage.write() for usage in replicas))
    shown = await persistence.keys.get(made.info.id)
    assert shown is not None
    assert shown.request_count == 10


async def test_use_that_cannot_be_written_is_kept(persistence: Persistence, admin: Actor) -> None:
    """A failed write loses nothing: the next one carries it."""
    made = await persistence.keys.create("a", admin)
    usage = KeyUsage(persistence.database)
    usage.count(str(made.info.id))
    persistence.database.is_prepared = False
    try:
        await usage.write()
    except Exception:  # noqa: BLE001 - which one is not this test's matter
        usage.count(str(made.info.id))
    persistence.database.is_prepared = True
    await usage.write()
    shown = await persistence.keys.get(made.info.id)
    assert shown is not None
    assert shown.request_count == 2


async def test_a_webhook_secret_rotates_and_both_hold_for_a_day(
    persistence: Persistence, admin: Actor
) -> None:
    """The new one signs first; the old one is valid until its day is over."""
    made = await persistence.keys.create("a", admin)
    assert await persistence.keys.webhook_secrets(made.info.id) == (made.webhook_secret,)
    second = await persistence.keys.rotate_webhook_secret(made.info.id, admin)
    assert second is not None
    assert await persistence.keys.webhook_secrets(made.info.id) == (second, made.webhook_secret)
    async with persistence.database.transaction() as tx:
        await tx.execute(update(ApiKeyRow).values(webhook_secret_previous_until=made.info.created_at))
    assert await persistence.keys.webhook_secrets(made.info.id) == (second,)
    assert await persistence.keys.rotate_webhook_secret(new_id(), admin) is None
    assert await persistence.keys.webhook_secrets(new_id()) == ()


async def test_the_bootstrap_key_is_made_once(persistence: Persistence, admin: Actor) -> None:
    """A second start changes nothing: a key that was turned off stays off."""
    await persistence.keys.put_bootstrap("operator's own key", "whsec_operator")
    identity = await persistence.keys.check("operator's own key")
    assert identity is not None
    key = (await persistence.keys.list(1, 20)).items[0]
    assert await persistence.keys.webhook_secrets(key.id) == ("whsec_operator",)
    await persistence.keys.patch(key.id, {"is_active": False}, admin)
    await persistence.keys.put_bootstrap("operator's own key", "whsec_operator")
    assert await persistence.keys.check("operator's own key") is None
    assert (await persistence.keys.list(1, 20)).total == 1


async def test_the_first_key_is_made_where_there_is_none(persistence: Persistence, admin: Actor) -> None:
    """A second start makes no second key, and neither does one beside a key that was made otherwise."""
    first = await persistence.keys.create_first("first key", admin)
    assert first is not None
    assert await persistence.keys.check(first.key) is not None
    assert await persistence.keys.create_first("first key", admin) is None
    assert (await persistence.keys.list(1, 20)).total == 1


async def test_deleting_a_key_keeps_what_was_done_with_it(
    persistence: Persistence, storage: Storage, admin: Actor
) -> None:
    """Images and jobs of a removed key stay, and still tell which key it was."""
    made = await persistence.keys.create("a", admin)
    saved = await storage.writer.save(image(), replace(detect(), api_key_id=made.info.id))
    assert await persistence.keys.delete(made.info.id, admin)
    detail = await storage.reader.get_image(saved.image_id)
    assert detail is not None
    assert detail.image.api_key_id == made.info.id
