"""Fetching from servers that are slow, broken or hostile: a whole file, or a clear reason and no file."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import random
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from pipelines.errors import DependencyDown, InvalidMedia, MediaTooLarge
from tests.app.intake.conftest import LIMITS
from tests.fakes.hostile_server import (
    OPENED,
    HostileServer,
    Names,
    Script,
    answer,
    cut_after,
    head,
    hostile_server,
    redirect,
    rest_of,
    whole,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from app.intake.fetching import Intake

    Url = Callable[[str], str]

BODY = random.Random(1).randbytes(300_000)  # noqa: S311 - no secret
ETAG = '"v1"'


def left_in(folder: Path) -> list[Path]:
    """Return what lies in a folder."""
    return list(folder.iterdir())


async def refused(intake: Intake, url: str, folder: Path, **changes: float) -> str:
    """Fetch what cannot be fetched, and return the reason; nothing may be left of it."""
    with pytest.raises(InvalidMedia) as error:
        await intake.fetch(url, folder / "media", replace(LIMITS, **changes))  # type: ignore[arg-type] # numbers all
    assert left_in(folder) == []
    assert error.value.message.startswith("Unable to fetch media_url: ")
    return error.value.message


async def test_a_file_is_fetched(intake: Intake, server: HostileServer, url: Url, tmp_path: Path) -> None:
    """An honest server's file is here whole, with its hash, size and type, and progress was told."""
    server.on("/a.mp4", whole(BODY, Content_Type="video/mp4"))
    told: list[tuple[int, int | None]] = []
    target = tmp_path / "new folder" / "media"
    fetched = await intake.fetch(
        url("/a.mp4?sig=%2F+a"), target, LIMITS, lambda have, total: told.append((have, total))
    )
    assert target.read_bytes() == BODY
    assert (fetched.path, fetched.size, fetched.content_type) == (target, len(BODY), "video/mp4")
    assert fetched.sha256 == hashlib.sha256(BODY).hexdigest()
    assert told[-1] == (len(BODY), len(BODY))
    request = server.requests[0]
    assert (request.target, request.headers["accept-encoding"]) == ("/a.mp4?sig=%2F+a", "identity")
    assert "sig" not in repr(fetched)


@pytest.mark.parametrize(
    "framed",
    [
        head(Transfer_Encoding="chunked") + b"5;x=y\r\nhello\r\n0\r\nTrailer: x\r\n\r\n",
        head() + b"hello",
        b"HTTP/1.0 200 OK\r\n\r\nhello",
        head(Content_Length=5) + b"hello and more that was not promised",
    ],
    ids=["chunked", "until the end", "HTTP/1.0", "length too small"],
)
async def test_bodies_end_in_every_legal_way(
    intake: Intake, server: HostileServer, url: Url, tmp_path: Path, framed: bytes
) -> None:
    """Chunks, lengths and closed connections all end a body; what comes after its length is not read."""
    server.on("/", answer(framed))
    await intake.fetch(url("/"), tmp_path / "media", LIMITS)
    assert (tmp_path / "media").read_bytes() == b"hello"


@pytest.mark.parametrize("etag", [ETAG, None])
async def test_a_broken_connection_costs_no_more_than_it_must(
    intake: Intake, server: HostileServer, url: Url, tmp_path: Path, etag: str | None
) -> None:
    """With a version to go by the rest is asked for; without one, everything."""
    if etag:
        server.on(
            "/", *(rest_of(BODY, etag, stop) for stop in (100_000, 150_000, 160_000)), rest_of(BODY, etag)
        )
    else:
        server.on("/", cut_after(BODY, 100_000), whole(BODY))
    fetched = await intake.fetch(url("/"), tmp_path / "media", LIMITS)
    assert (tmp_path / "media").read_bytes() == BODY
    assert fetched.sha256 == hashlib.sha256(BODY).hexdigest()
    asked = [request.headers.get("range") for request in server.requests]
    rests = ["bytes=100000-", "bytes=150000-", "bytes=160000-"]
    assert asked == ([None, *rests] if etag else [None, None])


