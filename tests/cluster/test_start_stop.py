"""`facefleet up` and `down` for real: what is in the way, what a crash leaves, what is gone after."""

from __future__ import annotations

import os
import socket
import stat
import time
from typing import TYPE_CHECKING

import httpx
import psutil
import pytest
import yaml

from app.settings import Settings
from cluster.environment import place_of
from cluster.local import CONFIG
from cluster.ports import free_ports
from cluster.trial import Trial, run_facefleet, trial_service

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("start and stop")]
#: The bar for a second start is 20 s on an idle machine; tests may share theirs with others.
SECOND_START_S = 60
MARGIN_S = 20


@pytest.fixture
def variables(tmp_path: Path, weights_folder: Path) -> Iterator[dict[str, str]]:
    """Give the environment of a home with weights in it, and see that nothing runs there afterwards."""
    home = tmp_path / "home"
    home.mkdir()
    (home / "models").symlink_to(weights_folder.resolve())
    (port,) = free_ports(1)
    given = {"FACE_API_HOME": str(home), "FACE_API_PORT": str(port), "FACE_API_BOOTSTRAP_KEY": "k" * 32}
    yield given
    assert Trial(home, 0, "", "", given, "").processes() == []
    run_facefleet(("down",), given)


@pytest.fixture(scope="module")
def service(weights_folder: Path) -> Iterator[Trial]:
    """Run a service that the tests of this file may end."""
    with trial_service(weights=weights_folder) as started:
        yield started


def up(service: Trial) -> float:
    """Start the service again and return how long that took."""
    start = time.monotonic()
    ran = service.facefleet("up", "--config", str(service.home / "serve_config.yaml"))
    assert ran.returncode == 0, ran.stderr
    return time.monotonic() - start


def is_well(service: Trial) -> bool:
    """Tell whether the service answers."""
    return httpx.get(f"{service.url}/health", trust_env=False).status_code == 200


def answers(port: int) -> bool:
    """Tell whether somebody listens there."""
    with socket.socket() as asking:
        return asking.connect_ex(("127.0.0.1", port)) == 0


def stored(service: Trial) -> set[str]:
    """Return the names in the service's home, without those of files that exist only while it runs."""
    passing = ("run", "-shm", "-wal")
    return {path.name for path in service.home.iterdir() if not path.name.endswith(passing)}


