"""Libraries and the people in them over HTTP, on both databases, over two processes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from app.libraries.values import MOST_FACES
from tests.app.libraries.conftest import Replica, replica
from tests.app.libraries.speaking_pictures import picture, portrait, shot
from tests.app.records.requests import until

if TYPE_CHECKING:
    from pathlib import Path

    import httpx


def refusal(answer: httpx.Response) -> tuple[int, str]:
    """Return status and code of a refusal in its envelope."""
    error = answer.json()["error"]
    assert {"code", "message", "request_id"} <= set(error)
    return answer.status_code, error["code"]


async def test_a_library_from_its_making_to_its_end(pair: tuple[Replica, Replica]) -> None:
    """Made, seen, renamed and deleted; whatever one process did the other knows at once."""
    one, two = pair
    made = (await one.post("/library", library_id="people", name="Office staff", description="HQ")).json()
    assert (made["library_id"], made["name"], made["description"]) == ("people", "Office staff", "HQ")
    assert (made["person_count"], made["face_count"]) == (0, 0)
    assert made["request_id"].startswith("req_")
    assert refusal(await two.post("/library", library_id="people")) == (409, "conflict")
    seen = (await two.client.get("/v1/library/people")).json()
    assert {**seen, "request_id": ""} == {**made, "request_id": ""}
    changed = (await two.client.patch("/v1/library/people", json={"name": "Staff"})).json()
    assert (changed["name"], changed["description"]) == ("Staff", "HQ")
    assert (await one.client.patch("/v1/library/people", json={"description": None})).json()[
        "description"
    ] is None
    gone = await one.client.delete("/v1/library/people")
    assert gone.json()["deleted"] is True
    for answer in (
        await two.client.get("/v1/library/people"),
        await two.client.delete("/v1/library/people"),
        await two.enrol("anna", portrait("anna")),
        await two.post("/library/people/search", image_url=portrait("anna")),
    ):
        assert refusal(answer) == (404, "not_found")


async def test_enrolled_and_found(pair: tuple[Replica, Replica]) -> None:
    """Somebody enrolled at one process is found by another, by another picture, with name and metadata."""
    one, two = pair
    await one.library()
    answer = await one.enrol("p_zhang_wei", portrait("zhang"), name="Zhang Wei", metadata={"team": "x"})
    enrolled = answer.json()
    assert (enrolled["person_id"], enrolled["name"], enrolled["face_count"]) == (
        "p_zhang_wei",
        "Zhang Wei",
        1,
    )
    assert enrolled["face_id"].startswith("face_")
    assert 0 < enrolled["quality"] <= 1
    assert len(enrolled["bbox"]) == 4
    await one.enrol("p_anna", portrait("anna"))
    found = await two.post(
        "/library/people/search",
        image_url=picture(shot("anna", 7), shot("zhang", 8), shot("nobody", 9)),
        top_k=3,
    )
    faces = found.json()["faces"]
    assert [face["face_id"] for face in faces] == ["f_01", "f_02", "f_03"]
    assert [[match["person_id"] for match in face["matches"]] for face in faces] == [
        ["p_anna"],
        ["p_zhang_wei"],
        [],
    ]
    match = faces[1]["matches"][0]
    assert (match["name"], match["metadata"]) == ("Zhang Wei", {"team": "x"})
    assert match["score"] > 0.9
    assert 0.6 < match["similarity"] < 0.75


async def test_low_scores_are_named_only_on_request(service: Replica) -> None:
    """Strangers have no name unless the caller asks for less than the same-person score."""
    await service.library()
    await service.enrol("anna", portrait("anna"))
    await service.enrol("ben", portrait("ben"))
    assert await service.who(portrait("carol")) == [[]]
    assert sorted((await service.who(portrait("carol"), top_k=5, min_score=0.0))[0]) == ["anna", "ben"]
    assert len((await service.who(portrait("carol"), top_k=1, min_score=0.0))[0]) == 1


async def test_faces_and_people_go(pair: tuple[Replica, Replica]) -> None:
    """Who is erased is found no more by any process, also where several faces were known."""
    one, two = pair
    await one.library()
    faces = [(await one.enrol("anna", portrait("anna", n))).json()["face_id"] for n in (1, 2)]
    assert await two.who(portrait("anna", 9)) == [["anna"]]
    shown = (await two.client.get("/v1/library/people/person/anna")).json()
    assert [face["face_id"] for face in shown["faces"]] == faces
    assert (await two.client.delete(f"/v1/library/people/face/{faces[0]}")).json()["face_count"] == 1
    assert await one.who(portrait("anna", 9)) == [["anna"]]
    await one.client.delete(f"/v1/library/people/face/{faces[1]}")
    assert await two.who(portrait("anna", 9), min_score=0.0) == [[]]
    left = (await two.client.get("/v1/library/people/person/anna")).json()
    assert (left["face_count"], left["faces"]) == (0, [])
    await two.enrol("anna", portrait("anna", 3))
    assert await one.who(portrait("anna", 9)) == [["anna"]]
    assert (await one.client.delete("/v1/library/people/person/anna")).json()["deleted"] is True
    assert await two.who(portrait("anna", 9), min_score=0.0) == [[]]
    library = (await two.client.get("/v1/library/people")).json()
    assert (library["person_count"], library["face_count"]) == (0, 0)
    assert refusal(await two.client.delete("/v1/library/people/person/anna")) == (404, "not_found")
    assert refusal(await two.client.delete(f"/v1/library/people/face/{faces[0]}")) == (404, "not_found")
    await one.enrol("anna", portrait("anna", 4))
    assert await two.who(portrait("anna", 9)) == [["anna"]]


async def test_an_erasure_is_noted_without_the_person(service: Replica) -> None:
    """The audit log says that somebody was erased, when and by which key, and not who it was."""
    await service.library()
    await service.enrol("anna-the-first", portrait("anna"), name="Anna Who")
    await service.client.delete("/v1/library/people/person/anna-the-first?everywhere=true")
    assert service.services.memory is not None
    (entry,) = [each for each in await service.services.memory.audit.list() if each.action == "person.erase"]
    assert entry.subject == "people"
    assert entry.detail == {"number": 1, "faces": 1, "mentions": 0}
    assert "nna" not in str(entry)


async def test_the_erased_leave_answers_that_are_kept(pair: tuple[Replica, Replica]) -> None:
    """An enrolment that is sent again after an erasure enrols nobody, and tells nothing of who is gone."""
    one, two = pair
    await one.library()
    body = {"person_id": "p1", "name": "Anna Who", "image_url": portrait("anna"), "metadata": {"team": "a"}}
    path, keyed = "/v1/library/people/face", {"Idempotency-Key": "k"}
    first = await one.client.post(path, json=body, headers=keyed)
    await two.client.delete("/v1/library/people/person/p1")
    again = await two.client.post(path, json=body, headers=keyed)
    told = {**first.json(), "name": None, "metadata": None}
    del told["request_id"]
    assert {name: again.json()[name] for name in told} == told
    assert refusal(await one.client.get("/v1/library/people/person/p1")) == (404, "not_found")


async def test_erasing_everywhere_asks_for_mentions(tmp_path: Path) -> None:
    """On request whoever is named is marked with the erasure, once more after it, and then erased."""
    asked: list[tuple[str, str | None]] = []

    class Results:
        async def mark(self, _tx: object, _owner: object, library: str, person: str | None = None) -> int:
            asked.append((library, person))
            return 3

        async def erase_marked(self, _database: object, owner: object = None) -> None:
            if owner is not None:
                asked.append(("erased", None))

    async with replica(tmp_path, mentions=Results()) as service:
        await service.library()
        for person in ("anna", "ben"):
            await service.enrol(person, portrait(person))
        answer = await service.client.delete("/v1/library/people/person/anna?everywhere=true")
        assert answer.json()["mentions_erased"] == 3
        answer = await service.client.delete("/v1/library/people/person/ben")
        assert answer.json()["mentions_erased"] == 0
        assert asked == [("people", "anna"), ("people", "anna"), ("erased", None)]
        answer = await service.client.delete("/v1/library/people?everywhere=true")
        assert answer.json()["mentions_erased"] == 3
        assert asked[3:] == [("people", None), ("people", None), ("erased", None)]


async def test_other_keys_are_kept_out(service: Replica) -> None:
    """Everything of another key's library is 403, and its identifier is taken."""
    await service.library()
    face = (await service.enrol("anna", portrait("anna"))).json()["face_id"]
    other = await service.as_another()
    async with other:
        attempts = [
            await other.get("/v1/library/people"),
            await other.patch("/v1/library/people", json={"name": "mine"}),
            await other.delete("/v1/library/people"),
            await other.get("/v1/library/people/persons"),
            await other.get("/v1/library/people/person/anna"),
            await other.patch("/v1/library/people/person/anna", json={"name": "x"}),
            await other.delete("/v1/library/people/person/anna"),
            await other.delete(f"/v1/library/people/face/{face}"),
            await other.post("/v1/library/people/face", json={"person_id": "b", "image_url": portrait("b")}),
            await other.post("/v1/library/people/search", json={"image_url": portrait("b")}),
        ]
        assert [refusal(each) for each in attempts] == [(403, "forbidden")] * len(attempts)
        assert refusal(await other.post("/v1/library", json={"library_id": "people"})) == (409, "conflict")
        assert (await other.get("/v1/libraries")).json()["libraries"] == []
    assert (await service.client.get("/v1/library/people")).json()["person_count"] == 1