def lying_range(first: int, total: int, etag: str = ETAG, stop: int | None = None) -> Script:
    """Return a part that claims to be another one than was asked for."""
    part = BODY[first:stop]
    span = f"bytes {first}-{first + len(part) - 1}/{total}"
    return answer(head(206, Content_Length=len(part), Content_Range=span, ETag=etag) + part)


@pytest.mark.parametrize(
    "second",
    [
        lying_range(99_999, len(BODY)),
        lying_range(99_999, len(BODY), stop=-1),
        lying_range(100_000, len(BODY) + 5),
        lying_range(100_000, len(BODY), '"v2"'),
        answer(head(206, Content_Length=3, ETag=ETAG) + b"abc"),
        answer(head(206, Content_Length=3, Content_Range="bytes x-y/z", ETag=ETAG) + b"abc"),
        answer(head(416, Content_Length=0)),
    ],
    ids=[
        "an earlier start",
        "another start, right length",
        "another size",
        "another version",
        "no range",
        "nonsense",
        "not satisfiable",
    ],
)
async def test_parts_of_something_else_are_not_used(
    intake: Intake, server: HostileServer, url: Url, tmp_path: Path, second: Script
) -> None:
    """A rest that does not fit is thrown away, and everything asked for anew."""
    server.on("/", cut_after(BODY, 100_000, ETag=ETAG), second, whole(BODY, ETag=ETAG))
    await intake.fetch(url("/"), tmp_path / "media", LIMITS)
    assert (tmp_path / "media").read_bytes() == BODY
    assert "range" not in server.requests[2].headers


async def test_a_file_that_changed_is_fetched_anew(
    intake: Intake, server: HostileServer, url: Url, tmp_path: Path
) -> None:
    """Two versions are never mixed: the new one comes whole."""
    server.on("/", cut_after(b"x" * 200_000, 100_000, ETag='"v0"'), rest_of(BODY, ETAG))
    await intake.fetch(url("/"), tmp_path / "media", LIMITS)
    assert server.requests[1].headers["if-range"] == '"v0"'
    assert (tmp_path / "media").read_bytes() == BODY


async def test_written_blocks_are_forgotten_too(
    intake: Intake, server: HostileServer, url: Url, tmp_path: Path
) -> None:
    """Starting anew after much was written leaves nothing of it, in the file or in its hash."""
    server.on("/", cut_after(b"x" * 5_000_000, 3_000_000), whole(BODY * 5))
    fetched = await intake.fetch(url("/"), tmp_path / "media", replace(LIMITS, max_bytes=10_000_000))
    assert (tmp_path / "media").read_bytes() == BODY * 5
    assert fetched.sha256 == hashlib.sha256(BODY * 5).hexdigest()


@pytest.mark.parametrize("weak", ['W/"v1"', None])
async def test_weak_versions_are_not_gone_by(
    intake: Intake, server: HostileServer, url: Url, tmp_path: Path, weak: str | None
) -> None:
    """A weak ETag, or a date as young as the answer, does not say that bytes are the same."""
    date = "Sat, 21 Nov 2026 05:00:00 GMT"
    headers = {"ETag": weak} if weak else {"Last_Modified": date, "Date": date}
    server.on("/", cut_after(BODY, 100_000, **headers), whole(BODY))
    await intake.fetch(url("/"), tmp_path / "media", LIMITS)
    assert "range" not in server.requests[1].headers


async def test_an_old_date_is_a_version(
    intake: Intake, server: HostileServer, url: Url, tmp_path: Path
) -> None:
    """A date of change that is long past lets the rest be asked for."""
    changed = "Sat, 21 Nov 2026 05:00:00 GMT"
    headers = {"Last_Modified": changed, "Date": "Sat, 21 Nov 2026 05:02:00 GMT"}
    server.on("/", cut_after(BODY, 100_000, **headers), whole(BODY))
    await intake.fetch(url("/"), tmp_path / "media", LIMITS)
    assert server.requests[1].headers["if-range"] == changed


