"""What the admin API shows of images and jobs, on SQLite with a folder and on PostgreSQL with S3."""

from __future__ import annotations

import asyncio
import base64
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import httpx

from app.admin.schemas import (
    JobDetailResponse,
    JobResponse,
    MaskResponse,
    PaginatedResponse,
    StatsResponse,
    StoredImageDetailResponse,
    StoredImageResponse,
)
from tests.app.admin.conftest import ADMIN, NO_AUTH, PICTURE

if TYPE_CHECKING:
    from app.services import Services

Kept = tuple[str, str]
TRICKS = [
    "' OR 1=1 --",
    "1; DROP TABLE images",
    "..%2f..%2fetc%2fpasswd",
    "%00",
    "null",
    "-1",
    "{00000000-0000-0000-0000-000000000000}",
    "00000000-0000-0000-0000-000000000000",
    "x" * 3000,
    "%F0%9F%98%80",
]


async def detect(client: httpx.AsyncClient, key: str, data: bytes = b"a picture") -> Kept:
    """Detect, and return the identifiers of image and job."""
    answer = await client.post(
        "/api/v1/detect", headers={"X-API-Key": key}, files={"image": data}, auth=NO_AUTH
    )
    assert answer.status_code == 200
    return answer.json()["image_id"], answer.json()["job_id"]


async def mask(client: httpx.AsyncClient, key: str, query: str = "", data: bytes = b"a picture") -> Kept:
    """Mask, and return the identifiers of image and job."""
    answer = await client.post(
        f"/api/v1/mask?{query}", headers={"X-API-Key": key}, files={"image": data}, auth=NO_AUTH
    )
    assert answer.status_code == 200
    return answer.headers["x-image-id"], answer.headers["x-job-id"]


async def get(client: httpx.AsyncClient, path: str) -> Any:  # noqa: ANN401 - JSON
    """Return the JSON of an admin route."""
    answer = await client.get(f"{ADMIN}/{path}")
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    return answer.json()


async def load(client: httpx.AsyncClient, url: str) -> httpx.Response:
    """Load a picture from wherever its address leads, as a browser would: without any credentials."""
    if url.startswith(str(client.base_url)):
        return await client.get(url, auth=NO_AUTH)
    async with httpx.AsyncClient(trust_env=False) as elsewhere:
        return await elsewhere.get(url)


async def test_a_detection_is_found_again(admin: httpx.AsyncClient, key: str) -> None:
    """The identifiers in the answer lead to the image, its bytes, and all that was answered."""
    before = datetime.now(timezone.utc)
    answer = (
        await admin.post("/api/v1/detect?confidence=0.6", headers={"X-API-Key": key}, files=PICTURE)
    ).json()
    assert answer["profiling"]["storage_ms"] > 0
    assert answer["profiling"]["total_ms"] >= answer["profiling"]["storage_ms"]

    page = await get(admin, "images")
    PaginatedResponse[StoredImageResponse].model_validate(page)
    (image,) = page["items"]
    assert image["id"] == answer["image_id"]
    assert (image["width"], image["height"]) == (answer["image"]["width"], answer["image"]["height"])
    assert (image["size_bytes"], image["job_count"]) == (len(PICTURE["image"][1]), 1)
    assert image["processed_url"] is None
    assert before <= datetime.fromisoformat(image["created_at"].replace("Z", "+00:00"))
    picture = await load(admin, image["original_url"])
    assert (picture.content, picture.headers["content-type"]) == (PICTURE["image"][1], "image/jpeg")

    job = await get(admin, f"jobs/{answer['job_id']}")
    JobDetailResponse.model_validate(job)
    assert (job["job_type"], job["method"], job["processed_url"]) == ("detect", None, None)
    assert job["request_id"] == answer["request_id"]
    assert job["options"]["confidence"] == 0.6
    assert job["payload"]["detections"] == answer["detections"]
    assert job["payload"]["summary"] == answer["summary"]


async def test_a_mask_is_found_again(admin: httpx.AsyncClient, key: str) -> None:
    """Both pictures of a mask can be loaded, through the lists and through the downloads."""
    image_id, job_id = await mask(admin, key, "method=pixelate&strength=32&format=webp", b"face")
    detail = await get(admin, f"images/{image_id}")
    StoredImageDetailResponse.model_validate(detail)
    (job,) = detail["jobs"]
    assert (job["id"], job["method"], job["processed_bytes"]) == (job_id, "pixelate", 4)
    assert (await load(admin, detail["processed_url"])).content == b"ecaf"
    for path, content, kind in (
        (f"images/{image_id}", b"face", "image/jpeg"),
        (f"jobs/{job_id}", b"ecaf", "image/webp"),
    ):
        answer = await admin.get(f"{ADMIN}/{path}/download")
        assert answer.status_code == 302
        picture = await load(admin, answer.headers["location"])
        assert (picture.content, picture.headers["content-type"]) == (content, kind)


