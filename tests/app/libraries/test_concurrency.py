"""Many clients at once over two processes of one database: nobody ever sees a stale or a wrong name."""

from __future__ import annotations

import asyncio
import random
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np
import pytest

from app.libraries.galleries import DatabaseGalleries
from pipelines.template import template_of
from tests.app.libraries.speaking_pictures import portrait, vector_of

if TYPE_CHECKING:
    from tests.app.libraries.conftest import Replica

#: A thousand operations in all.
CLIENTS, STEPS, PEOPLE = 8, 125, 6
PROBE = 1000


class Client:
    """Enrols, erases and searches people of its own at random, in one library with everybody else.

    Nobody else touches its people, so it knows at each moment what every search must answer.
    """

    def __init__(self, replicas: tuple[Replica, Replica], number: int) -> None:
        self._replicas = replicas
        self.number = number
        self._random = random.Random(number)  # noqa: S311 - no secret
        self.known: dict[str, int] = {}
        #: Of whom is known by which pictures.
        self.faces: dict[str, list[int]] = {}

    async def run(self) -> None:
        """Take the steps, each at either process."""
        for step in range(STEPS):
            replica = self._random.choice(self._replicas)
            person = f"{self.number}-{self._random.randrange(PEOPLE)}"
            action = self._random.random()
            if action < 0.35:
                answer = await replica.enrol(person, portrait(person, step), name=f"{person} at {step}")
                assert answer.status_code == 200, answer.text
                self.known[person] = step
                self.faces.setdefault(person, []).append(step)
            elif action < 0.55:
                answer = await replica.client.delete(f"/v1/library/people/person/{person}")
                assert answer.status_code == (200 if person in self.known else 404), answer.text
                self.known.pop(person, None)
                self.faces.pop(person, None)
            else:
                await self.check(replica, person)

    async def check(self, replica: Replica, person: str) -> None:
        """Have somebody searched for."""
        answer = await replica.post("/library/people/search", image_url=portrait(person, PROBE))
        (face,) = answer.json()["faces"]
        found = [(match["person_id"], match["name"]) for match in face["matches"]]
        is_known = person in self.known
        assert found == ([(person, f"{person} at {self.known[person]}")] if is_known else []), person


async def test_equal_to_a_plain_model(pair: tuple[Replica, Replica]) -> None:
    """After each of a thousand answers every search at any process finds who is enrolled then, by name.

    And in the end whom each face resembles, in which order and how much, is what comparing it with everybody
    by hand gives.
    """
    await pair[0].library()
    clients = [Client(pair, number) for number in range(CLIENTS)]
    await asyncio.gather(*(client.run() for client in clients))
    everybody = {person: faces for client in clients for person, faces in client.faces.items()}
    for client in clients:
        for number in range(PEOPLE):
            person = f"{client.number}-{number}"
            await client.check(pair[number % 2], person)
            if number < 2:
                await _check_ranking(pair[number % 2], person, everybody)
    expected = sum(len(client.known) for client in clients)
    assert (await pair[0].client.get("/v1/library/people")).json()["person_count"] == expected


async def _check_ranking(replica: Replica, person: str, everybody: dict[str, list[int]]) -> None:
    """Compare a search without a threshold with the similarities to everybody, computed one by one."""
    probe = vector_of(person, PROBE)
    alike = {}
    for name, numbers in everybody.items():
        template = template_of(
            np.array([vector_of(name, each) for each in numbers]), np.full(len(numbers), 0.8)
        )
        alike[name] = float(probe @ template)
    expected = sorted(alike, key=lambda name: -alike[name])[:5]
    answer = await replica.post(
        "/library/people/search", image_url=portrait(person, PROBE), top_k=5, min_score=0.0
    )
    matches = answer.json()["faces"][0]["matches"]
    found = [match["similarity"] for match in matches]
    # Vectors are kept at half precision.
    assert found == pytest.approx([alike[name] for name in expected], abs=3e-3)
    assert found == pytest.approx([alike[match["person_id"]] for match in matches], abs=3e-3)


async def test_one_person_enrolled_many_times_at_once(pair: tuple[Replica, Replica]) -> None:
    """Pictures of one new person that arrive together become one person with all of them."""
    one, two = pair
    await one.library()
    answers = await asyncio.gather(
        *((one, two)[number % 2].enrol("anna", portrait("anna", number)) for number in range(8))
    )
    assert [answer.status_code for answer in answers] == [200] * 8
    library = (await one.client.get("/v1/library/people")).json()
    assert (library["person_count"], library["face_count"]) == (1, 8)
    assert sorted(answer.json()["face_count"] for answer in answers) == list(range(1, 9))


async def test_the_same_request_many_times_at_once(pair: tuple[Replica, Replica]) -> None:
    """One enrolment that is sent eight times with one key is done once, and all hear the same."""
    one, two = pair
    await one.library()
    body = {"person_id": "anna", "image_url": portrait("anna")}
    answers = await asyncio.gather(
        *(
            (one, two)[number % 2].client.post(
                "/v1/library/people/face", json=body, headers={"Idempotency-Key": "k"}
            )
            for number in range(8)
        )
    )
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["face_id"] for answer in answers}) == 1
    assert (await one.client.get("/v1/library/people")).json()["face_count"] == 1


async def test_a_library_deleted_while_it_is_searched(pair: tuple[Replica, Replica]) -> None:
    """Searches and enrolments that run meanwhile end with an answer, a 404 at the latest, and never a 500."""
    one, two = pair
    await one.library()
    for number in range(3):
        await one.enrol(f"p{number}", portrait(str(number)))

    async def ask(number: int) -> int:
        replica = (one, two)[number % 2]
        if number % 3 == 0:
            return (await replica.enrol(f"n{number}", portrait(f"n{number}"))).status_code
        answer = await replica.post("/library/people/search", image_url=portrait("1", number))
        return answer.status_code

    asking = [asyncio.create_task(ask(number)) for number in range(24)]
    await asyncio.sleep(0.02)
    deleted = await two.client.delete("/v1/library/people")
    assert deleted.status_code == 200
    assert set(await asyncio.gather(*asking)) <= {200, 404}
    assert await ask(1) == 404


async def test_who_was_erased_long_ago_is_forgotten(
    pair: tuple[Replica, Replica], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once nobody knows any more who was erased, a process that still held them loads the library anew."""
    one, two = pair
    await one.library()
    for name in ("anna", "ben"):
        await one.enrol(name, portrait(name))
    assert await two.who(portrait("anna", 2)) == [["anna"]]
    await one.client.delete("/v1/library/people/person/anna")
    monkeypatch.setattr("app.libraries.galleries.DEPARTED_LIVES", timedelta(days=-1))
    assert one.services.memory is not None
    await DatabaseGalleries(one.services.memory.database).forget_departed()
    await one.enrol("carol", portrait("carol"))
    for name, found in (("anna", []), ("ben", ["ben"]), ("carol", ["carol"])):
        assert await two.who(portrait(name, 2)) == [found]
