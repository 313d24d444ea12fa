"""Pictures in request bodies: the good, the odd and the hostile."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from app.uploads import MOST_PARTS, read_image
from pipelines.errors import FacefleetError

if TYPE_CHECKING:
    import httpx
    from starlette.types import Message, Receive

    from tests.fakes.engine import FakeEngine

FORM = "multipart/form-data; boundary=BOUND"
LIMIT = 100_000
#: What a header may hold, as the server decodes it.
LATIN_1 = st.text(st.characters(max_codepoint=255), max_size=60)


def part(headers: bytes, data: bytes) -> bytes:
    """Return one part of a form."""
    return b"--BOUND\r\n" + headers + b"\r\n\r\n" + data + b"\r\n"


def image_part(data: bytes) -> bytes:
    """Return the part that carries the picture."""
    return part(b'Content-Disposition: form-data; name="image"; filename="a.jpg"', data)


END = b"--BOUND--\r\n"


def in_pieces(body: bytes, size: int) -> Receive:
    """Return a body as a server hands it out: in pieces of this size."""
    pieces = [body[at : at + size] for at in range(0, len(body), size)] or [b""]
    left = iter(range(len(pieces)))

    async def receive() -> Message:
        index = next(left)
        return {"type": "http.request", "body": pieces[index], "more_body": index < len(pieces) - 1}

    return receive


@pytest.mark.parametrize("size", [1, 2, 7, 64, 65536])
async def test_the_picture_comes_out_whole(size: int) -> None:
    """However the body is cut into pieces, the picture's bytes are the same, even those like a boundary."""
    data = bytes(range(256)) * 3 + b"\r\n--BOUN\r\n--BOUNX\r\n\r\n--" + b"\r"
    body = part(b'Content-Disposition: form-data; name="note"', b"hello") + image_part(data) + END
    assert await read_image(FORM, in_pieces(body, size), LIMIT) == data


@hypothesis_settings(max_examples=60, deadline=None)
@given(data=st.binary(min_size=1, max_size=400), size=st.integers(1, 100))
async def test_any_bytes_come_out_whole(data: bytes, size: int) -> None:
    """Any picture without the boundary in it survives the form, in pieces of any size."""
    if b"--BOUND" not in data:
        body = image_part(data) + END
        assert await read_image(FORM, in_pieces(body, size), LIMIT) == data


@hypothesis_settings(max_examples=200, deadline=None)
@given(content_type=st.one_of(st.just(FORM), LATIN_1), junk=st.binary(max_size=300))
async def test_junk_is_the_callers_fault(content_type: str, junk: bytes) -> None:
    """No content type and no body raises anything but an error that is answered with a 4xx."""
    with contextlib.suppress(FacefleetError):
        await read_image(content_type, in_pieces(junk, 50), LIMIT)


