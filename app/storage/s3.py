"""Objects in a bucket. boto3 blocks, so it works on threads of its own, over pooled connections."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from typing import TYPE_CHECKING, ParamSpec, TypeVar
from urllib.parse import quote

import boto3
from boto3.exceptions import Boto3Error
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from app.storage.port import (
    CHUNK_BYTES,
    PROCESSED,
    ObjectMissing,
    checked_key,
    content_type,
    storage_down,
    storage_full,
)
from pipelines.errors import DependencyDown, Unavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Sequence
    from pathlib import Path

    from pydantic import SecretStr
    from types_boto3_s3 import S3Client

P = ParamSpec("P")
T = TypeVar("T")

CONNECTIONS = 16
READY_TIMEOUT_S = 5
MULTIPART_BYTES = 16 * 1024 * 1024
#: A session is not safe to share between threads that make clients of it.
_making = threading.Lock()
_MISSING = {"404", "NoSuchKey", "NotFound"}
_REFUSED = {
    "403",
    "AccessDenied",
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
    "NoSuchBucket",
    "ExpiredToken",
}
_FULL = {"XMinioStorageFull", "QuotaExceeded", "InsufficientStorage", "507"}


@dataclass(frozen=True, slots=True)
class S3Place:
    """Where the bucket is.

    Attributes:
        bucket: its name; it must exist.
        endpoint: address of a storage other than Amazon's.
        region: None for what boto3 finds.
        access_key_id: None for boto3's own chain: environment, profile, role of the machine.
        secret_access_key: goes with the above.
        public_endpoint: address under which everyone may load processed pictures, by their key alone.
    """

    bucket: str
    endpoint: str | None = None
    region: str | None = None
    access_key_id: str | None = None
    secret_access_key: SecretStr | None = None
    public_endpoint: str | None = None


class S3Store:
    """A bucket. The bucket stays private: addresses are signed and expire."""

    def __init__(self, place: S3Place) -> None:
        self._place = place
        self._threads = ThreadPoolExecutor(CONNECTIONS, thread_name_prefix="s3")
        self._transfer = TransferConfig(
            multipart_threshold=MULTIPART_BYTES, multipart_chunksize=MULTIPART_BYTES
        )
        self._client = s3_client(place)

    async def put(self, key: str, data: bytes) -> None:
        """Keep bytes."""
        await self._away(
            self._client.put_object,
            Bucket=self._place.bucket,
            Key=checked_key(key),
            Body=data,
            ContentType=content_type(key),
        )

    async def put_file(self, key: str, path: Path) -> None:
        """Keep a file's bytes, a large one in parts at once."""
        await self._away(
            self._client.upload_file,
            str(path),
            self._place.bucket,
            checked_key(key),
            ExtraArgs={"ContentType": content_type(key)},
            Config=self._transfer,
        )

    async def put_files(self, files: Sequence[tuple[str, Path]]) -> list[Unavailable | None]:
        """Keep many files' bytes, as many at once as there are connections."""

        async def attempt(key: str, path: Path) -> Unavailable | None:
            try:
                await self.put_file(key, path)
            except Unavailable as error:
                return error
            return None

        return list(await asyncio.gather(*(attempt(key, path) for key, path in files)))

    async def get(self, key: str) -> AsyncIterator[bytes]:
        """Give the bytes in pieces."""
        answer = await self._away(self._client.get_object, Bucket=self._place.bucket, Key=checked_key(key))
        body = answer["Body"]
        try:
            while piece := await self._away(body.read, CHUNK_BYTES):
                yield piece
        finally:
            body.close()

    async def delete(self, key: str) -> None:
        """Remove an object."""
        await self._away(self._client.delete_object, Bucket=self._place.bucket, Key=checked_key(key))

    async def exists(self, key: str) -> bool:
        """Tell whether there is such an object."""
        try:
            await self._away(self._client.head_object, Bucket=self._place.bucket, Key=checked_key(key))
        except ObjectMissing:
            return False
        return True

    async def url(self, key: str, expires_in_s: int) -> str:
        """Return a signed address, or the public one of a processed picture where that is set."""
        checked_key(key)
        if self._place.public_endpoint and key.startswith(PROCESSED):
            return f"{self._place.public_endpoint.rstrip('/')}/{quote(key)}"
        return await self._away(
            self._client.generate_presigned_url,
            "get_object",
            Params={"Bucket": self._place.bucket, "Key": key},
            ExpiresIn=expires_in_s,
        )

    async def ready(self) -> bool:
        """Tell whether the bucket answers and lets us in."""
        try:
            await asyncio.wait_for(
                self._away(self._client.head_bucket, Bucket=self._place.bucket), READY_TIMEOUT_S
            )
        except (DependencyDown, ObjectMissing, asyncio.TimeoutError):
            return False
        return True

    async def close(self) -> None:
        """Let the threads end and close the connections."""
        await asyncio.to_thread(self._threads.shutdown)
        self._client.close()

    async def _away(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        call = partial(work, *args, **kwargs)
        with naming_s3_trouble():
            return await asyncio.get_running_loop().run_in_executor(self._threads, call)


def s3_client(place: S3Place) -> S3Client:
    """Return a client that fails soon and tries again; it blocks."""
    secret = place.secret_access_key
    with _making:
        return _session().client(
            "s3",
            endpoint_url=place.endpoint,
            region_name=place.region or ("us-east-1" if place.endpoint else None),
            aws_access_key_id=place.access_key_id,
            aws_secret_access_key=secret.get_secret_value() if secret else None,
            config=Config(
                signature_version="s3v4",
                s3={"addressing_style": "path" if place.endpoint else "auto"},
                max_pool_connections=CONNECTIONS,
                connect_timeout=3,
                read_timeout=30,
                retries={"mode": "standard", "max_attempts": 3},
                # Other makers' storages do not all know the newer checksums.
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
            ),
        )


@cache
def _session() -> boto3.session.Session:
    """Return what has read boto3's description of S3, which takes a quarter of a second."""
    return boto3.session.Session()


@contextmanager
def naming_s3_trouble() -> Iterator[None]:
    """Say which trouble it is when the storage does not do what it is asked."""
    try:
        yield
    except ClientError as error:
        raise _named(str(error.response.get("Error", {}).get("Code", ""))) from error
    except (BotoCoreError, Boto3Error, OSError) as error:
        raise storage_down() from error


def _named(code: str) -> Exception:
    if code in _MISSING:
        return ObjectMissing("no such object")
    if code in _REFUSED:
        return DependencyDown("the object storage refuses this service", 30)
    return storage_full() if code in _FULL else storage_down()
