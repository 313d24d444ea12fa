"""Fetches `s3://bucket/key` from the buckets that the operator opens, part by part."""

from __future__ import annotations

import asyncio
import random
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from app.intake.port import MEBIBYTE, CannotFetch, Origin

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from types_boto3_s3 import S3Client

    from app.intake.port import FetchLimits
    from app.intake.scratch import ScratchFile

P = ParamSpec("P")
T = TypeVar("T")

PART_BYTES = 8 * MEBIBYTE
_LONGEST_KEY = 1024
_THREADS = 4
_CHANGED = {"PreconditionFailed", "412", "InvalidRange", "416"}
_MISSING = {"404", "NoSuchKey", "NoSuchBucket", "NotFound"}
_FORBIDDEN = {"403", "AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken"}


class BucketSender:
    """Fetches objects with the service's own right to read them; callers name only opened buckets."""

    def __init__(self, client: S3Client, buckets: Iterable[str], part_bytes: int = PART_BYTES) -> None:
        self._client = client
        self._buckets = frozenset(buckets)
        self._part_bytes = part_bytes
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="buckets")

    def check(self, url: str) -> None:
        """Look at the address without asking anybody."""
        self._read(url)

    async def pour(self, url: str, scratch: ScratchFile, limits: FetchLimits) -> Origin:
        """Write the object into the scratch file."""
        bucket, key = self._read(url)
        head = await self._again(limits, self._client.head_object, Bucket=bucket, Key=key)
        size, version = head["ContentLength"], head["ETag"]
        scratch.expect(size)
        while scratch.size < size:
            last = min(scratch.size + self._part_bytes, size) - 1
            part = await self._again(limits, self._part, bucket, key, scratch.size, last, version)
            await scratch.add(part)
        return Origin(url, head.get("ContentType"))

    async def close(self) -> None:
        """Let the threads end."""
        await asyncio.to_thread(self._threads.shutdown)

    def _read(self, url: str) -> tuple[str, str]:
        bucket, slash, key = url[len("s3://") :].partition("/")
        if bucket not in self._buckets:
            reason = "its bucket is not open to this service"
            raise CannotFetch(reason)
        if not slash or not key or len(key.encode("utf-8", "replace")) > _LONGEST_KEY:
            reason = "it names no object"
            raise CannotFetch(reason)
        return bucket, key

    def _part(self, bucket: str, key: str, first: int, last: int, version: str) -> bytes:
        answer = self._client.get_object(
            Bucket=bucket, Key=key, Range=f"bytes={first}-{last}", IfMatch=version
        )
        with answer["Body"] as body:
            data: bytes = body.read()
        if len(data) != last - first + 1:
            reason = "the storage sent another part than was asked for"
            raise _Short(reason)
        return data

    async def _again(self, limits: FetchLimits, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Ask until it works or the tries are used up."""
        call = partial(work, *args, **kwargs)
        for number in range(1, limits.tries + 1):
            try:
                return await asyncio.get_running_loop().run_in_executor(self._threads, call)
            except (ClientError, BotoCoreError, OSError, _Short) as error:
                if (reason := _lasting(error)) is not None:
                    raise CannotFetch(reason) from error
                if number == limits.tries:
                    reason = "the storage does not answer"
                    raise CannotFetch(reason) from error
            wait_s = limits.backoff_s * 2 ** (number - 1)
            await asyncio.sleep(wait_s * random.uniform(0.5, 1.0))  # noqa: S311 - no secret
        message = "a fetch needs at least one try"
        raise ValueError(message)


class _Short(Exception):
    """Fewer or more bytes came than were asked for."""


def _lasting(error: Exception) -> str | None:
    """Say why asking again is no use; None where it may be."""
    code = str(error.response.get("Error", {}).get("Code", "")) if isinstance(error, ClientError) else ""
    if code in _CHANGED:
        return "the object changed while it was read"
    if code in _MISSING:
        return "there is no such object"
    return "the storage refuses this service" if code in _FORBIDDEN else None