async def test_another_network_is_refused(tmp_path: Path) -> None:
    """A library built with one network is neither searched nor grown with another."""
    async with replica(tmp_path) as before:
        await before.library()
        await before.enrol("anna", portrait("anna"))
    async with replica(tmp_path, space="another") as after:
        assert refusal(await after.enrol("ben", portrait("ben"))) == (409, "conflict")
        answer = await after.post("/library/people/search", image_url=portrait("anna"))
        assert refusal(answer) == (409, "conflict")
        assert "speaking" in answer.json()["error"]["message"]
        assert (await after.client.get("/v1/library/people")).json()["model"] == "speaking"
        assert (await after.client.delete("/v1/library/people")).status_code == 200


async def test_plans_have_room_for_so_much(service: Replica) -> None:
    """Libraries and people beyond the plan are 409; more faces of who is known are not people."""
    other = await service.as_another("small")
    async with other:
        for name, status in (("a", 200), ("b", 200), ("c", 409)):
            assert (await other.post("/v1/library", json={"library_id": name})).status_code == status
        for person, status in (("x", 200), ("y", 200), ("z", 200), ("w", 409), ("x", 200)):
            body = {"person_id": person, "image_url": portrait(person, status)}
            assert (await other.post("/v1/library/a/face", json=body)).status_code == status


