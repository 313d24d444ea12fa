"""What a job is given, turned into one manifest file of its own, so that it does not change under way.

a manifest file       copied
a folder or a glob    its files, listed once, sorted
an s3:// prefix       its objects, listed once with this machine's AWS credentials
"""

from __future__ import annotations

import glob
import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from app.bulk.errors import BadManifest
from app.bulk.manifest import SUFFIXES
from app.client.media_types import media_type_of

if TYPE_CHECKING:
    from collections.abc import Iterator

_GLOB = frozenset("*?[")
_BLOCK = 1 << 20
#: The name of a job's own manifest, before the ending.
COPY = "job-manifest"


def fingerprint(given: str) -> str:
    """Return what a job is recognised by: the manifest's bytes, or the words of a listing.

    Raises:
        BadManifest: there is nothing there.
    """
    if _is_listing(given):
        return hashlib.sha256(f"listing {given}".encode()).hexdigest()
    digest = hashlib.sha256()
    try:
        with Path(given).open("rb") as stream:
            while block := stream.read(_BLOCK):
                digest.update(block)
    except OSError as error:
        message = f"{given}: {error.strerror}"
        raise BadManifest(message) from error
    return digest.hexdigest()


def freeze(given: str, folder: Path) -> Path:
    """Write the job's own manifest into a folder and return it.

    Raises:
        BadManifest: there is nothing to do in it.
    """
    if not _is_listing(given):
        there = Path(given)
        if there.suffix.lower() not in SUFFIXES:
            message = f"{given}: a manifest's name ends in {', '.join(SUFFIXES)}; put a glob in quotes"
            raise BadManifest(message)
        target = folder / f"{COPY}{there.suffix.lower()}"
        shutil.copyfile(there, target)
        return target
    target = folder / f"{COPY}.jsonl"
    count = 0
    with target.open("w", encoding="utf-8", errors="surrogateescape") as stream:
        for source in _listed(given):
            count += 1
            stream.write(json.dumps({"source": source}) + "\n")
    if not count:
        message = f"{given}: there are no videos, pictures or animations"
        raise BadManifest(message)
    return target


def base_of(given: str) -> Path:
    """Return what paths in a manifest are relative to: the folder that it lies in."""
    return Path.cwd() if _is_listing(given) else Path(given).absolute().parent


def _is_listing(given: str) -> bool:
    return given.startswith("s3://") or bool(_GLOB & set(given)) or Path(given).is_dir()


def _listed(given: str) -> Iterator[str]:
    if given.startswith("s3://"):
        yield from (each for each in _objects(given) if media_type_of(each))
        return
    pattern = f"{given}/**/*" if Path(given).is_dir() else given
    found = (each for each in glob.iglob(pattern, recursive=True) if os.path.isfile(each))  # noqa: PTH207, PTH113 - a pattern may begin anywhere
    yield from sorted(os.path.abspath(each) for each in found if media_type_of(each))  # noqa: PTH100 - as above


def _objects(prefix: str) -> Iterator[str]:
    import boto3  # noqa: PLC0415 - takes long, and most jobs do without
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - as above

    parts = urlsplit(prefix)
    try:
        client = boto3.client("s3", endpoint_url=os.environ.get("AWS_ENDPOINT_URL_S3") or None)
        pages = client.get_paginator("list_objects_v2").paginate(
            Bucket=parts.netloc, Prefix=parts.path.lstrip("/")
        )
        for page in pages:
            for item in page.get("Contents", []):
                yield f"s3://{parts.netloc}/{item['Key']}"
    except (BotoCoreError, ClientError) as error:
        message = f"{prefix} cannot be listed: {error}"
        raise BadManifest(message) from error
