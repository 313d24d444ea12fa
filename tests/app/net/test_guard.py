"""Whether an address may be connected to."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from app.net.allowing import AllowList
from app.net.guard import NO_PUBLIC_ADDRESS, Guard, NameUnknown, Refused, SystemResolver
from app.net.urls import read_address
from tests.fakes.hostile_server import Names

if TYPE_CHECKING:
    from collections.abc import Sequence

PUBLIC = "8.8.8.8"


def guard_of(names: Names | None = None, allow: Sequence[str] = ()) -> Guard:
    """Return a guard that asks these names."""
    return Guard(AllowList.read(allow), names or Names())


async def test_a_public_name_is_looked_up_once() -> None:
    """All of its addresses are given, in their order, from one look-up."""
    names = Names(media_example=[[PUBLIC, "2606:4700::1111"], ["127.0.0.1"]])
    checked = await guard_of(names).check(read_address("https://media.example/x"))
    assert checked.ips == (PUBLIC, "2606:4700::1111")
    assert (names.asked, checked.opened) == (["media.example"], False)


@pytest.mark.parametrize(
    "answers",
    [
        ["127.0.0.1"],
        ["169.254.169.254"],
        [PUBLIC, "10.0.0.1"],
        ["::ffff:169.254.169.254"],
        ["64:ff9b::7f00:1"],
        ["fe80::1%eth0"],
        [],
    ],
)
async def test_names_of_other_places_are_refused_alike(answers: list[str]) -> None:
    """One bad address is enough, and nobody can tell a private name from one that does not exist."""
    with pytest.raises(Refused) as refused:
        await guard_of(Names(media_example=[answers])).check(read_address("https://media.example/"))
    assert refused.value.reason == NO_PUBLIC_ADDRESS


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/",
        "http://[::1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://169.254.169.254/",
        "http://0.0.0.0/",
    ],
)
async def test_addresses_in_the_url_are_judged(url: str) -> None:
    """A literal address needs no look-up, and gets no mercy."""
    names = Names()
    with pytest.raises(Refused):
        await guard_of(names).check(read_address(url))
    assert names.asked == []


@pytest.mark.parametrize("port", [22, 25, 81, 443 + 1, 2049, 5060, 6667, 10080])
async def test_ports_of_other_protocols_are_refused(port: int) -> None:
    """Mail, file and chat servers are not spoken to."""
    names = Names(media_example=[[PUBLIC]])
    with pytest.raises(Refused, match="port"):
        await guard_of(names).check(read_address(f"http://media.example:{port}/"))


async def test_the_operator_opens_hosts_with_their_ports_and_plain_http() -> None:
    """What is listed may be private, on any port, and without TLS."""
    guard = guard_of(Names(minio=[["10.0.0.9"]]), ["minio"])
    checked = await guard.check(read_address("http://minio:90/"), https_only=True)
    assert (checked.ips, checked.opened) == (("10.0.0.9",), True)


async def test_webhooks_go_over_tls() -> None:
    """Where only https will do, plain http to a public host is refused."""
    names = Names(hooks_example=[[PUBLIC]])
    with pytest.raises(Refused, match="https"):
        await guard_of(names).check(read_address("http://hooks.example/"), https_only=True)


async def test_a_name_that_never_answers_is_given_up() -> None:
    """The look-up has a time limit, after which the name counts as unknown for now."""

    async def never(host: str, port: int) -> Sequence[str]:
        del host, port
        await asyncio.sleep(60)
        return ()

    guard = Guard(AllowList(), never, lookup_timeout_s=0.05)
    with pytest.raises(NameUnknown):
        await guard.check(read_address("https://media.example/"))


async def test_the_machines_own_names_are_refused() -> None:
    """The real resolver finds localhost, and the guard refuses it; unknown names are none."""
    resolver = SystemResolver(threads=1)
    try:
        assert set(await resolver("localhost", 80)) <= {"127.0.0.1", "::1"}
        with pytest.raises(Refused):
            await Guard(AllowList(), resolver).check(read_address("http://localhost:8000/"))
        assert await resolver("nothing.invalid", 80) == ()
    finally:
        resolver.close()
