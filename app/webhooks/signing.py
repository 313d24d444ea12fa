"""Signatures of webhooks, made here and checked by whoever receives them.

Two families of headers say the same thing:

    X-Facemint-Signature   hex HMAC-SHA256 over `timestamp.body`; the key is the secret's text
    webhook-signature      `v1,` and base64 HMAC-SHA256 over `id.timestamp.body`, as Standard Webhooks has it;
                           the key is what the secret's text after `whsec_` decodes to, or the text itself

`verify` needs nothing but Python, so a receiver may take this file as it is.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

EVENT = "X-Facemint-Event"
SIGNATURE = "X-Facemint-Signature"
TIMESTAMP = "X-Facemint-Timestamp"
STANDARD_ID = "webhook-id"
STANDARD_TIMESTAMP = "webhook-timestamp"
STANDARD_SIGNATURE = "webhook-signature"

TOLERANCE_S = 300
_PREFIX = "whsec_"
_VERSION = "v1,"
_MOST_DIGITS = 12


class BadSignature(ValueError):
    """The delivery is not from whom it says, or not from now."""


def sign(secret: str, timestamp: int, body: bytes) -> str:
    """Return the value of `X-Facemint-Signature`."""
    return hmac.new(secret.encode(), b"%d.%b" % (timestamp, body), "sha256").hexdigest()


def sign_standard(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """Return one signature for `webhook-signature`."""
    content = b"%b.%d.%b" % (message_id.encode(), timestamp, body)
    return _VERSION + base64.b64encode(hmac.digest(standard_key(secret), content, "sha256")).decode()


def standard_key(secret: str) -> bytes:
    """Return the bytes that Standard Webhooks keys its signatures with."""
    try:
        key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    return key if key and secret.startswith(_PREFIX) else secret.encode()


def signature_headers(
    event: str, message_id: str, secrets: Sequence[str], timestamp: int, body: bytes, attempt_no: int = 1
) -> dict[str, str]:
    """Return the headers that a delivery is signed with.

    While a secret is being rotated there are two. Standard Webhooks has room for a signature with each; the
    other family has one value, so the secrets take turns: the newest signs the first attempt, the one before
    it the second. A receiver that knows only one of both accepts at the first or at the second attempt.

    Args:
        event: for example `task.succeeded`.
        message_id: the same for every attempt.
        secrets: those that are valid, newest first.
        timestamp: seconds since 1970, of this attempt.
        body: the very bytes that are sent.
        attempt_no: counted from 1.

    Raises:
        ValueError: there is no secret.
    """
    if not secrets:
        message = "a webhook needs a secret"
        raise ValueError(message)
    return {
        EVENT: event,
        SIGNATURE: sign(secrets[(attempt_no - 1) % len(secrets)], timestamp, body),
        TIMESTAMP: str(timestamp),
        STANDARD_ID: message_id,
        STANDARD_TIMESTAMP: str(timestamp),
        STANDARD_SIGNATURE: " ".join(
            sign_standard(secret, message_id, timestamp, body) for secret in secrets
        ),
    }


def verify(
    headers: Mapping[str, str],
    body: bytes,
    secrets: Sequence[str],
    tolerance_s: int = TOLERANCE_S,
    now: float | None = None,
) -> None:
    """Check a delivery before its body is believed, or even parsed.

    Args:
        headers: of the request; their names in any case.
        body: the raw bytes, as they came.
        secrets: those that are valid.
        tolerance_s: how many seconds old, or ahead of our clock, a delivery may be.
        now: seconds since 1970; None for this machine's clock.

    Raises:
        BadSignature: do not believe it.
    """
    sent = {name.lower(): value.strip() for name, value in headers.items()}
    moment = time.time() if now is None else now
    checks = [check(sent, body, secrets, moment, tolerance_s) for check in (_is_standard, _is_facemint)]
    if not any(checks):
        message = "the signature is missing, wrong or too old"
        raise BadSignature(message)


def _is_standard(
    sent: Mapping[str, str], body: bytes, secrets: Sequence[str], now: float, tolerance_s: int
) -> bool:
    timestamp = _fresh(sent.get(STANDARD_TIMESTAMP), now, tolerance_s)
    message_id = sent.get(STANDARD_ID)
    if timestamp is None or not message_id:
        return False
    given = sent.get(STANDARD_SIGNATURE, "").split()
    return _any_equal(
        [sign_standard(secret, message_id, timestamp, body) for secret in secrets if secret], given
    )


def _is_facemint(
    sent: Mapping[str, str], body: bytes, secrets: Sequence[str], now: float, tolerance_s: int
) -> bool:
    timestamp = _fresh(sent.get(TIMESTAMP.lower()), now, tolerance_s)
    if timestamp is None:
        return False
    given = sent.get(SIGNATURE.lower(), "").lower()
    return _any_equal([sign(secret, timestamp, body) for secret in secrets if secret], [given])


def _fresh(text: str | None, now: float, tolerance_s: int) -> int | None:
    """Return the timestamp if it is one and near enough."""
    if text is None or not text.isascii() or not text.isdigit() or len(text) > _MOST_DIGITS:
        return None
    timestamp = int(text)
    # As it is signed: another spelling of the same number is not what the sender wrote.
    return timestamp if str(timestamp) == text and abs(now - timestamp) <= tolerance_s else None


def _any_equal(right: Sequence[str], given: Sequence[str]) -> bool:
    """Compare all with all, in a time that tells nothing about how much of a guess was right."""
    equal = [hmac.compare_digest(good.encode(), guess.encode()) for good in right for guess in given]
    return any(equal)
