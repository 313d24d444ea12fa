"""HAProxy with our edge rules: Serve writes its configuration, this adds what it leaves out and runs it.

Serve starts whatever `RAY_SERVE_HAPROXY_BINARY_PATH` names as it would start HAProxy. Named there, this
module reads the configuration that Serve wrote, writes a stricter one beside it, and becomes HAProxy:

- the service listens where the operator says while its replicas stay on loopback; metrics and statistics do
  not listen on every interface, and the control socket is for its owner alone;
- no line is logged for a request: addresses may carry secrets, and Serve would send them to whoever
  listens for the system's log;
- a body that declares more bytes than any route takes is refused before a replica reads any of it;
- clients that send their headers too slowly are let go;
- what HAProxy answers itself is JSON in the form of both doors, and a 503 with Retry-After while replicas
  restart, where Serve would say 500; only bytes that never become a request get HAProxy's own, fixed text;
- every answer has `X-Request-Id` once: the caller's own where that is harmless, else the trace id of its
  `traceparent`, else a new one in the form that the path's door is known for;
- every request tells the replica its client's address, and none can steer Serve;
- methods that nobody knows are a 405, and what comes before there is an application is a 503;
- when no replica is there the answer comes at once: Serve's own proxy would hold requests, bodies and all;
- a replica reads a request's body at its own pace: Serve would otherwise read all of it ahead to notice a
  client that hangs up;
- an HAProxy that is killed has a stand-in at once: Serve needs seconds until it has noticed, and some more to
  start another, while nobody would listen.

If the configuration is not as expected the start fails: half the rules would be worse than none. Nothing
but the standard library is imported here: this runs at each of HAProxy's reloads.
"""

from __future__ import annotations

import json
import os
import re
import select
import signal
import socket
import sys
import time
from contextlib import suppress
from pathlib import Path

#: Set by whoever starts the service: where the service and where HAProxy's own figures are, what a body may
#: declare, and which program HAProxy is.
ADDRESS_ENV = "FACEFLEET_EDGE_ADDRESS"
LISTEN_ENV = "FACEFLEET_EDGE_LISTEN"
BODY_LIMIT_ENV = "FACEFLEET_EDGE_BODY_LIMIT"
BINARY_ENV = "FACEFLEET_EDGE_HAPROXY"

#: Headers by which a caller could steer Serve: how long it waits, which replica it takes; and `Upgrade`, for
#: no route speaks anything but HTTP.
STEERING_HEADERS = (
    "X-Request-Timeout-Seconds",
    "serve_multiplexed_model_id",
    "serve-multiplexed-model-id",
    "X-Session-Id",
    "Upgrade",
)
METHODS = "GET HEAD POST PUT PATCH DELETE OPTIONS TRACE"
WRONG_METHOD = "Method Not Allowed"
WRONG_TARGET = "Not Found"
UNAVAILABLE = "The service is starting or overloaded; try again shortly."
TOO_LARGE = "The request body is too large."
#: What else HAProxy may have to say about a request, by status: code, message.
GIVEN_UP = {
    400: ("invalid_request", "The request is not valid HTTP."),
    408: ("invalid_request", "The request did not arrive in time."),
    500: ("internal_error", "Internal error. Quote the request id when you report it."),
}
RETRY_AFTER_S = 2
HEADERS_TIMEOUT_S = 15
READ_ATTEMPTS = 40
READ_AGAIN_S = 0.05
#: How long a stand-in waits for Serve's next HAProxy, and for its own connections after that.
STAND_IN_S = 60.0
FINISH_S = 30.0
LOOK_EVERY_S = 0.1
LAST_LINE = "  stats refresh 1s\n"
#: A caller's own request id is kept when it can do no harm in a log, a header or a file name.
HARMLESS_ID = "^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$"
#: W3C's trace context; a trace id of zeros alone is none.
TRACE = "^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$"
NO_TRACE = f"00-{'0' * 32}"
#: Says to the replica who the client is; `app.client_address` believes it.
CLIENT_HEADER = "X-Facefleet-Client"
#: The id that a request goes by.
ID_OF_REQUEST = "%[var(txn.request_id)]"


class UnexpectedConfiguration(Exception):
    """Serve's configuration is not of the form that these rules were written for."""