async def test_a_person_has_so_many_faces(service: Replica) -> None:
    """Beyond the most that anybody is known by, faces are refused until some are removed."""
    await service.library()
    for number in range(MOST_FACES):
        assert (await service.enrol("anna", portrait("anna", number))).status_code == 200
    assert refusal(await service.enrol("anna", portrait("anna", 99))) == (409, "conflict")


async def test_the_same_request_is_done_once(pair: tuple[Replica, Replica]) -> None:
    """An enrolment that is sent again with its key, to any process, is the first one; another is 409."""
    one, two = pair
    await one.library()
    body = {"person_id": "anna", "image_url": portrait("anna")}
    key = {"Idempotency-Key": "once"}
    first = (await one.client.post("/v1/library/people/face", json=body, headers=key)).json()
    again = (await two.client.post("/v1/library/people/face", json=body, headers=key)).json()
    assert {**first, "request_id": ""} == {**again, "request_id": ""}
    assert (await one.client.get("/v1/library/people")).json()["face_count"] == 1
    other = await one.client.post("/v1/library/people/face", json={**body, "name": "A"}, headers=key)
    assert refusal(other) == (409, "conflict")


BAD_REFERENCES: list[tuple[list[dict[str, Any]], int, str, str | None]] = [
    ([], 422, "no_faces_detected", None),
    ([shot("a"), shot("b")], 400, "invalid_media", "several_faces"),
    ([shot("a", side=30)], 400, "invalid_media", "too_small"),
    ([shot("a", sharpness=0.1)], 400, "invalid_media", "too_blurred"),
    ([shot("a", brightness=0.05)], 400, "invalid_media", "too_dark"),
    ([shot("a", turned=True)], 400, "invalid_media", "extreme_pose"),
    ([shot("a", score=0.55)], 400, "invalid_media", "low_confidence"),
]