def test_a_port_in_use_is_told(variables: dict[str, str]) -> None:
    """The start fails with the port's number and the setting that changes it, and starts nothing."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", int(variables["FACE_API_PORT"])))
        listener.listen()
        ran = run_facefleet(("up",), variables)
    assert ran.returncode == 1
    assert f"port {variables['FACE_API_PORT']} on 127.0.0.1 is in use" in ran.stderr
    assert "FACE_API_PORT" in ran.stderr
    assert "Traceback" not in ran.stderr


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ({"device": "cuda"}, "device 'cuda' was asked for"),
        ({"detectors": ["scrfd_10g"]}, "facefleet models pull"),
        ({"thread": 2}, "thread"),
    ],
    ids=str,
)
def test_what_cannot_work_is_told_before_anything_starts(
    tmp_path: Path, variables: dict[str, str], args: dict[str, object], words: str
) -> None:
    """A GPU that is not there, missing weights and a typing error end the start at once, in words."""
    if "device" in args:
        import onnxruntime  # noqa: PLC0415 - only this test asks what is installed

        if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
            pytest.skip("this ONNX Runtime may have CUDA")
    config = yaml.safe_load(CONFIG.read_text())
    config["applications"][0]["args"] |= args
    file = tmp_path / "shape.yaml"
    file.write_text(yaml.safe_dump(config))
    ran = run_facefleet(("up", "--config", str(file)), variables)
    assert ran.returncode == 1
    assert words in ran.stderr
    assert "Traceback" not in ran.stderr


@pytest.mark.parametrize("command", [("metrics",), ("scale", "ingress=2")], ids=lambda each: each[0])
def test_commands_for_what_does_not_run(variables: dict[str, str], command: tuple[str, ...]) -> None:
    """They say so and end with an error."""
    ran = run_facefleet(command, variables)
    assert ran.returncode == 1
    assert "no service of this home runs here" in ran.stderr


def test_down_where_nothing_runs_says_so(variables: dict[str, str]) -> None:
    """Stopping what is not there is no error, however often."""
    for _ in range(2):
        ran = run_facefleet(("down",), variables)
        assert (ran.returncode, ran.stdout) == (0, "facefleet: nothing was running\n")


def test_a_second_up_leaves_the_service_alone(service: Trial) -> None:
    """Who starts what runs already gets the same service, and its address."""
    before = {process.pid for process in service.replicas()}
    ran = service.facefleet("up", "--config", str(service.home / "serve_config.yaml"))
    assert ran.returncode == 0
    assert service.url in ran.stdout
    assert before
    assert {process.pid for process in service.replicas()} == before


def test_files_of_the_service_are_its_owners(service: Trial) -> None:
    """Nobody else reads tokens, state or sockets."""
    place = place_of(Settings(home=service.home))
    for folder in (place.run, place.scratch):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((place.run / "ray-token").stat().st_mode) == 0o600
    (socket_file,) = place.scratch.glob("h/*/admin.sock")
    assert stat.S_IMODE(socket_file.stat().st_mode) == 0o600


def test_the_greeting_has_a_call_that_works(service: Trial) -> None:
    """The line that the start prints finds a face as it stands."""
    (line,) = [line for line in service.greeting.splitlines() if line.strip().startswith("curl ")]
    with os.popen(f"{line} -s --noproxy '*'") as shell:  # noqa: S605 - the line is what is tested
        assert '"face_count":1' in shell.read().replace(" ", "")


def test_after_everything_was_killed_it_starts_again(
    service: Trial, capsys: pytest.CaptureFixture[str]
) -> None:
    """A crash of every process leaves nothing that is in the way of the next start."""
    victims = service.processes()
    assert len(victims) > 5
    for process in victims:
        process.kill()
    psutil.wait_procs(victims, timeout=10)
    assert (service.home / "run" / "state.json").is_file()
    took = up(service)
    with capsys.disabled():
        print(f"\nstart after a crash: {took:.1f} s")  # noqa: T201 - a figure for whoever runs this
    assert is_well(service)
    assert not {process.pid for process in victims} & {process.pid for process in service.processes()}


def test_without_its_state_a_service_is_still_ended_and_started(service: Trial) -> None:
    """A state file that is lost or broken neither hides the processes nor stops the next start."""
    (service.home / "run" / "state.json").write_text("{broken")
    before = {process.pid for process in service.processes()}
    up(service)
    assert is_well(service)
    assert not before & {process.pid for process in service.processes()}


def test_down_leaves_nothing_and_the_next_start_is_quick(
    service: Trial, capsys: pytest.CaptureFixture[str]
) -> None:
    """After `down` there is no process, port or scratch file; what was stored stays; `up` brings it back."""
    ports = {
        each.laddr.port
        for process in service.processes()
        for each in process.net_connections("tcp")
        if each.status == psutil.CONN_LISTEN
    }
    assert service.port in ports
    scratch = place_of(Settings(home=service.home)).scratch
    kept = stored(service)
    ran = service.facefleet("down")
    assert (ran.returncode, ran.stdout) == (0, "facefleet: stopped\n")
    assert service.processes() == []
    assert not [port for port in ports if answers(port)]
    assert not scratch.exists()
    assert stored(service) >= kept
    took = up(service)
    with capsys.disabled():
        print(f"\nsecond start: {took:.1f} s")  # noqa: T201 - a figure for whoever runs this
    assert took < SECOND_START_S
    assert is_well(service)


def test_two_services_run_side_by_side(service: Trial, weights_folder: Path) -> None:
    """Another home and port make another service: neither knows the other's key, and one ends alone."""
    with trial_service(weights=weights_folder) as other:
        for one, two in ((service, other), (other, service)):
            for key, status in ((one.key, 422), (two.key, 401)):
                answer = httpx.post(
                    f"{one.url}/api/v1/detect", headers={"X-API-Key": key}, trust_env=False, timeout=MARGIN_S
                )
                assert answer.status_code == status
        ports = [
            {
                each.laddr.port
                for process in each_service.processes()
                for each in process.net_connections("tcp")
            }
            for each_service in (service, other)
        ]
        assert service.port in ports[0]
        assert other.port in ports[1]
    assert is_well(service)