def harden(config: str, *, address: str, listen: str, body_limit: int) -> str:
    """Return the configuration with the edge rules in it.

    Args:
        config: what Serve wrote.
        address: where the service itself listens; Serve is told loopback, and tells its replicas.
        listen: where metrics and statistics listen.
        body_limit: bytes that a request's body may declare.
    """
    for section, host in (
        ("frontend http_frontend", address),
        ("frontend prometheus", listen),
        ("listen stats", listen),
    ):
        pattern, rule = rf"^({section}\n *bind )\S*:(\d+)$", rf"\g<1>{_bracketed(host)}:\2"
        config = _replaced(config, pattern, rule, at_least=1)
    config = _replaced(config, r"^ *errorfile 50[234] .*\n", "", at_least=0)
    config = _replaced(config, r"^( *)http-reuse always$", r"\1http-reuse safe", at_least=0)
    config = _replaced(
        config, r"^backend default_backend\n *http-request return .*\n", _without_application(), at_least=1
    )
    config = _replaced(config, r"^ *log \S+ local0 info\n", "", at_least=1)
    config = _replaced(config, r"^ *server \S+-fallback-\S+ .* backup\n", "", at_least=0)
    config = _replaced(config, r"^( *stats socket .*) mode 666 ", r"\1 mode 600 ", at_least=1)
    config = _replaced(config, r"^defaults\n", "defaults\n" + _own_answers(), at_least=1)
    return _replaced(
        config, r"^(frontend http_frontend\n *bind .*\n)", r"\1" + _request_rules(body_limit), at_least=1
    )


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _own_answers() -> str:
    busy = "".join(
        f"    http-error status {status} content-type application/json "
        f"lf-string {_quoted(UNAVAILABLE, 'service_unavailable', ID_OF_REQUEST)} "
        f"hdr Retry-After {RETRY_AFTER_S}\n"
        for status in (502, 503, 504)
    )
    given_up = "".join(
        f"    http-error status {status} content-type application/json "
        f"lf-string {_quoted(message, code, ID_OF_REQUEST)}\n"
        for status, (code, message) in GIVEN_UP.items()
    )
    return f"    timeout http-request {HEADERS_TIMEOUT_S}s\n{busy}{given_up}"


def _without_application() -> str:
    """Return what is said to a request that no application takes."""
    return (
        "backend default_backend\n"
        "    http-request return status 404 content-type application/json "
        f"lf-string {_quoted(WRONG_TARGET, 'not_found', ID_OF_REQUEST)} if !{{ path_beg / }}\n"
        "    http-request return status 503 content-type application/json "
        f"lf-string {_quoted(UNAVAILABLE, 'service_unavailable', ID_OF_REQUEST)} "
        f"hdr Retry-After {RETRY_AFTER_S}\n"
    )


def _request_rules(body_limit: int) -> str:
    harmless = f"{{ req.fhdr_cnt(X-Request-Id) eq 1 }} {{ req.fhdr(X-Request-Id) -m reg {HARMLESS_ID} }}"
    trace = (
        "!{ var(txn.request_id) -m found } { req.fhdr_cnt(traceparent) eq 1 } "
        f"{{ req.fhdr(traceparent) -m reg {TRACE} }} !{{ req.fhdr(traceparent) -m beg {NO_TRACE} }}"
    )
    steering = "".join(f"    http-request del-header {name}\n" for name in STEERING_HEADERS)
    return (
        "    unique-id-format %[uuid]\n"
        f"    http-request set-var(txn.request_id) req.fhdr(X-Request-Id) if {harmless}\n"
        f"    http-request set-var(txn.request_id) req.fhdr(traceparent),field(2,-) if {trace}\n"
        "    http-request set-var-fmt(txn.request_id) req_%[uuid] "
        "if !{ var(txn.request_id) -m found } { path_beg /v1/ }\n"
        "    http-request set-var(txn.request_id) unique-id if !{ var(txn.request_id) -m found }\n"
        "    http-request set-header X-Request-Id %[var(txn.request_id)]\n"
        f"    http-request set-header {CLIENT_HEADER} %[src]\n"
        f"{steering}"
        "    http-request set-header X-Request-Disconnect-Disabled ?1\n"
        "    http-after-response set-header X-Request-Id %[var(txn.request_id)] "
        "if { var(txn.request_id) -m found }\n"
        "    http-after-response set-status 503 if { status 502 504 }\n"
        "    http-request return status 413 content-type application/json "
        f"lf-string {_quoted(TOO_LARGE, 'payload_too_large', ID_OF_REQUEST)} hdr Connection close "
        f"if {{ req.body_size gt {body_limit} }}\n"
        "    http-request return status 405 content-type application/json "
        f"lf-string {_quoted(WRONG_METHOD, 'invalid_request', ID_OF_REQUEST)} if !{{ method {METHODS} }}\n"
    )