async def test_bad_references_are_refused_with_a_reason(service: Replica) -> None:
    """Each has the published code, and a word that programs understand; nobody is made."""
    await service.library()
    for faces, status, code, reason in BAD_REFERENCES:
        answer = await service.enrol("anna", picture(*faces))
        assert refusal(answer) == (status, code), faces
        assert answer.json()["error"].get("reason") == reason, faces
    assert (await service.client.get("/v1/library/people")).json()["person_count"] == 0


async def test_a_bystander_does_not_count(service: Replica) -> None:
    """A face far in the background leaves the one in front clear."""
    await service.library()
    assert (
        await service.enrol("anna", picture(shot("anna", side=300), shot("x", side=50)))
    ).status_code == 200
    assert await service.who(portrait("anna", 2)) == [["anna"]]


BAD_URLS = (
    "data:image/jpeg;base64,AAAA",
    "data:broken",
    "file:///etc/passwd",
    "http://127.0.0.1:9/x",
    "upload://up_1",
)


async def test_pictures_that_cannot_be_had(service: Replica) -> None:
    """A corrupted or unreachable picture is 400 wherever one is named."""
    await service.library()
    for url in BAD_URLS:
        for answer in (
            await service.enrol("anna", url),
            await service.post("/library/people/search", image_url=url),
            await service.post("/compare", source_image_url=url, target_image_url=portrait("a")),
        ):
            assert refusal(answer) == (400, "invalid_media"), url


async def test_compare(service: Replica) -> None:
    """Two pictures of one person are the same, of two people they are not; the largest face counts."""
    same = await service.post(
        "/compare",
        source_image_url=portrait("anna"),
        target_image_url=picture(shot("x", side=40), shot("anna", 2)),
    )
    told = same.json()
    assert set(told) == {"request_id", "score", "is_same_person", "threshold", "similarity"}
    assert (told["is_same_person"], told["threshold"]) == (True, 0.7)
    assert told["score"] > 0.7
    other = await service.post(
        "/compare", source_image_url=portrait("anna"), target_image_url=portrait("ben")
    )
    assert other.json()["is_same_person"] is False
    assert other.json()["score"] < 0.7
    for source, target in ((picture(), portrait("a")), (portrait("a"), picture())):
        answer = await service.post("/compare", source_image_url=source, target_image_url=target)
        assert refusal(answer) == (422, "no_faces_detected")


async def test_a_search_needs_a_face(service: Replica) -> None:
    """A picture without faces is 422; a library without people knows nobody."""
    await service.library()
    answer = await service.post("/library/people/search", image_url=picture())
    assert refusal(answer) == (422, "no_faces_detected")
    assert await service.who(portrait("anna")) == [[]]


NAMES = ["Zoë Müller", "张伟", "محمد", "Ольга", "นิดา", "ஷாலினி", "می‌خواهم", "O'Brien; DROP TABLE", "👩‍👧", "é"]


