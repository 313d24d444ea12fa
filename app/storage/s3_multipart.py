"""Objects that clients send to a bucket themselves, in parts over signed addresses."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from botocore.exceptions import ClientError

from app.storage.port import checked_key
from app.storage.s3 import naming_s3_trouble, s3_client

if TYPE_CHECKING:
    from collections.abc import Callable

    from app.storage.s3 import S3Place

P = ParamSpec("P")
T = TypeVar("T")

_OVER = {"NoSuchUpload", "404"}


class S3Multipart:
    """Begins such objects, signs for their parts, and joins them."""

    def __init__(self, place: S3Place) -> None:
        self._bucket = place.bucket
        self._client = s3_client(place)

    async def begin(self, key: str) -> str:
        """Begin an object of parts and return what the storage calls it."""
        answer = await self._away(
            self._client.create_multipart_upload, Bucket=self._bucket, Key=checked_key(key)
        )
        return answer["UploadId"]

    async def part_url(self, key: str, multipart_id: str, number: int, expires_in_s: int) -> str:
        """Return the address that a part is sent to."""
        return await self._away(
            self._client.generate_presigned_url,
            "upload_part",
            Params={"Bucket": self._bucket, "Key": key, "UploadId": multipart_id, "PartNumber": number},
            ExpiresIn=expires_in_s,
        )

    async def arrived(self, key: str, multipart_id: str) -> set[int]:
        """Return the numbers of the parts that are there."""
        return {number for number, _, _ in await self._away(self._parts, key, multipart_id)}

    async def finish(self, key: str, multipart_id: str) -> int:
        """Join the parts that are there and return the object's size; again, only the size."""
        return await self._away(self._finish, key, multipart_id)

    async def abandon(self, key: str, multipart_id: str) -> None:
        """Drop the parts."""
        await self._away(self._abandon, key, multipart_id)

    async def close(self) -> None:
        """Close the connections."""
        await asyncio.to_thread(self._client.close)

    def _parts(self, key: str, multipart_id: str) -> list[tuple[int, str, int]]:
        found: list[tuple[int, str, int]] = []
        marker = 0
        while True:
            page = self._client.list_parts(
                Bucket=self._bucket, Key=key, UploadId=multipart_id, PartNumberMarker=marker
            )
            found += [(part["PartNumber"], part["ETag"], part["Size"]) for part in page.get("Parts", [])]
            if not page.get("IsTruncated"):
                return found
            marker = page["NextPartNumberMarker"]

    def _finish(self, key: str, multipart_id: str) -> int:
        try:
            parts = self._parts(key, multipart_id)
            if not parts:
                return 0
            self._client.complete_multipart_upload(
                Bucket=self._bucket,
                Key=key,
                UploadId=multipart_id,
                MultipartUpload={"Parts": [{"PartNumber": number, "ETag": tag} for number, tag, _ in parts]},
            )
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") not in _OVER:
                raise
            # Joined before, and only the answer was lost: then the object is there.
        return self._client.head_object(Bucket=self._bucket, Key=key)["ContentLength"]

    def _abandon(self, key: str, multipart_id: str) -> None:
        try:
            self._client.abort_multipart_upload(Bucket=self._bucket, Key=key, UploadId=multipart_id)
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") not in _OVER:
                raise

    async def _away(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        with naming_s3_trouble():
            return await asyncio.to_thread(work, *args, **kwargs)
