"""Both kinds of object storage, and a spool before either."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr

from app.storage.local import LocalStore
from app.storage.s3 import S3Place, S3Store
from app.storage.signing import UrlSigner
from tests.servers import ACCESS_KEY

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from app.storage.port import ObjectStore
    from tests.servers import S3Server


@pytest.fixture
def signer() -> UrlSigner:
    """Return a signer for addresses of this server."""
    return UrlSigner(b"s" * 32, "/files")


@pytest.fixture(params=["local", "s3"])
async def store(
    request: pytest.FixtureRequest, tmp_path: Path, signer: UrlSigner
) -> AsyncIterator[ObjectStore]:
    """Return an empty object storage; each test runs on both kinds."""
    opened: ObjectStore
    if request.param == "local":
        opened = LocalStore(tmp_path / "objects", signer)
    else:
        opened = S3Store(s3_place(request.getfixturevalue("s3_server")))
    yield opened
    await opened.close()


def s3_place(server: S3Server, public_endpoint: str | None = None) -> S3Place:
    """Return a new bucket on this server."""
    return S3Place(
        bucket=server.new_bucket(),
        endpoint=server.endpoint,
        access_key_id=ACCESS_KEY,
        secret_access_key=SecretStr(ACCESS_KEY),
        public_endpoint=public_endpoint,
    )
