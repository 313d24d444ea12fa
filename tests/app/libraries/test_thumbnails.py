"""Thumbnails of reference pictures: off unless asked for, and gone with the face, whoever dies in between."""

from __future__ import annotations

import base64
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest

from app.records import cleanup
from pipelines.errors import DependencyDown
from tests.app.libraries.conftest import Replica, replica
from tests.app.libraries.speaking_pictures import photo, shot

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture
async def service(tmp_path: Path, db_url: str) -> AsyncIterator[Replica]:
    """Return a service that keeps thumbnails; each test runs on both kinds of databases."""
    async with replica(tmp_path, db_url, reference_thumbnails=True) as opened:
        await opened.library()
        yield opened


def reference(who: str, number: int = 1) -> str:
    """Return the address of a real picture of somebody."""
    return f"data:image/png;base64,{base64.b64encode(photo(shot(who, number))).decode()}"


async def enrolled(service: Replica, who: str, number: int = 1) -> str:
    """Enrol somebody and return the face's identifier."""
    answer = await service.enrol(who, reference(who, number))
    assert answer.status_code == 200, answer.text
    return str(answer.json()["face_id"])


async def faces(service: Replica, who: str) -> list[dict[str, Any]]:
    """Return the faces that somebody is known by."""
    found: list[dict[str, Any]] = (await service.client.get(f"/v1/library/people/person/{who}")).json()[
        "faces"
    ]
    return found


def kept(service: Replica) -> list[Path]:
    """Return the pictures of faces that lie in the storage."""
    return sorted(path for path in service.services.settings.home.rglob("*.webp") if "faces" in path.parts)


async def test_a_thumbnail_can_be_seen(service: Replica) -> None:
    """A face's picture is small, has no metadata, and is shown by an address that is signed."""
    await enrolled(service, "anna")
    (face,) = await faces(service, "anna")
    answer = await service.client.get(face["thumbnail_url"])
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/webp")
    pixels = cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_COLOR)
    assert pixels is not None
    assert max(pixels.shape[:2]) <= 160
    assert len(kept(service)) == 1
    unsigned = face["thumbnail_url"].partition("?")[0]
    assert (await service.client.get(unsigned)).status_code == 403


async def test_it_goes_with_its_face(service: Replica) -> None:
    """A face, a person and a library take their pictures along, and nobody else's."""
    first = await enrolled(service, "anna", 1)
    await enrolled(service, "anna", 2)
    await enrolled(service, "ben")
    await enrolled(service, "carol")
    assert len(kept(service)) == 4
    before = (await faces(service, "anna"))[0]["thumbnail_url"]
    await service.client.delete(f"/v1/library/people/face/{first}")
    assert len(kept(service)) == 3
    assert (await service.client.get(before)).status_code == 404
    await service.client.delete("/v1/library/people/person/anna")
    assert len(kept(service)) == 2
    await service.client.delete("/v1/library/people")
    assert kept(service) == []


async def test_none_by_default(tmp_path: Path) -> None:
    """Nothing is kept unless the operator wants it, and a face tells of no picture."""
    async with replica(tmp_path) as service:
        await service.library()
        await enrolled(service, "anna")
        assert kept(service) == []
        assert set((await faces(service, "anna"))[0]) == {"face_id", "quality", "created_at"}


async def test_what_is_refused_leaves_nothing(service: Replica, monkeypatch: pytest.MonkeyPatch) -> None:
    """The picture of an enrolment that came to nothing goes by itself, that of a face that is there stays."""
    await enrolled(service, "anna")
    await service.client.post("/v1/library", json={"library_id": "small"})
    monkeypatch.setattr("app.libraries.enrolling.MOST_FACES", 1)
    refused = await service.enrol("anna", reference("anna", 2))
    assert refused.status_code == 409
    assert len(kept(service)) == 2
    memory = service.services.memory
    assert memory is not None
    assert memory.storage is not None
    monkeypatch.setattr(cleanup, "CLAIM", timedelta(0))
    again = await service.enrol("anna", reference("anna", 3))
    assert again.status_code == 409
    await memory.storage.cleanup.run_due()
    assert len(kept(service)) == 2
    (face,) = await faces(service, "anna")
    assert (await service.client.get(face["thumbnail_url"])).status_code == 200


async def test_a_storage_that_is_away_stops_no_enrolment(
    service: Replica, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody is enrolled without a picture while the storage is away."""
    memory = service.services.memory
    assert memory is not None
    assert memory.storage is not None

    async def away(*_: object) -> None:
        message = "away"
        raise DependencyDown(message)

    monkeypatch.setattr(type(memory.storage.place), "put", away)
    await enrolled(service, "anna")
    assert "thumbnail_url" not in (await faces(service, "anna"))[0]
    assert await service.who(reference("anna", 2)) == [["anna"]]