async def test_servers_that_are_busy_are_asked_again(
    intake: Intake, server: HostileServer, url: Url, tmp_path: Path
) -> None:
    """Faults of the server are waited out, as long as it says."""
    busy = answer(head(503, Retry_After="0", Content_Length=0))
    server.on("/", busy, whole(b"", 500), whole(b"", 429), whole(BODY))
    assert (await intake.fetch(url("/"), tmp_path / "media", LIMITS)).size == len(BODY)


@pytest.mark.parametrize(
    ("script", "reason", "asked"),
    [
        (whole(b"no", 404), "the server answered 404", 1),
        (whole(b"no", 500), "the server answered 500", 5),
        (whole(b"", 204), "the server answered 204", 1),
        (whole(b"part", 206), "the server answered 206", 1),
        (whole(b""), "it is empty", 1),
        (cut_after(BODY, 1000), "the connection broke off", 5),
        (answer(), "the connection broke off", 5),
        (answer(head(Content_Length="5, 6") + b"hello!"), "the connection broke off", 5),
        (
            answer(head(Transfer_Encoding="chunked") + b"fffffffffffffffffffff\r\n"),
            "the connection broke off",
            5,
        ),
        (whole(gzip.compress(BODY), Content_Encoding="gzip"), "compressed", 1),
        (whole(b"", Content_Encoding="deflate"), "compressed", 1),
        (redirect(""), "redirects too often", 6),
        (redirect("/"), "redirects too often", 6),
    ],
)
async def test_reasons_are_told(
    intake: Intake, server: HostileServer, url: Url, tmp_path: Path, script: Script, reason: str, asked: int
) -> None:
    """What cannot succeed is tried once, what may is tried five times, and the reason is in plain words."""
    server.on("/", script)
    assert reason in await refused(intake, url("/"), tmp_path)
    assert len(server.requests) == asked


@pytest.mark.parametrize(
    "script",
    [
        answer(head(Content_Length=1_000_001)),
        answer(head(Content_Length=10**17)),
        answer(head(), b"x" * 65536, forever=True),
        answer(head(Transfer_Encoding="chunked"), b"8000\r\n" + b"x" * 0x8000 + b"\r\n", forever=True),
    ],
    ids=["says so", "says more than a disk", "endless", "endless chunks"],
)
async def test_too_much_is_refused(
    intake: Intake, server: HostileServer, url: Url, tmp_path: Path, script: Script
) -> None:
    """A file over the limit is given up as soon as that is known, and nothing of it stays."""
    server.on("/", script)
    with pytest.raises(MediaTooLarge):
        await intake.fetch(url("/"), tmp_path / "media", LIMITS)
    assert left_in(tmp_path) == []
    assert len(server.requests) == 1


async def test_a_drip_is_cut(intake: Intake, server: HostileServer, url: Url, tmp_path: Path) -> None:
    """A sender that is never silent and never done is too slow."""
    server.on("/", answer(head(Content_Length=900_000), b"x", pause_s=0.02, forever=True))
    reason = await refused(intake, url("/"), tmp_path, stall_s=0.2, slowest_bytes_per_s=10_000, tries=2)
    assert "too slowly" in reason


async def test_silence_is_cut(intake: Intake, server: HostileServer, url: Url, tmp_path: Path) -> None:
    """A sender that stops in the middle is given up, with a fresh try first."""
    server.on("/", answer(head(Content_Length=900_000), b"x", hang=True))
    assert "stopped sending" in await refused(intake, url("/"), tmp_path, stall_s=0.2, tries=2)
    assert len(server.requests) == 2


async def test_the_whole_has_a_time(intake: Intake, server: HostileServer, url: Url, tmp_path: Path) -> None:
    """However much moves, a fetch ends in its time."""
    server.on("/", answer(head(ETag=ETAG, Content_Length=900_000), b"x" * 100, pause_s=0.01, forever=True))
    assert "longer than 0.3 seconds" in await refused(intake, url("/"), tmp_path, total_s=0.3)


