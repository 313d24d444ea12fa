"""Clients' keys through the admin API, on both databases."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from app.admin.schemas import ApiKeyCreatedResponse, ApiKeyResponse, PaginatedResponse
from app.api import create_app
from app.services import Services, open_services
from tests.app.admin.conftest import ADMIN, BASIC, NO_AUTH, PICTURE
from tests.app.conftest import client_of

if TYPE_CHECKING:
    import httpx

    from app.settings import Settings
    from tests.fakes.engine import FakeEngine

KEYS = f"{ADMIN}/api-keys"
PUBLISHED = {
    "id",
    "name",
    "key_prefix",
    "key_suffix",
    "key_preview",
    "is_active",
    "request_count",
    "last_used_at",
    "created_at",
}


async def create(admin: httpx.AsyncClient, **values: str) -> dict[str, Any]:
    """Make a key and return what is shown of it this once."""
    answer = await admin.post(KEYS, json={"name": "Production App", **values})
    assert answer.status_code == 201
    made: dict[str, Any] = answer.json()
    return made


async def knock(client: httpx.AsyncClient, key: str) -> int:
    """Return how door one answers to a key."""
    answer = await client.post("/api/v1/detect", headers={"X-API-Key": key}, files=PICTURE, auth=NO_AUTH)
    return answer.status_code


async def test_a_key_is_shown_once(admin: httpx.AsyncClient) -> None:
    """The answer to its creation has the key and its webhook secret; nothing later has."""
    made = await create(admin)
    ApiKeyCreatedResponse.model_validate(made)
    assert await knock(admin, made["key"]) == 200
    assert made["webhook_secret"].startswith("whsec_")
    listed = await admin.get(KEYS)
    page = PaginatedResponse[ApiKeyResponse].model_validate(listed.json())
    assert [key.name for key in page.items] == ["Production App", "bootstrap"]
    single = await admin.get(f"{KEYS}/{made['id']}")
    assert set(single.json()) >= PUBLISHED
    for answer in (listed, single, await admin.get(f"{ADMIN}/audit")):
        assert made["key"] not in answer.text
        assert made["webhook_secret"] not in answer.text
    assert single.json()["key_preview"] == f"{made['key'][:7]}...{made['key'][-4:]}"


async def test_a_key_is_renamed_and_turned_off(admin: httpx.AsyncClient) -> None:
    """What is not named in a change stays; a key that is off opens nothing until it is on again."""
    made = await create(admin, plan="scale")
    path = f"{KEYS}/{made['id']}"
    changed = (await admin.patch(path, json={"name": "  Renamed App ", "is_active": False})).json()
    assert (changed["name"], changed["is_active"], changed["plan"]) == ("Renamed App", False, "scale")
    assert await knock(admin, made["key"]) == 401
    changed = (await admin.patch(path, json={"is_active": True})).json()
    assert (changed["name"], changed["is_active"]) == ("Renamed App", True)
    assert await knock(admin, made["key"]) == 200
    assert (await admin.patch(path, json={})).json()["name"] == "Renamed App"


async def test_a_deleted_key_is_gone(admin: httpx.AsyncClient) -> None:
    """It opens nothing and is not found."""
    made = await create(admin)
    assert await knock(admin, made["key"]) == 200
    answer = await admin.delete(f"{KEYS}/{made['id']}")
    assert (answer.status_code, answer.content) == (204, b"")
    assert await knock(admin, made["key"]) == 401
    for method in ("GET", "DELETE"):
        assert (await admin.request(method, f"{KEYS}/{made['id']}")).status_code == 404


async def test_a_webhook_secret_is_rotated(admin: httpx.AsyncClient, services: Services) -> None:
    """The new one is shown once; for a day both are valid."""
    made = await create(admin)
    answer = await admin.post(f"{KEYS}/{made['id']}/webhook-secret")
    assert answer.status_code == 200
    assert list(answer.json()) == ["webhook_secret"]
    assert services.memory is not None
    listed = await services.memory.keys.list(1, 1)
    valid = await services.memory.keys.webhook_secrets(listed.items[0].id)
    assert valid == (answer.json()["webhook_secret"], made["webhook_secret"])


async def test_use_is_counted_and_survives_a_clean_stop(
    engine: FakeEngine, settings: Settings, key: str
) -> None:
    """Requests since the last write are written when the service stops; refused keys count nothing."""
    for expected in (3, 6):
        async with open_services(settings, engine) as opened, client_of(create_app(opened)) as client:
            for _ in range(3):
                assert await knock(client, key) == 200
            assert await knock(client, key + "x") == 401
        async with open_services(settings, engine) as opened, client_of(create_app(opened)) as client:
            (shown,) = (await client.get(KEYS, auth=BASIC)).json()["items"]
            assert shown["request_count"] == expected
            assert shown["last_used_at"] is not None


SENSELESS_KEYS = (
    "{}",
    '{"name": ""}',
    '{"name": "   "}',
    '{"name": 7}',
    '{"name": null}',
    '{"name": "' + "x" * 201 + '"}',
    '{"name": "a", "is_active": false}',
    '{"name": "a", "key": "chosen"}',
    '{"name": "a", "plan": "Free\'; --"}',
    '{"name": "a", "plan": "entreprise"}',
    "[]",
    '"a"',
    "{",
    "",
)
SENSELESS_CHANGES = ('{"is_active": null}', '{"is_active": "no!"}', '{"name": ""}', '{"id": "x"}', "[]")
NAMES = ("Robert'); DROP TABLE api_keys;--", "日本語 😀", "<script>alert(1)</script>", "%s %00")


async def test_senseless_keys_are_refused(admin: httpx.AsyncClient) -> None:
    """What cannot be a key's name is a 422, and no key is made."""
    for body in SENSELESS_KEYS:
        answer = await admin.post(KEYS, content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code == 422, body
        assert list(answer.json()) == ["detail"]
    assert (await admin.get(KEYS)).json()["total"] == 1


async def test_senseless_changes_are_refused(admin: httpx.AsyncClient) -> None:
    """What a key cannot become is a 422."""
    made = await create(admin)
    for body in SENSELESS_CHANGES:
        answer = await admin.patch(
            f"{KEYS}/{made['id']}", content=body, headers={"Content-Type": "application/json"}
        )
        assert answer.status_code == 422, body
    assert (await admin.get(f"{KEYS}/{made['id']}")).json()["is_active"] is True


async def test_names_are_kept_as_they_are(admin: httpx.AsyncClient) -> None:
    """A name is text, whatever it looks like."""
    for name in NAMES:
        made = await create(admin, name=name)
        assert (await admin.get(f"{KEYS}/{made['id']}")).json()["name"] == name