def _quoted(message: str, code: str, request_id: str) -> str:
    """Return an error body for both doors as a HAProxy format string."""
    body = {"detail": message, "error": {"code": code, "message": message, "request_id": "@id@"}}
    text = json.dumps(body).replace("%", "%%").replace("@id@", request_id)
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
            return _harden_as_told(source)
        except UnexpectedConfiguration:
            time.sleep(READ_AGAIN_S)
    return _harden_as_told(source)


def _harden_as_told(source: Path) -> str:
    config = source.read_text()
    if not config.endswith(LAST_LINE):
        message = "Serve's HAProxy configuration does not end as it should"
        raise UnexpectedConfiguration(message)
    return harden(
        config,
        address=os.environ[ADDRESS_ENV],
        listen=os.environ[LISTEN_ENV],
        body_limit=int(os.environ[BODY_LIMIT_ENV]),
    )


def _watch(binary: str, target: Path) -> None:
    """Leave a process behind that has a stand-in answer if the HAProxy that this one becomes is killed."""
    try:
        haproxy = os.pidfd_open(os.getpid())
    except (AttributeError, OSError):  # an old kernel, or a sandbox: then only Serve starts another
        return
    if child := os.fork():
        os.close(haproxy)
        os.waitpid(child, 0)
        return
    # Twice, so that it is no child of HAProxy, which knows of none; and in a session of its own, because Ray
    # ends the group of whoever started HAProxy while that one is replaced.
    os.setsid()
    if not os.fork():
        with suppress(OSError):
            select.select([haproxy], [], [])
            _stand_in(binary, target)
    os._exit(0)


def _stand_in(binary: str, target: Path) -> None:
    """Answer with the same rules until Serve's next HAProxy takes over, unless one did already."""
    config = target.read_text()
    found = re.search(r"^ *stats socket (\S+) .*\n", config, re.MULTILINE)
    if found is None or _is_there(found[1]):
        return
    own = _stand_in_file(target)
    own.write_text(config.replace(found[0], ""))
    pid = os.posix_spawn(binary, [binary, "-db", "-f", str(own), "-dR"], os.environ)
    own.with_suffix(".pid").write_text(str(pid))
    for patience_s, end in ((STAND_IN_S, signal.SIGUSR1), (FINISH_S, signal.SIGKILL)):
        deadline = time.monotonic() + patience_s
        while time.monotonic() < deadline:
            if os.waitpid(pid, os.WNOHANG)[0]:
                return
            time.sleep(LOOK_EVERY_S)
        os.kill(pid, end)


def _stand_in_file(target: Path) -> Path:
    return target.with_suffix(".stand-in.cfg")


def _taking_over(target: Path) -> list[str]:
    """Return the arguments with which an HAProxy takes its place back from the stand-in, if there is one."""
    own = _stand_in_file(target)
    with suppress(OSError):
        pid = own.with_suffix(".pid").read_text()
        if str(own).encode() in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0"):
            return ["-sf", pid]
    return []


def _is_there(admin: str) -> bool:
    """Tell whether an HAProxy answers at the control socket."""
    with socket.socket(socket.AF_UNIX) as asking:
        return asking.connect_ex(admin) == 0


def main() -> None:
    """Write the stricter configuration and become HAProxy."""
    binary = os.environ[BINARY_ENV]
    arguments = sys.argv[1:]
    if "-f" in arguments:
        place = arguments.index("-f") + 1
        source = Path(arguments[place])
        target = source.with_suffix(".edge.cfg")
        target.write_text(_hardened(source))
        arguments[place] = str(target)
        if "-sf" not in arguments:
            arguments += _taking_over(target)
        _watch(binary, target)
    os.execv(binary, [binary, *arguments])  # noqa: S606 - Serve's own arguments, no shell


if __name__ == "__main__":
    main()
