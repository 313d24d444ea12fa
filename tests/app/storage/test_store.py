"""What every object storage promises, asked of the local folder and of S3."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from app.storage.local import LocalStore
from app.storage.port import ObjectMissing, checked_key
from app.storage.s3 import MULTIPART_BYTES, S3Store
from app.storage.signing import UrlSigner, read_or_make_secret
from pipelines.errors import DependencyDown
from tests.app.storage.conftest import s3_place
from tests.servers import S3Server

if TYPE_CHECKING:
    from pathlib import Path

    from app.storage.port import ObjectStore

KEY = "originals/ab/abcdef.jpeg"


async def read(store: ObjectStore, key: str) -> bytes:
    """Return an object's bytes."""
    return b"".join([piece async for piece in store.get(key)])


async def test_what_is_put_is_got(store: ObjectStore) -> None:
    """Bytes come back as they were, also when they come in several pieces."""
    data = os.urandom(700_000)
    assert not await store.exists(KEY)
    await store.put(KEY, data)
    assert await store.exists(KEY)
    assert await read(store, KEY) == data


async def test_a_file_is_put_and_stays(store: ObjectStore, tmp_path: Path) -> None:
    """A file's bytes are kept; the file is the caller's; doing it twice is harmless."""
    path = tmp_path / "file"
    path.write_bytes(b"hello")
    await store.put_file(KEY, path)
    await store.put_file(KEY, path)
    assert path.read_bytes() == b"hello"
    path.unlink()
    assert await read(store, KEY) == b"hello"


async def test_a_large_file_is_put_in_parts(store: ObjectStore, tmp_path: Path) -> None:
    """More than one part arrives whole."""
    path = tmp_path / "file"
    data = os.urandom(MULTIPART_BYTES + 1_000_000)
    path.write_bytes(data)
    await store.put_file(KEY, path)
    assert await read(store, KEY) == data


async def test_what_is_missing_is_named(store: ObjectStore) -> None:
    """Reading what is not there says so; removing it is fine."""
    with pytest.raises(ObjectMissing):
        await read(store, KEY)
    await store.delete(KEY)


async def test_what_is_deleted_is_gone(store: ObjectStore) -> None:
    """After its removal there is no such object."""
    await store.put(KEY, b"x")
    await store.delete(KEY)
    assert not await store.exists(KEY)


@pytest.mark.parametrize(
    "key",
    [
        "../secrets/url_signing_key",
        "/etc/passwd",
        "originals/../../x",
        "originals//x",
        "a/./b",
        ".hidden",
        "a\\b",
        "a\x00b",
        "ä/b",
        "a b",
        "a/" * 120 + "b",
        "",
        "a\n",
    ],
)
async def test_names_that_we_never_make_are_refused(store: ObjectStore, key: str) -> None:
    """No name leads out of the folder or bucket, whatever the method."""
    with pytest.raises(ObjectMissing):
        await store.put(key, b"x")
    with pytest.raises(ObjectMissing):
        await read(store, key)
    with pytest.raises(ObjectMissing):
        await store.delete(key)
    with pytest.raises(ObjectMissing):
        await store.url(key, 60)


def test_names_that_we_make_pass() -> None:
    """The check lets our own names through."""
    assert checked_key(KEY) == KEY


async def test_a_signed_address_of_s3_opens_for_anyone_until_it_expires(s3_server: S3Server) -> None:
    """The bucket is private; the address carries its permission, and the type to show it as."""
    store = S3Store(s3_place(s3_server))
    await store.put(KEY, b"picture")
    url = await store.url(KEY, 60)
    async with httpx.AsyncClient() as client:
        answer = await client.get(url)
    assert answer.content == b"picture"
    assert answer.headers["content-type"] == "image/jpeg"
    assert parse_qs(urlsplit(url).query)["X-Amz-Expires"] == ["60"]
    await store.close()


async def test_only_processed_pictures_have_public_addresses(s3_server: S3Server) -> None:
    """An original never leaves by the public host, whatever is configured."""
    store = S3Store(s3_place(s3_server, "https://cdn.example.com/faces/"))
    processed = "processed/2026/01/02/abc.webp"
    assert await store.url(processed, 60) == f"https://cdn.example.com/faces/{processed}"
    assert (await store.url(KEY, 60)).startswith(s3_server.endpoint)
    await store.close()


async def test_s3_that_goes_away_is_named_and_comes_back() -> None:
    """While it is away callers hear so; once it is back the same store works again."""
    server = S3Server()
    server.start()
    store = S3Store(s3_place(server))
    await store.put(KEY, b"x")
    assert await store.ready()
    server.stop()
    assert not await store.ready()
    with pytest.raises(DependencyDown, match="does not answer") as away:
        await store.put(KEY, b"y")
    assert away.value.retry_after_s > 0
    server.start()
    assert await store.ready()
    await store.put(KEY, b"z")
    assert await read(store, KEY) == b"z"
    await store.close()
    server.stop()


async def test_a_bucket_that_is_not_there_is_a_refusal(s3_server: S3Server) -> None:
    """A wrong bucket is the operator's to mend, and not a missing object."""
    place = s3_place(s3_server)
    store = S3Store(type(place)(**{**{f: getattr(place, f) for f in place.__slots__}, "bucket": "no-such"}))
    with pytest.raises(DependencyDown, match="refuses"):
        await store.put(KEY, b"x")
    assert not await store.ready()
    await store.close()


async def test_a_full_disk_is_named_and_leaves_no_half_file(
    signer: UrlSigner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The caller hears that there is no room, and nothing half written stays."""

    def no_room(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    store = LocalStore(tmp_path, signer)
    monkeypatch.setattr(os, "fsync", no_room)  # where a disk says so that promised room before
    with pytest.raises(DependencyDown, match="insufficient storage"):
        await store.put(KEY, b"x")
    assert os.listdir(tmp_path / "originals" / "ab") == []  # noqa: PTH208 - pathlib has no name for it that ruff lets pass in async code
    await store.close()


async def test_a_local_address_holds_for_one_object_and_time(tmp_path: Path) -> None:
    """Another object, another time or another secret needs another signature."""
    signer = UrlSigner(b"s" * 32, "https://faces.example.com/files/")
    url = urlsplit(await LocalStore(tmp_path, signer).url(KEY, 60))
    query = parse_qs(url.query)
    expires_at, signature = int(query["expires"][0]), query["signature"][0]
    assert url.path == f"/files/{KEY}"
    assert signer.verify(KEY, expires_at, signature)
    assert not signer.verify(KEY, expires_at, signature, now=expires_at)
    assert not signer.verify(KEY, expires_at + 1, signature)
    assert not signer.verify("originals/ab/other.jpeg", expires_at, signature)
    assert not signer.verify(KEY, expires_at, "ä" * 64)
    assert not UrlSigner(b"t" * 32, "/files").verify(KEY, expires_at, signature)


def test_the_secret_is_made_once_and_for_its_owner(tmp_path: Path) -> None:
    """All processes read the same secret, and other users none."""
    path = tmp_path / "secrets" / "key"
    secret = read_or_make_secret(path)
    assert len(secret) == 32
    assert read_or_make_secret(path) == secret
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert list(path.parent.iterdir()) == [path]
