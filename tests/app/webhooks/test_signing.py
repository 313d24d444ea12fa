"""Signatures of webhooks: made as the two families say, and checked by receivers."""

from __future__ import annotations

import base64
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.webhooks.signing import (
    BadSignature,
    sign,
    sign_standard,
    signature_headers,
    standard_key,
    verify,
)

NOW = 1_745_229_600
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # noqa: S105 - of a published example
OTHER = "whsec_not base64 at all"
BODY = b'{"event":"task.succeeded","task_id":"task_0195e3ab6f4a7c2d"}'


def hmac_by_hand(key: bytes, message: bytes) -> bytes:
    """Compute HMAC-SHA256 from its definition in RFC 2104, with nothing but the hash."""
    block = (hashlib.sha256(key).digest() if len(key) > 64 else key).ljust(64, b"\0")
    inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in block) + message).digest()
    return hashlib.sha256(bytes(byte ^ 0x5C for byte in block) + inner).digest()


def headers_of(*secrets: str, attempt_no: int = 1, at: int = NOW) -> dict[str, str]:
    """Return the headers of one delivery."""
    return signature_headers("task.succeeded", "msg_1", secrets, at, BODY, attempt_no)


def test_a_published_vector() -> None:
    """The example that Standard Webhooks' libraries share comes out as they have it."""
    body = b'{"test": 2432232314}'
    made = sign_standard(SECRET, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body)
    assert made == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@given(st.text(min_size=1, max_size=100).filter(lambda text: text.isprintable()), st.binary(max_size=200))
def test_the_key_is_the_secrets_text(secret: str, body: bytes) -> None:
    """The first family keys with the text as it is, prefix included, over timestamp, full stop, body."""
    assert sign(secret, NOW, body) == hmac_by_hand(secret.encode(), str(NOW).encode() + b"." + body).hex()


@pytest.mark.parametrize(
    ("secret", "key"),
    [
        (SECRET, base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")),
        (OTHER, OTHER.encode()),
        ("whsec_", b"whsec_"),
        ("whsec_abc", b"whsec_abc"),
        ("plain", b"plain"),
        ("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", b"MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
        ("geheim-ü", "geheim-ü".encode()),
    ],
)
def test_the_key_of_the_standard_family(secret: str, key: bytes) -> None:
    """What stands after the prefix is decoded; where it does not decode, the text is the key."""
    assert standard_key(secret) == key
    content = b"msg_1." + str(NOW).encode() + b"." + BODY
    expected = base64.b64encode(hmac_by_hand(key, content)).decode()
    assert sign_standard(secret, "msg_1", NOW, BODY) == f"v1,{expected}"


def test_the_headers_of_a_delivery() -> None:
    """Both families stand side by side and say the same time."""
    headers = headers_of(SECRET)
    assert headers["X-Facemint-Event"] == "task.succeeded"
    assert headers["X-Facemint-Timestamp"] == headers["webhook-timestamp"] == str(NOW)
    assert headers["X-Facemint-Signature"] == sign(SECRET, NOW, BODY)
    assert (headers["webhook-id"], headers["webhook-signature"].count("v1,")) == ("msg_1", 1)


@pytest.mark.parametrize("family", ["X-Facemint", "webhook"])
def test_receivers_believe_either_family(family: str) -> None:
    """A receiver that sees one family only, its names in any case, can check it."""
    headers = {
        name.swapcase(): value for name, value in headers_of(SECRET).items() if name.startswith(family)
    }
    verify(headers, BODY, [OTHER, SECRET], now=NOW + 299)


def test_two_secrets_are_valid_while_one_is_rotated() -> None:
    """Whoever knows the new or the old one accepts: at once by one family, in turns by the other."""
    for known in (SECRET, OTHER):
        verify(headers_of(SECRET, OTHER), BODY, [known], now=NOW)
    turns = [headers_of(SECRET, OTHER, attempt_no=number)["X-Facemint-Signature"] for number in (1, 2, 3)]
    assert turns == [sign(SECRET, NOW, BODY), sign(OTHER, NOW, BODY), sign(SECRET, NOW, BODY)]


@pytest.mark.parametrize(
    ("changes", "body", "secrets", "now"),
    [
        ({}, BODY + b" ", [SECRET], NOW),
        ({}, BODY, [OTHER], NOW),
        ({}, BODY, [], NOW),
        ({}, BODY, [""], NOW),
        ({}, BODY, [SECRET], NOW + 301),
        ({}, BODY, [SECRET], NOW - 301),
        ({"X-Facemint-Timestamp": str(NOW + 1), "webhook-timestamp": str(NOW + 1)}, BODY, [SECRET], NOW),
        ({"X-Facemint-Timestamp": f"+{NOW}", "webhook-timestamp": f"0{NOW}"}, BODY, [SECRET], NOW),
        ({"X-Facemint-Timestamp": "", "webhook-timestamp": "٣"}, BODY, [SECRET], NOW),
        ({"X-Facemint-Signature": "", "webhook-signature": ""}, BODY, [SECRET], NOW),
        ({"X-Facemint-Signature": "ü", "webhook-signature": "v2,x v1, v1"}, BODY, [SECRET], NOW),
    ],
)
def test_what_is_not_genuine_is_refused(
    changes: dict[str, str], body: bytes, secrets: list[str], now: int
) -> None:
    """Another body, secret or time, or no signature at all, is not believed."""
    with pytest.raises(BadSignature):
        verify(headers_of(SECRET) | changes, body, secrets, now=now)


def test_no_secret_no_delivery() -> None:
    """A delivery is never sent unsigned."""
    with pytest.raises(ValueError, match="secret"):
        headers_of()