async def test_names_in_any_script(pair: tuple[Replica, Replica]) -> None:
    """Names and identifiers of any script come back as they were, also as part of an address."""
    one, two = pair
    for name in NAMES:
        await one.library(name, name=name, description=name)
        answer = await one.enrol(name, portrait(name), name, name=name, metadata={name: name})
        assert answer.status_code == 200, answer.text
        person = (await two.client.get(f"/v1/library/{name}/person/{name}")).json()
        assert (person["person_id"], person["name"], person["metadata"]) == (name, name, {name: name})
        assert await two.who(portrait(name, 2), name) == [[name]]


BAD_BODIES: list[dict[str, Any]] = [
    {},
    {"person_id": "a"},
    {"person_id": "", "image_url": "x"},
    {"person_id": "a/b", "image_url": "x"},
    {"person_id": "..", "image_url": "x"},
    {"person_id": "a\u0000", "image_url": "x"},
    {"person_id": "x" * 129, "image_url": "x"},
    {"person_id": 7, "image_url": "x"},
    {"person_id": "a", "image_url": 7},
    {"person_id": "a", "image_url": "x", "name": "\n"},
    {"person_id": "a", "image_url": "x", "name": "n" * 257},
    {"person_id": "a", "image_url": "x", "metadata": {"a": "x" * 2050}},
    {"person_id": "a", "image_url": "x", "metadata": {"a": "\u0000"}},
    {"person_id": "a", "image_url": "x", "metadata": [1]},
]


async def test_fields_out_of_range(service: Replica) -> None:
    """Each wrong field is 400 before anything is fetched."""
    await service.library()
    for body in BAD_BODIES:
        assert refusal(await service.post("/library/people/face", **body)) == (400, "invalid_request"), body
    assert service.engine.looked == []


async def test_metadata_up_to_its_limit(service: Replica) -> None:
    """2 KB of metadata are kept, and can be changed or emptied later."""
    await service.library()
    most = {"a": "x" * (2048 - len('{"a":""}'))}
    assert (await service.enrol("anna", portrait("anna"), metadata=most)).json()["metadata"] == most
    more = {"a": most["a"] + "x"}
    path = "/v1/library/people/person/anna"
    assert refusal(await service.client.patch(path, json={"metadata": more})) == (400, "invalid_request")
    changed = (await service.client.patch(path, json={"name": "Anna", "metadata": None})).json()
    assert (changed["name"], changed["metadata"]) == ("Anna", None)
    assert (await service.who(portrait("anna", 2))) == [["anna"]]


async def test_lists_in_pages(service: Replica) -> None:
    """Libraries come newest first, people in the order of their enrolment; cursors belong to their list."""
    for number in range(5):
        await service.library(f"l{number}")
        await service.enrol(f"p{number}", portrait(str(number)), "l0")
    seen: list[str] = []
    cursor: str | None = None
    while True:
        parameters = {"limit": 2} | ({} if cursor is None else {"cursor": cursor})
        page = (await service.client.get("/v1/library/l0/persons", params=parameters)).json()
        seen += [person["person_id"] for person in page["persons"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == [f"p{number}" for number in range(5)]
    first = (await service.client.get("/v1/libraries", params={"limit": 3})).json()
    assert [each["library_id"] for each in first["libraries"]] == ["l4", "l3", "l2"]
    rest = (await service.client.get("/v1/libraries", params={"cursor": first["next_cursor"]})).json()
    assert [each["library_id"] for each in rest["libraries"]] == ["l1", "l0"]
    stolen = await service.client.get("/v1/library/l0/persons", params={"cursor": first["next_cursor"]})
    assert refusal(stolen) == (400, "invalid_request")


async def test_the_erased_leave_memory_unasked(pair: tuple[Replica, Replica]) -> None:
    """A process that is asked nothing drops a deleted library from its memory within moments."""
    one, two = pair
    await one.library()
    await one.enrol("anna", portrait("anna"))
    assert await two.who(portrait("anna", 2)) == [["anna"]]
    shelf = two.libraries.recognizer.shelf
    assert len(shelf) == 1
    await one.client.delete("/v1/library/people")

    async def is_empty() -> bool:
        return len(shelf) == 0

    await until(is_empty)
