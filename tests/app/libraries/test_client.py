"""The client beside the whole of both doors: no route is left out, and libraries answer as it reads them."""

from __future__ import annotations

import inspect
import re
from typing import TYPE_CHECKING

import pytest

from app.client import (
    AsyncClient,
    Connection,
    NotFound,
    Refused,
    admin_calls,
    console_calls,
    library_calls,
    picture_calls,
    task_calls,
)
from app.client.call import Call
from tests.app.libraries.conftest import KEY
from tests.app.libraries.speaking_pictures import picture, portrait, shot

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.app.libraries.conftest import Replica


async def test_libraries(service: Replica) -> None:
    """People are enrolled, found, listed, renamed and erased, and each answer is read."""
    async with AsyncClient(Connection("http://facefleet.test", KEY), http=service.client) as client:
        libraries = client.libraries
        made = await libraries.create("people", "People")
        assert (made.library_id, made.person_count) == ("people", 0)
        ann = await libraries.enroll("people", "ann", portrait("ann"), name="Ann", metadata={"team": "a"})
        assert (ann.person_id, ann.library_id) == ("ann", "people")
        await libraries.enroll("people", "bob", portrait("bob"))
        found = await libraries.search("people", portrait("ann"), top_k=2)
        assert (found.faces[0].matches[0].person_id, found.faces[0].matches[0].name) == ("ann", "Ann")
        assert (await client.compare(portrait("ann"), portrait("ann"))).is_same_person
        assert not (await client.compare(portrait("ann"), portrait("bob"))).is_same_person
        first = await libraries.persons("people", limit=1)
        second = await libraries.persons("people", cursor=first.next_cursor)
        assert [each.person_id for each in (*first.persons, *second.persons)] == ["ann", "bob"]
        known = await libraries.person("people", "ann")
        assert [face.face_id for face in known.faces] == [ann.face_id]
        assert (await libraries.change_person("people", "ann", name="Anna")).name == "Anna"
        assert (await libraries.change("people", description="all")).description == "all"
        assert [each.library_id for each in (await libraries.list()).libraries] == ["people"]
        with pytest.raises(Refused) as refused:
            await libraries.enroll("people", "two", picture(shot("ann"), shot("bob")))
        assert refused.value.code == "invalid_media"
        await libraries.delete_face("people", ann.face_id)
        await libraries.delete_person("people", "bob", everywhere=True)
        with pytest.raises(NotFound):
            await libraries.person("people", "bob")
        await libraries.delete("people")
        with pytest.raises(NotFound):
            await libraries.get("people")


async def test_every_route_has_a_call(service: Replica) -> None:
    """No route of the service is left out by the client."""
    calls = [
        build(*["x"] * _required(build))
        for module in (picture_calls, task_calls, library_calls, admin_calls, console_calls)
        for name, build in inspect.getmembers(module, inspect.isfunction)
        if build.__module__ == module.__name__ and not name.startswith("_") and name != "picture_of"
    ]
    ours = {(call.method, call.path) for call in calls if isinstance(call, Call)}
    there = {
        (method.upper(), re.sub(r"\{\w+\}", "x", path))
        for path, methods in service.app.openapi()["paths"].items()
        for method in methods
    }
    left = {route for route in there if route not in ours and "/parts/" not in route[1]}
    assert left == set()


def _required(build: Callable[..., object]) -> int:
    parameters = inspect.signature(build).parameters.values()
    return sum(
        each.default is inspect.Parameter.empty and each.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD
        for each in parameters
    )