async def test_a_detection_has_no_picture_to_download(admin: httpx.AsyncClient, key: str) -> None:
    """Where a job made no picture there is nothing to lead to."""
    _, job_id = await detect(admin, key)
    assert (await admin.get(f"{ADMIN}/jobs/{job_id}/download")).status_code == 404


async def test_the_newest_mask_is_the_images_own(admin: httpx.AsyncClient, key: str) -> None:
    """Uploads of the same bytes are images of their own; each shows what was made of it."""
    first, _ = await mask(admin, key, "format=png", b"same")
    second, _ = await detect(admin, key, b"same")
    images = {image["id"]: image for image in (await get(admin, "images"))["items"]}
    assert list(images) == [second, first]
    assert ".png" in images[first]["processed_url"]
    assert images[second]["processed_url"] is None
    assert images[first]["content_hash"] == images[second]["content_hash"]


async def test_stats_follow(admin: httpx.AsyncClient, key: str) -> None:
    """Totals are those of what was done."""
    await detect(admin, key, b"1234")
    image_id, _ = await mask(admin, key, "method=solid", b"1234")
    stats = await get(admin, "stats")
    StatsResponse.model_validate(stats)
    assert stats == {
        "total_images": 2,
        "total_jobs": 2,
        "total_faces": 4,
        "jobs_by_type": {"detect": 1, "mask": 1},
        "jobs_by_method": {"solid": 1},
        "image_bytes": 8,
        "original_bytes": 4,
        "processed_bytes": 4,
        "cleanup_pending": 0,
    }
    await admin.delete(f"{ADMIN}/images/{image_id}")
    assert (await get(admin, "stats"))["total_jobs"] == 1


async def test_lists_are_paged(admin: httpx.AsyncClient, key: str) -> None:
    """Pages together hold each image once, newest first; beyond the last there is nothing."""
    made = [(await detect(admin, key, str(number).encode()))[0] for number in range(7)]
    pages = [await get(admin, f"images?page={number}&per_page=3") for number in (1, 2, 3, 4)]
    assert [item["id"] for page in pages for item in page["items"]] == made[::-1]
    assert [{name: page[name] for name in ("total", "page", "per_page", "pages")} for page in pages] == [
        {"total": 7, "page": number, "per_page": 3, "pages": 3} for number in (1, 2, 3, 4)
    ]
    assert (await get(admin, "images?page=9007199254740992&per_page=100"))["items"] == []


async def test_an_empty_list_has_the_published_shape(admin: httpx.AsyncClient) -> None:
    """Nothing is one page of twenty, empty."""
    empty = {"items": [], "total": 0, "page": 1, "per_page": 20, "pages": 1}
    assert await get(admin, "images") == empty
    assert await get(admin, "jobs") == empty


async def test_senseless_pages_are_refused(admin: httpx.AsyncClient) -> None:
    """A page that cannot be is a 422 that names the parameter."""
    numbers = ("0", "-1", "x", "1e3", "99999999999999999999", "")
    queries = [f"page={number}" for number in numbers] + [
        f"per_page={number}" for number in (*numbers, "101")
    ]
    for path in ("images", "jobs", "api-keys"):
        for query in queries:
            answer = await admin.get(f"{ADMIN}/{path}?{query}")
            assert answer.status_code == 422, (path, query)
            assert answer.json()["detail"].startswith(query.partition("=")[0])


async def test_jobs_are_filtered(admin: httpx.AsyncClient, key: str) -> None:
    """By type, by method, and by both."""
    _, found = await detect(admin, key, b"1")
    _, blurred = await mask(admin, key, "method=gaussian", b"2")
    _, black = await mask(admin, key, "method=solid", b"3")
    everything = await get(admin, "jobs")
    PaginatedResponse[JobResponse].model_validate(everything)
    for query, expected in (
        ("", [black, blurred, found]),
        ("job_type=mask", [black, blurred]),
        ("job_type=detect", [found]),
        ("method=gaussian", [blurred]),
        ("job_type=mask&method=solid", [black]),
        ("job_type=detect&method=solid", []),
        ("method=elliptical", []),
    ):
        page = await get(admin, f"jobs?{query}")
        assert [job["id"] for job in page["items"]] == expected
        assert page["total"] == len(expected)


