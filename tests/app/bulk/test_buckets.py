"""Jobs over a prefix of a bucket: listed by the command, fetched by the service."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import boto3
import pytest

from tests.app.bulk.conftest import Bench
from tests.app.tasks.running_service import running_service
from tests.servers import ACCESS_KEY

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.servers import S3Server

REGION = "us-east-1"


@pytest.fixture
def bucket(s3_server: S3Server) -> str:
    """Return the name of an empty bucket."""
    return s3_server.new_bucket()


@pytest.fixture
def bench(tmp_path: Path, s3_server: S3Server, bucket: str) -> Iterator[Bench]:
    """Return a place to work, whose service may fetch from the bucket."""
    settings = {
        "FACE_API_FETCH_S3_BUCKETS": bucket,
        "FACE_API_S3_ENDPOINT": s3_server.endpoint,
        "FACE_API_S3_REGION": REGION,
        "FACE_API_S3_ACCESS_KEY_ID": ACCESS_KEY,
        "FACE_API_S3_SECRET_ACCESS_KEY": ACCESS_KEY,
    }
    variables = {
        "AWS_ENDPOINT_URL_S3": s3_server.endpoint,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": ACCESS_KEY,
    }
    home, folder = tmp_path / "home", tmp_path / "work"
    home.mkdir()
    folder.mkdir()
    with running_service(home, **settings) as service:
        yield Bench(folder, service.url, variables=variables)


def fill(bench: Bench, s3_server: S3Server, bucket: str, keys: list[str]) -> None:
    """Put a picture under each key."""
    client = boto3.session.Session().client(
        "s3",
        endpoint_url=s3_server.endpoint,
        region_name=REGION,
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=ACCESS_KEY,
    )
    for key, name in zip(keys, bench.pictures(len(keys)), strict=True):
        client.put_object(Bucket=bucket, Key=key, Body=(bench.folder / name).read_bytes())
    client.close()


def test_a_prefix_of_a_bucket(bench: Bench, s3_server: S3Server, bucket: str) -> None:
    """Every picture under the prefix is a row of the tables, whatever its key has; nothing else is."""
    inside = [
        "takes/a.png",
        "takes/deep/ü b.png",
        "takes/number #2.png",
        "takes/what?.png",
        "takes/50%25.png",
    ]
    fill(bench, s3_server, bucket, [*inside, "takes/notes.txt", "other/z.png"])
    prefix = f"s3://{bucket}/takes/"
    ran = bench.run("bulk", "run", prefix, "--out", "out", "--format", "jsonl")
    assert ran.returncode == 0, ran.stderr
    parts = sorted((bench.folder / "out" / "media").iterdir())
    rows = [json.loads(line) for part in parts for line in part.read_text("utf-8").splitlines()]
    assert {row["source"] for row in rows} == {f"s3://{bucket}/{key}" for key in inside}
    assert {row["status"] for row in rows} == {"succeeded"}


def test_what_cannot_be_listed(bench: Bench, bucket: str) -> None:
    """A bucket that is not there, and a prefix with nothing under it, are told before anything is sent."""
    ran = bench.run("bulk", "run", "s3://no-such-bucket/takes/", "--out", "out")
    assert (ran.returncode, "cannot be listed" in ran.stderr) == (2, True), ran.stderr
    ran = bench.run("bulk", "run", f"s3://{bucket}/none/", "--out", "out")
    assert ran.returncode == 2, ran.stderr
    assert not (bench.folder / "out").exists()