@pytest.mark.parametrize(
    "location",
    [
        "http://127.0.0.1:{inside}/secret",
        "http://169.254.169.254/latest/meta-data/",
        "http://[::ffff:127.0.0.1]:{inside}/",
        "http://2130706433:{inside}/",
        "http://0x7f.1:{inside}/",
        "http://017700000001:{inside}/",
        "http://inside.example:{inside}/",
        "//127.0.0.1:{inside}/",
        "http://user@127.0.0.1:{inside}/",
        "file:///etc/passwd",
        "ftp://media.example/",
        "gopher://127.0.0.1:{inside}/_x",
    ],
)
async def test_redirects_inward_are_not_followed(
    intake: Intake, server: HostileServer, url: Url, names: Names, tmp_path: Path, location: str
) -> None:
    """No redirect leads into the operator's network, and all are refused with the same words."""
    names.answers["inside.example"] = [["127.0.0.1"]]
    async with hostile_server("127.0.0.1") as inside:
        server.on("/", redirect(location.format(inside=inside.port)))
        reason = await refused(intake, url("/"), tmp_path)
        assert (
            reason == "Unable to fetch media_url: the server redirects to an address that cannot be fetched."
        )
        assert inside.connections == 0


async def test_a_name_that_changes_leads_nowhere_else(
    intake: Intake, server: HostileServer, url: Url, names: Names, tmp_path: Path
) -> None:
    """Each connection is to what its own check found; a name that turns inward between them is refused."""
    names.answers["media.example"] = [[OPENED], ["127.0.0.1"]]
    async with hostile_server("127.0.0.1") as inside:
        server.on("/", cut_after(BODY, 100_000, ETag=ETAG), whole(BODY))
        assert "no public address" in await refused(intake, url("/"), tmp_path)
        assert (len(server.requests), inside.connections) == (1, 0)


async def test_five_redirects_are_followed(
    intake: Intake, server: HostileServer, url: Url, tmp_path: Path
) -> None:
    """Five are fine, wherever they lead in the open, and the last address is told."""
    for number, status in enumerate([301, 302, 303, 307, 308]):
        server.on(f"/{number}", redirect(f"/{number + 1}?sig=%2F", status))
    server.on("/5", whole(BODY))
    fetched = await intake.fetch(url("/0"), tmp_path / "media", LIMITS)
    assert fetched.final_url == url("/5?sig=%2F")
    assert names_asked(server) == [f"/{number}" for number in range(6)]


def names_asked(server: HostileServer) -> list[str]:
    """Return the paths that were asked for."""
    return [request.target.partition("?")[0] for request in server.requests]


async def test_a_full_disk_is_our_own_trouble(
    intake: Intake, server: HostileServer, url: Url, tmp_path: Path
) -> None:
    """A disk without room, or one that would be left with too little, may have some later."""
    server.on("/", whole(BODY))
    full = tmp_path / "media"
    full.symlink_to("/dev/full")
    with pytest.raises(DependencyDown, match="insufficient storage"):
        await intake.fetch(url("/"), full, LIMITS)
    with pytest.raises(DependencyDown, match="insufficient storage"):
        await intake.fetch(url("/"), tmp_path / "other", replace(LIMITS, keep_free_bytes=1 << 60))
    assert left_in(tmp_path) == []


async def test_a_cancelled_fetch_leaves_nothing(
    intake: Intake, server: HostileServer, url: Url, tmp_path: Path
) -> None:
    """Whoever cancels a task finds no file and no connection of it."""
    gone = asyncio.Event()

    async def play(_request: object, writer: asyncio.StreamWriter) -> None:
        writer.write(head(Content_Length=900_000) + b"x" * 1000)
        try:
            await writer.drain()
            while True:
                writer.write(b"x")
                await writer.drain()
                await asyncio.sleep(0.01)
        finally:
            gone.set()

    server.on("/", play)
    task = asyncio.create_task(intake.fetch(url("/"), tmp_path / "media", LIMITS))
    while not server.requests:  # noqa: ASYNC110 - the server tells nobody
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert left_in(tmp_path) == []
    await asyncio.wait_for(gone.wait(), 5)