async def test_tricks_in_filters_are_refused(admin: httpx.AsyncClient) -> None:
    """A filter is one of the known words or a 422."""
    for name in ("job_type", "method"):
        for trick in ("' OR 1=1 --", "mask'; DROP TABLE jobs; --", "MASK", "", "\x00", "*", "x" * 3000):
            answer = await admin.get(f"{ADMIN}/jobs", params={name: trick})
            assert answer.status_code == 422, (name, trick)
            assert answer.json()["detail"].startswith(name)


async def test_tricks_in_identifiers_find_nothing(admin: httpx.AsyncClient) -> None:
    """What is no identifier of ours is a 404, on every route that takes one, and nothing happens."""
    for trick in TRICKS:
        for method, path in (
            ("GET", f"images/{trick}"),
            ("DELETE", f"images/{trick}"),
            ("GET", f"images/{trick}/download"),
            ("GET", f"jobs/{trick}"),
            ("GET", f"jobs/{trick}/download"),
            ("GET", f"api-keys/{trick}"),
            ("PATCH", f"api-keys/{trick}"),
            ("DELETE", f"api-keys/{trick}"),
            ("POST", f"api-keys/{trick}/webhook-secret"),
            ("GET", f"audit?before={trick[:36]}"),
        ):
            body = {"name": "x"} if method == "PATCH" else None
            answer = await admin.request(method, f"{ADMIN}/{path}", json=body)
            is_an_id = path.startswith("audit") and trick.startswith("0000")
            assert answer.status_code == (200 if is_an_id else 404), (method, path, answer.text)
            assert is_an_id or list(answer.json()) == ["detail"]
    assert (await get(admin, "api-keys"))["total"] == 1


async def test_deleting_an_image_leaves_nothing(admin: httpx.AsyncClient, key: str) -> None:
    """Rows and pictures are gone at once, the addresses lead nowhere, and the log knows who did it."""
    image_id, job_id = await mask(admin, key)
    detail = await get(admin, f"images/{image_id}")
    answer = await admin.delete(f"{ADMIN}/images/{image_id}")
    assert (answer.status_code, answer.content) == (204, b"")
    for path in (f"images/{image_id}", f"jobs/{job_id}", f"images/{image_id}/download"):
        assert (await admin.get(f"{ADMIN}/{path}")).status_code == 404
    for url in (detail["original_url"], detail["processed_url"]):
        assert (await load(admin, url)).status_code == 404
    assert (await admin.delete(f"{ADMIN}/images/{image_id}")).status_code == 404
    newest = (await get(admin, "audit"))["items"][0]
    assert (newest["who"], newest["action"], newest["subject"]) == ("admin", "image.delete", image_id)


async def test_the_audit_log_is_walked_backwards(admin: httpx.AsyncClient) -> None:
    """Each step begins where the one before ended."""
    for number in range(5):
        await admin.post(f"{ADMIN}/api-keys", json={"name": f"key {number}"})
    first = await get(admin, "audit?limit=3")
    second = await get(admin, f"audit?limit=3&before={first['next_before']}")
    names = [entry["detail"]["name"] for page in (first, second) for entry in page["items"]]
    assert names == [f"key {number}" for number in (4, 3, 2, 1, 0)]
    assert second["next_before"] is None


async def test_the_preview_shows_all_and_keeps_nothing(admin: httpx.AsyncClient) -> None:
    """A mask as JSON has the fields of a detection, how it was masked, and the picture itself."""
    answer = await admin.post(f"{ADMIN}/test/mask?method=pixelate&strength=9&format=png", files=PICTURE)
    shown = answer.json()
    MaskResponse.model_validate(shown)
    assert (shown["image_id"], shown["job_id"], shown["profiling"]["storage_ms"]) == (None, None, None)
    assert shown["masking"] == {"method": "pixelate", "strength": 9, "padding": 0.15, "regions_masked": 2}
    output = shown["output"]
    assert base64.b64decode(output.pop("image_base64")) == PICTURE["image"][1][::-1]
    assert output == {"format": "png", "quality": 95, "size_bytes": len(PICTURE["image"][1])}
    assert (await get(admin, "stats"))["total_images"] == 0


async def test_many_lists_at_once(admin: httpx.AsyncClient, services: Services, key: str) -> None:
    """Thirty requests with the same name and password are one login, and all are answered."""
    await detect(admin, key)
    answers = await asyncio.gather(*(admin.get(f"{ADMIN}/images") for _ in range(30)))
    assert {answer.status_code for answer in answers} == {200}
    left = await services.limiter.hit("login", "10/minute", "name admin")
    assert left.remaining == 8
