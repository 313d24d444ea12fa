"""HAProxy with our edge rules: Serve writes its configuration, this adds what it leaves out and runs it.

Serve starts whatever `RAY_SERVE_HAPROXY_BINARY_PATH` names as it would start HAProxy. Named there, this
module reads the configuration that Serve wrote, writes a stricter one beside it, and becomes HAProxy:

- metrics and statistics listen where the operator says, not on every interface, and the control socket is
  for its owner alone;
- a body that declares more bytes than any route takes is refused before a replica reads any of it;
- clients that send their headers or body too slowly are let go;
- what HAProxy answers itself, while replicas restart, is JSON in the form of both doors, a 503 with
  Retry-After instead of a 500;
- a replica reads a request's body at its own pace: Serve would otherwise read all of it ahead to notice a
  client that hangs up.

If the configuration is not as expected the start fails: half the rules would be worse than none. Nothing
but the standard library is imported here: this runs at each of HAProxy's reloads.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
from pathlib import Path

#: Set by whoever starts the service.
LISTEN_ENV = "FACEFLEET_EDGE_LISTEN"
BODY_LIMIT_ENV = "FACEFLEET_EDGE_BODY_LIMIT"
BINARY_ENV = "FACEFLEET_EDGE_HAPROXY"

UNAVAILABLE = "The service is starting or overloaded; try again shortly."
TOO_LARGE = "The request body is too large."
RETRY_AFTER_S = 2
HEADERS_TIMEOUT_S = 15
READ_ATTEMPTS = 40
READ_AGAIN_S = 0.05
LAST_LINE = "  stats refresh 1s\n"
#: A caller's own request id is kept when it can do no harm in a log, a header or a file name.
HARMLESS_ID = "^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$"


class UnexpectedConfiguration(Exception):
    """Serve's configuration is not of the form that these rules were written for."""


def harden(config: str, *, listen: str, body_limit: int) -> str:
    """Return the configuration with the edge rules in it.

    Args:
        config: what Serve wrote.
        listen: the address for metrics and statistics.
        body_limit: bytes that a request's body may declare.
    """
    config = _replaced(config, r"^( *)bind (?:\*|):(\d+)$", rf"\1bind {listen}:\2", at_least=1)
    config = _replaced(config, r"^ *errorfile 50[234] .*\n", "", at_least=0)
    config = _replaced(config, r"^( *stats socket .*) mode 666 ", r"\1 mode 600 ", at_least=1)
    config = _replaced(config, r"^defaults\n", "defaults\n" + _own_answers(), at_least=1)
    return _replaced(
        config, r"^(frontend http_frontend\n *bind .*\n)", r"\1" + _request_rules(body_limit), at_least=1
    )


def _own_answers() -> str:
    return f"    timeout http-request {HEADERS_TIMEOUT_S}s\n" + "".join(
        f"    http-error status {status} content-type application/json "
        f"lf-string {_quoted(UNAVAILABLE, 'service_unavailable')} "
        f"hdr Retry-After {RETRY_AFTER_S} hdr X-Request-Id %[unique-id]\n"
        for status in (502, 503, 504)
    )


def _request_rules(body_limit: int) -> str:
    return (
        "    unique-id-format %[uuid]\n"
        "    http-request set-header X-Request-Id %[unique-id] "
        f"if !{{ req.hdr(X-Request-Id) -m reg {HARMLESS_ID} }}\n"
        "    http-request set-header X-Request-Disconnect-Disabled ?1\n"
        "    http-request return status 413 content-type application/json "
        f"lf-string {_quoted(TOO_LARGE, 'payload_too_large')} "
        "hdr X-Request-Id %[req.hdr(X-Request-Id)] hdr Connection close "
        f"if {{ req.body_size gt {body_limit} }}\n"
    )


def _quoted(message: str, code: str) -> str:
    """Return an error body for both doors as a HAProxy format string."""
    body = {"detail": message, "error": {"code": code, "message": message, "request_id": "@id@"}}
    text = json.dumps(body).replace("%", "%%").replace("@id@", "%[unique-id]")
    return "'" + text.replace("'", "") + "'"


def _replaced(config: str, pattern: str, replacement: str, *, at_least: int) -> str:
    config, count = re.subn(pattern, replacement, config, flags=re.MULTILINE)
    if count < at_least:
        message = f"no match for {pattern!r} in Serve's HAProxy configuration"
        raise UnexpectedConfiguration(message)
    return config


def _hardened(source: Path) -> str:
    """Return the stricter form of a configuration that Serve may be writing anew at this moment."""
    for _ in range(READ_ATTEMPTS - 1):
        try:
            return _harden_as_told(source.read_text())
        except UnexpectedConfiguration:
            time.sleep(READ_AGAIN_S)
    return _harden_as_told(source.read_text())


def _harden_as_told(config: str) -> str:
    if not config.endswith(LAST_LINE):
        message = "Serve's HAProxy configuration does not end as it should"
        raise UnexpectedConfiguration(message)
    return harden(config, listen=os.environ[LISTEN_ENV], body_limit=int(os.environ[BODY_LIMIT_ENV]))


def main() -> None:
    """Write the stricter configuration and become HAProxy."""
    arguments = sys.argv[1:]
    if "-f" in arguments:
        place = arguments.index("-f") + 1
        source = Path(arguments[place])
        target = source.with_suffix(".edge.cfg")
        target.write_text(_hardened(source))
        arguments[place] = str(target)
    binary = os.environ[BINARY_ENV]
    os.execv(binary, [binary, *arguments])  # noqa: S606 - Serve's own arguments, no shell


if __name__ == "__main__":
    main()