@pytest.mark.parametrize(
    ("content_type", "body", "status"),
    [
        pytest.param(FORM, part(b'Content-Disposition: form-data; name="img"', b"x") + END, 422, id="other"),
        pytest.param(FORM, END, 422, id="no parts"),
        pytest.param(FORM, b"", 400, id="empty body"),
        pytest.param(FORM, image_part(b"") + END, 400, id="empty picture"),
        pytest.param(FORM, image_part(b"x")[:-3], 400, id="cut short"),
        pytest.param(FORM, image_part(b"x"), 400, id="no last boundary"),
        pytest.param("multipart/form-data", image_part(b"x") + END, 400, id="no boundary"),
        pytest.param("multipart/form-data; boundary=", image_part(b"x") + END, 400, id="empty boundary"),
        pytest.param("multipart/form-data; boundary=OTHER", image_part(b"x") + END, 400, id="wrong boundary"),
        pytest.param(f"multipart/form-data; boundary={'x' * 5000}", b"x", 400, id="endless boundary"),
        pytest.param(FORM, part(b"no colon here", b"x") + END, 400, id="header without colon"),
        pytest.param(FORM, part(b"A: " + b"a" * 90_000, b"x") + END, 400, id="endless header"),
        pytest.param(FORM, part(b"\r\n".join([b"A: a"] * 5000), b"x") + END, 400, id="endless headers"),
        pytest.param(FORM, part(b"X-Other: 1", b"x") + END, 422, id="no disposition"),
        pytest.param(FORM, image_part(b"x" * 100_001) + END, 413, id="too large"),
        pytest.param(
            FORM, part(b'Content-Disposition: form-data; name="n"', b"x") * 10_000 + END, 400, id="10k parts"
        ),
        pytest.param(
            FORM,
            part(b"Content-Type: multipart/mixed; boundary=IN", b"--IN\r\n\r\nx\r\n--IN--") + END,
            422,
            id="nested",
        ),
        pytest.param("application/json", b'{"image": "x"}', 415, id="json"),
        pytest.param("application/x-www-form-urlencoded", b"image=x", 415, id="urlencoded"),
        pytest.param("text/plain", b"x", 415, id="text"),
        pytest.param("image/jpeg", b"", 400, id="empty raw picture"),
        pytest.param("image/jpeg", b"x" * 100_001, 413, id="raw picture too large"),
        pytest.param("", b"x", 422, id="no type"),
        pytest.param(";;;=;", b"x", 422, id="nonsense type"),
    ],
)
async def test_bad_bodies_are_refused(
    client: httpx.AsyncClient, engine: FakeEngine, content_type: str, body: bytes, status: int
) -> None:
    """Each bad body has its 4xx in door one's envelope, and the engine never sees it."""
    headers = {"Content-Type": content_type} if content_type else {}
    answer = await client.post("/api/v1/detect", content=body, headers=headers)
    assert answer.status_code == status
    assert list(answer.json()) == ["detail"]
    assert answer.headers["x-request-id"]
    assert engine.seen == []


@pytest.mark.parametrize(
    "name",
    [
        b"\xd1\x84\xd0\xbe\xd1\x82\xd0\xbe.jpg",
        b"\xff\xfe.jpg",
        b'a\\"b.jpg',
        b"../../etc/passwd",
        b"C:\\pictures\\a.jpg",
        b"",
    ],
)
async def test_the_file_name_does_not_matter(
    client: httpx.AsyncClient, engine: FakeEngine, name: bytes
) -> None:
    """File names in any script, with quotes, or with a path are all the same to us."""
    headers = b'Content-Disposition: form-data; name="image"; filename="' + name + b'"'
    answer = await client.post(
        "/api/v1/detect", content=part(headers, b"picture") + END, headers={"Content-Type": FORM}
    )
    assert answer.status_code == 200
    assert engine.seen == [b"picture"]


async def test_of_several_pictures_the_first_counts(client: httpx.AsyncClient, engine: FakeEngine) -> None:
    """Of several fields `image` the first is looked at."""
    body = image_part(b"first") + image_part(b"second") + END
    await client.post("/api/v1/detect", content=body, headers={"Content-Type": FORM})
    assert engine.seen == [b"first"]


async def test_a_form_may_have_other_fields(client: httpx.AsyncClient, engine: FakeEngine) -> None:
    """Fields that are not ours are passed over, as many as a form may have."""
    other = part(b'Content-Disposition: form-data; name="note"', b"n") * (MOST_PARTS - 1)
    body = other + image_part(b"picture") + END
    answer = await client.post("/api/v1/detect", content=body, headers={"Content-Type": FORM})
    assert (answer.status_code, engine.seen) == (200, [b"picture"])


@pytest.mark.parametrize("kind", ["image/jpeg", "IMAGE/PNG; q=1", "application/octet-stream"])
async def test_the_body_may_be_the_picture_itself(
    client: httpx.AsyncClient, engine: FakeEngine, kind: str
) -> None:
    """Without a form, the whole body is the picture."""
    answer = await client.post("/api/v1/detect", content=b"picture", headers={"Content-Type": kind})
    assert (answer.status_code, engine.seen) == (200, [b"picture"])
