"""Media from buckets, from uploads and from inside of the request."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr

from app.intake.buckets import BucketSender
from app.intake.data_urls import DataSender, read_data_url
from app.intake.fetching import Intake
from app.intake.port import CannotFetch
from app.intake.uploaded import UploadSender
from app.storage.s3 import S3Place, s3_client
from pipelines.errors import InvalidMedia, InvalidOption, MediaTooLarge
from tests.app.intake.conftest import LIMITS
from tests.servers import ACCESS_KEY

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator
    from pathlib import Path

    from types_boto3_s3 import S3Client

    from tests.servers import S3Server

BODY = bytes(range(256)) * 1000


@pytest.fixture
def bucket(s3_server: S3Server) -> str:
    """Return an empty bucket."""
    return s3_server.new_bucket()


@pytest.fixture
def client(s3_server: S3Server, bucket: str) -> S3Client:
    """Return a client of the storage."""
    place = S3Place(
        bucket,
        endpoint=s3_server.endpoint,
        access_key_id=ACCESS_KEY,
        secret_access_key=SecretStr(ACCESS_KEY),
    )
    return s3_client(place)


@pytest.fixture
async def buckets(client: S3Client, bucket: str) -> AsyncIterator[Intake]:
    """Return an intake from that bucket, in parts smaller than the object."""
    sender = BucketSender(client, [bucket], part_bytes=100_000)
    yield Intake({"s3": sender})
    await sender.close()
    client.close()


async def test_objects_are_fetched_in_parts(
    buckets: Intake, client: S3Client, bucket: str, tmp_path: Path
) -> None:
    """An object of an opened bucket is here whole, whatever its key looks like."""
    client.put_object(Bucket=bucket, Key="a b/ü?%2f#.mp4", Body=BODY, ContentType="video/mp4")
    fetched = await buckets.fetch(f"s3://{bucket}/a b/ü?%2f#.mp4", tmp_path / "media", LIMITS)
    assert (tmp_path / "media").read_bytes() == BODY
    assert (fetched.size, fetched.content_type) == (len(BODY), "video/mp4")


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("s3://other/key", "not open"),
        ("s3://{}", "names no object"),
        ("s3://{}/", "names no object"),
        ("s3://{}/none", "no such object"),
        ("s3:///key", "not open"),
    ],
)
async def test_other_objects_are_refused(
    buckets: Intake, bucket: str, tmp_path: Path, path: str, reason: str
) -> None:
    """Only buckets that the operator names are read, and only objects that exist."""
    with pytest.raises(InvalidMedia, match=reason):
        await buckets.fetch(path.format(bucket), tmp_path / "media", LIMITS)
    assert not (tmp_path / "media").exists()


async def test_large_objects_are_refused_unread(
    buckets: Intake, client: S3Client, bucket: str, tmp_path: Path
) -> None:
    """An object over the limit is refused by its size."""
    client.put_object(Bucket=bucket, Key="big", Body=BODY)
    with pytest.raises(MediaTooLarge):
        await buckets.fetch(f"s3://{bucket}/big", tmp_path / "media", replace(LIMITS, max_bytes=1000))


async def test_objects_that_change_are_not_mixed(
    buckets: Intake, client: S3Client, bucket: str, tmp_path: Path
) -> None:
    """An object that is replaced while it is read is refused, not put together from two."""
    large = BODY * 20

    def replace_it(_have: int, _total: int | None) -> None:
        client.put_object(Bucket=bucket, Key="key", Body=large[::-1])

    client.put_object(Bucket=bucket, Key="key", Body=large)
    with pytest.raises(InvalidMedia, match="changed"):
        await buckets.fetch(
            f"s3://{bucket}/key", tmp_path / "media", replace(LIMITS, max_bytes=10**8), replace_it
        )


async def _pieces(upload_id: str) -> AsyncGenerator[bytes, None]:
    if upload_id != "u_1":
        raise LookupError(upload_id)
    for start in range(0, len(BODY), 1000):
        yield BODY[start : start + 1000]


async def test_uploads_are_copied(tmp_path: Path) -> None:
    """What was uploaded is here whole; unknown and malformed uploads are refused, large ones too."""
    intake = Intake({"upload": UploadSender(_pieces)})
    fetched = await intake.fetch("upload://u_1", tmp_path / "media", LIMITS)
    assert (fetched.size, (tmp_path / "media").read_bytes()) == (len(BODY), BODY)
    for url in ("upload://u_2", "upload://../x", "upload://", "upload:u_1"):
        with pytest.raises(InvalidMedia, match="upload"):
            await intake.fetch(url, tmp_path / "other", LIMITS)
    with pytest.raises(MediaTooLarge):
        await intake.fetch("upload://u_1", tmp_path / "other", replace(LIMITS, max_bytes=1000))
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize(
    ("url", "data", "content_type"),
    [
        ("data:,a%20b", b"a b", None),
        ("data:image/png;base64,AAEC", b"\0\1\2", "image/png"),
        ("DATA:image/png;charset=x;BASE64,AAE", b"\0\1", "image/png"),
        ("data:;base64,AAEC%3D".replace("C%3D", "%3D"), b"\0\1", None),
        ("data:text/plain;base64;x=y,AAEC", b"AAEC", "text/plain"),
        ("data:image/png;base64," + base64.b64encode(BODY).decode(), BODY, "image/png"),
    ],
)
def test_data_urls_are_read(url: str, data: bytes, content_type: str | None) -> None:
    """Both codings are read, as browsers do."""
    assert read_data_url(url) == (data, content_type)


@pytest.mark.parametrize(
    "url", ["data:", "data:image/png;base64", "data:;base64,a*b", "data:;base64,A", "data:,ü"]
)
def test_broken_data_urls_are_refused(url: str) -> None:
    """What cannot be decoded is refused, not guessed."""
    with pytest.raises(CannotFetch):
        read_data_url(url)


async def test_data_urls_have_a_limit(tmp_path: Path) -> None:
    """A data URL holds what is allowed and not a byte more."""
    intake = Intake({"data": DataSender(largest_bytes=1000)})
    assert (await intake.fetch("data:," + "x" * 1000, tmp_path / "media", LIMITS)).size == 1000
    for text in ("x" * 1001, "%41" * 1001, "x" * 100_000):
        with pytest.raises(MediaTooLarge):
            await intake.fetch(f"data:,{text}", tmp_path / "other", LIMITS)


async def test_addresses_are_looked_at_when_they_come(intake: Intake) -> None:
    """What can never be fetched is a wrong parameter, told by its name before anything is asked."""
    intake.check("https://example.com/x")
    for url in ("ftp://example.com/", "https://user@example.com/", "example.com/x", "", "s3://bucket/key"):
        with pytest.raises(InvalidOption, match=r"image_url: "):
            intake.check(url, "image_url")
