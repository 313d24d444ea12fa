"""The console of the whole service, through its edge: the login, the files, and what only Ray knows."""

from __future__ import annotations

import re
import time
from http import HTTPStatus
from typing import TYPE_CHECKING

import httpx
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cluster.trial import Trial

ADMIN = "/api/v1/admin"


@pytest.fixture(scope="module")
def console(service: Trial) -> Iterator[httpx.Client]:
    """Give a client that logged in by the form, once other tests' guesses of passwords are forgotten."""
    with httpx.Client(base_url=service.url, timeout=30, trust_env=False) as made:
        who = {"username": "admin", "password": service.admin_password}
        answer = made.post("/login", data=who)
        if answer.status_code == HTTPStatus.TOO_MANY_REQUESTS:
            time.sleep(int(answer.headers["retry-after"]) + 1)
            answer = made.post("/login", data=who)
        assert (answer.status_code, answer.headers["location"]) == (303, "/")
        yield made


def test_the_pages_come_through_the_edge(console: httpx.Client) -> None:
    """Every page shows; its policy and its files arrive as they were sent."""
    for path in ("/", "/try", "/images", "/jobs", "/tasks", "/libraries", "/keys", "/system", "/audit"):
        page = console.get(path)
        assert page.status_code == 200, path
        assert "script-src 'self'" in page.headers["content-security-policy"]
    for link in set(re.findall(r'(?:src|href)="(/console/[^"]+)"', page.text)):
        found = console.get(link)
        assert found.status_code == 200
        assert "immutable" in found.headers["cache-control"]


def test_replicas_and_networks_are_those_of_the_service(console: httpx.Client) -> None:
    """The overview counts the replicas that run; the system names each network with its licence."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        found = {each["name"]: each for each in console.get(f"{ADMIN}/overview").json()["deployments"]}
        if found and all(each["status"] == "HEALTHY" for each in found.values()):
            break
        time.sleep(0.5)
    assert found["ingress"]["running"] == found["ingress"]["wanted"] >= 1
    system = console.get(f"{ADMIN}/system").json()
    networks = {each["name"]: each for each in system["models"]}
    assert {"yunet", "sface", "facemesh"} <= set(networks)
    assert networks["yunet"]["licence"]
    assert networks["yunet"]["is_commercial"] is True
    assert {each["name"] for each in system["devices"]} == {"Cluster", "Networks run on"}


def test_what_replicas_count_is_added_up(console: httpx.Client, client: httpx.Client) -> None:
    """Refused requests, whichever replica answered them, show in the overview within seconds."""

    def refused() -> int:
        stretches = console.get(f"{ADMIN}/overview").json()["stretches"]
        return sum(each["refused"] for each in stretches)

    before = refused()
    for _ in range(8):
        assert client.post("/api/v1/detect", files={"image": b"none"}).status_code == 415
    deadline = time.monotonic() + 20
    while refused() < before + 8 and time.monotonic() < deadline:
        time.sleep(0.5)
    assert refused() >= before + 8
