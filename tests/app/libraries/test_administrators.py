"""Libraries as administrators look after them: everybody's, by the rules that hold for their owners."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from app.console.gate import LOGIN
from tests.app.conftest import client_of
from tests.app.libraries.conftest import KEY
from tests.app.libraries.speaking_pictures import picture, portrait, shot

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import httpx

    from tests.app.libraries.conftest import Replica

LIBRARIES = "/api/v1/admin/libraries"
MARKUP = "<img src=x onerror=alert(1)>"


@pytest.fixture
async def admin(service: Replica) -> AsyncIterator[httpx.AsyncClient]:
    """Return a browser that has logged in."""
    async with client_of(service.app) as made:
        answer = await made.post(LOGIN, data={"username": "admin", "password": "correct horse"})
        assert answer.status_code == 303
        yield made


async def key_id(service: Replica) -> str:
    """Return the identifier of the key that the tests use."""
    assert service.services.memory is not None
    identity = await service.services.memory.keys.check(KEY)
    assert identity is not None
    return identity.id


async def test_a_library_lives_under_an_administrators_hands(
    service: Replica, admin: httpx.AsyncClient
) -> None:
    """Made for a key, filled, searched, emptied and removed; its owner sees all of it, the audit log too."""
    made = await admin.post(LIBRARIES, json={"library_id": "staff", "api_key_id": await key_id(service)})
    assert made.status_code == 201, made.text
    assert (await service.client.get("/v1/library/staff")).status_code == 200
    again = await admin.post(LIBRARIES, json={"library_id": "staff", "api_key_id": await key_id(service)})
    assert again.status_code == 409
    enrolled = await admin.post(
        f"{LIBRARIES}/staff/faces", json={"person_id": "anna", "name": "Anna", "image_url": portrait("anna")}
    )
    assert enrolled.status_code == 201, enrolled.text
    assert 0 < enrolled.json()["quality"] <= 1
    assert await service.who(portrait("anna", 2), "staff") == [["anna"]]
    found = await admin.post(
        f"{LIBRARIES}/staff/search", json={"image_url": picture(shot("anna", 3), shot("bob"))}
    )
    assert [len(face["matches"]) for face in found.json()["faces"]] == [1, 0]
    (person,) = (await admin.get(f"{LIBRARIES}/staff/persons")).json()["items"]
    assert person["name"] == "Anna"
    known = (await admin.get(f"{LIBRARIES}/staff/persons/anna")).json()
    (face,) = known["faces"]
    assert (await admin.delete(f"{LIBRARIES}/staff/faces/{face['face_id']}")).status_code == 204
    assert await service.who(portrait("anna", 2), "staff") == [[]]
    assert (await admin.delete(f"{LIBRARIES}/staff/persons/anna")).status_code == 204
    assert (await admin.get(f"{LIBRARIES}/staff/persons/anna")).status_code == 404
    assert (await admin.delete(f"{LIBRARIES}/staff")).status_code == 204
    assert (await service.client.get("/v1/library/staff")).status_code == 404
    entries = (await admin.get("/api/v1/admin/audit")).json()["items"]
    assert [each["action"] for each in entries[:2]] == ["library.delete", "person.erase"]


async def test_everybodys_libraries_are_listed(service: Replica, admin: httpx.AsyncClient) -> None:
    """Those of all keys, newest first, in pages."""
    await service.library("mine")
    async with await service.as_another() as other:
        await other.post("/v1/library", json={"library_id": "theirs"})
    first = (await admin.get(LIBRARIES, params={"limit": 1})).json()
    assert [each["library_id"] for each in first["items"]] == ["theirs"]
    rest = (await admin.get(LIBRARIES, params={"before": first["next_before"]})).json()
    assert [each["library_id"] for each in rest["items"]] == ["mine"]
    assert first["items"][0]["api_key_id"] != rest["items"][0]["api_key_id"]


@pytest.mark.parametrize(
    ("faces", "status"),
    [
        ([], 422),
        ([shot("a"), shot("b")], 400),
        ([shot("a", side=20)], 400),
        ([shot("a", sharpness=0.0)], 400),
    ],
)
async def test_unfit_photos_are_refused_with_a_reason(
    service: Replica, admin: httpx.AsyncClient, faces: list[dict[str, object]], status: int
) -> None:
    """Nobody, several, too small, too blurred: the words say which, as the owner would read them."""
    await service.library("staff")
    answer = await admin.post(
        f"{LIBRARIES}/staff/faces", json={"person_id": "x", "image_url": picture(*faces)}
    )
    assert answer.status_code == status, answer.text
    assert answer.json()["detail"]
    assert (await admin.get(f"{LIBRARIES}/staff/persons")).json()["items"] == []


async def test_pages_show_names_as_text(service: Replica, admin: httpx.AsyncClient) -> None:
    """Libraries and people whose names hold markup, slashes aside, are listed and opened like any other."""
    handle = "staff & <co> ü"
    await service.library(handle, name=MARKUP)
    answer = await service.client.post(
        f"/v1/library/{handle}/face",
        json={"person_id": "p <1>", "name": MARKUP, "image_url": portrait("anna"), "metadata": {"a": MARKUP}},
    )
    assert answer.status_code == 200, answer.text
    for path in ("/libraries", f"/libraries/{handle}", f"/libraries/{handle}/people/p <1>"):
        page = await admin.get(path)
        assert page.status_code == 200, page.text
        assert MARKUP not in page.text
        assert "&lt;img src=x onerror=alert(1)&gt;" in page.text
    for path in ("/libraries/none", f"/libraries/{handle}/people/none"):
        assert (await admin.get(path)).status_code == 404


async def test_what_is_not_there(admin: httpx.AsyncClient) -> None:
    """An unknown library, key, person or face is a 404."""
    body = {"person_id": "x", "image_url": portrait("x")}
    for method, path, json in (
        ("GET", "/none", None),
        ("DELETE", "/none", None),
        ("GET", "/none/persons", None),
        ("DELETE", "/none/persons/x", None),
        ("DELETE", "/none/faces/face_x", None),
        ("POST", "/none/faces", body),
        ("POST", "/none/search", {"image_url": portrait("x")}),
        ("POST", "", {"library_id": "x", "api_key_id": "00000000-0000-7000-8000-000000000000"}),
    ):
        answer = await admin.request(method, f"{LIBRARIES}{path}", json=json)
        assert answer.status_code == 404, (method, path, answer.text)
