"""One service on one box: start it, see whether it is there, stop it."""

from __future__ import annotations

import json
import logging
import os
import shutil
import time
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import yaml
from filelock import FileLock

from cluster.environment import environment, place_of
from cluster.ports import LOOPBACK, obstacle, ports_for, reserved_ports
from cluster.processes import end_marked, marked
from cluster.ray_start import start_ray
from cluster.scaling import scaled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from app.settings import Settings
    from cluster.environment import Place
    from cluster.ports import Ports
    from cluster.scaling import Wish

CONFIG = Path(__file__).parent.parent / "serve_config.yaml"
NAMESPACE = "serve"
UP_WITHIN_S = 120.0
LEFTOVERS_GRACE_S = 2.0
REPLACED_WITHIN_S = 60.0


class ServiceProblem(Exception):
    """The service cannot be started or stopped; the text tells why and what to do."""


@dataclass(frozen=True, slots=True)
class Running:
    """What is known of a started service."""

    ray_address: str
    host: str
    port: int
    started_at: float
    metrics_port: int | None = None

    @property
    def metrics_url(self) -> str | None:
        """Tell where Prometheus reads its figures; None where it was started by an older version."""
        return None if self.metrics_port is None else f"http://{LOOPBACK}:{self.metrics_port}/metrics"

    @property
    def url(self) -> str:
        """Tell where the service answers."""
        host = "127.0.0.1" if self.host in {"0.0.0.0", "::"} else self.host  # noqa: S104 - compared only
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"


def start(settings: Settings, config: Path = CONFIG) -> Running:
    """Start the service and return once it answers; one that runs already is left alone.

    Raises:
        ServiceProblem: it cannot be started.
    """
    place = place_of(settings)
    with FileLock(place.run / "lock"):
        running = read_state(place)
        if running is not None and is_up(running) and marked(place.mark):
            return running
        clear_leftovers(place)
        if problem := obstacle(settings.host, settings.port):
            message = f"{problem}; choose another place with FACE_API_HOST and FACE_API_PORT"
            raise ServiceProblem(message)
        if settings.metrics_port and (problem := obstacle(LOOPBACK, settings.metrics_port)):
            message = f"{problem}; choose another one with FACE_API_METRICS_PORT"
            raise ServiceProblem(message)
        with reserved_ports(place.home) as ports:
            running = _brought_up(settings, place, ports, config)
        shutil.copyfile(config, shape_file(place))
        # Written last: what is written here is known to work.
        (place.run / "state.json").write_text(json.dumps(asdict(running)))
        return running


def _brought_up(settings: Settings, place: Place, ports: Ports, config: Path) -> Running:
    variables = environment(settings, place, ports)
    # Serve reads these when it is imported, here as in the processes that are started.
    os.environ.update(variables)
    shape = read_config(config, settings)
    try:
        metrics_port = settings.metrics_port or ports.metrics
        address = start_ray(place, variables, ports, metrics_port)
        running = Running(address, settings.host, settings.port, time.time(), metrics_port)
        deploy(running, shape)
        wait_until_up(running)
    except BaseException:
        keep_logs(place)
        clear_leftovers(place)
        raise
    return running


def stop(settings: Settings) -> bool:
    """Stop the service, letting it finish what it has begun; tell whether there was one.

    Raises:
        ServiceProblem: some of its processes could not be ended.
    """
    place = place_of(settings)
    with FileLock(place.run / "lock"):
        found = bool(marked(place.mark))
        running = read_state(place)
        if running is not None and found:
            os.environ.update(environment(settings, place, ports_for(place.home)))
            with suppress(Exception):  # it is ended below whatever happens here
                _drain(running)
        clear_leftovers(place)
        with suppress(OSError):  # something in it could not be removed; the next start tries again
            place.scratch.rmdir()
        return found


def shape_file(place: Place) -> Path:
    """Return where the shape lies that was started."""
    return place.run / "shape.yaml"


def scaled_file(place: Place) -> Path:
    """Return where the shape lies that was scaled by hand since the start, if it was."""
    return place.run / "scaled.yaml"


def scale(settings: Settings, wishes: list[Wish]) -> None:
    """Give the running service other numbers of replicas; no request is lost meanwhile.

    Raises:
        ServiceProblem: there is no service, or it could not be changed.
        BadWish: a wish cannot be fulfilled.
    """

    def wished(shape: dict[str, Any], now: dict[str, Any], running: Running) -> dict[str, Any]:
        return scaled(shape, now, wishes, has_gpu=_has_gpu(running))

    redeploy(settings, wished)


def redeploy(
    settings: Settings, changed: Callable[[dict[str, Any], dict[str, Any], Running], dict[str, Any]]
) -> Running:
    """Give the running service another shape, until its next start.

    Args:
        settings: the operator's.
        changed: makes it, of the shape that was started, the one that is there now, and what runs.

    Raises:
        ServiceProblem: there is no service, or it could not be changed.
    """
    place = place_of(settings)
    with FileLock(place.run / "lock"):
        running = read_state(place)
        if running is None or not is_up(running) or not shape_file(place).exists():
            message = "no service of this home runs here"
            raise ServiceProblem(message)
        os.environ.update(environment(settings, place, ports_for(place.home)))
        shape = yaml.safe_load(shape_file(place).read_text())
        now = yaml.safe_load(_current_shape(place).read_text())
        made = changed(shape, now, running)
        wanted = place.run / "wanted.yaml"
        wanted.write_text(yaml.safe_dump(made, sort_keys=False))
        deploy(running, read_config(wanted, settings))
        wanted.replace(scaled_file(place))
        return running


def _current_shape(place: Place) -> Path:
    found = scaled_file(place)
    return found if found.exists() else shape_file(place)


def _has_gpu(running: Running) -> bool:
    import ray  # noqa: PLC0415 - the environment must be set first

    with connected(running.ray_address):
        return bool(ray.cluster_resources().get("GPU", 0) > 0)


@contextmanager
def connected(address: str) -> Iterator[None]:
    """Speak with this Ray while the block runs; the environment of its service must be set."""
    import ray  # noqa: PLC0415 - the environment must be set first

    ray.init(address=address, namespace=NAMESPACE, log_to_driver=False, logging_level=logging.ERROR)
    logging.getLogger("ray.serve").setLevel(logging.WARNING)
    try:
        yield
    finally:
        ray.shutdown()


def clear_leftovers(place: Place) -> None:
    """End what is left of the service and drop its scratch files."""
    if left := end_marked(place.mark, LEFTOVERS_GRACE_S):
        message = f"{left} processes of the service at {place.home} could not be ended"
        raise ServiceProblem(message)
    for file in (place.run / "state.json", scaled_file(place)):
        file.unlink(missing_ok=True)
    for entry in place.scratch.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry, ignore_errors=True)
        else:
            entry.unlink(missing_ok=True)


def keep_logs(place: Place) -> None:
    """Save what replicas and Serve said from being dropped with the scratch files."""
    kept = place.run / "failed-start"
    shutil.rmtree(kept, ignore_errors=True)
    with suppress(OSError):
        shutil.copytree(place.ray / "session_latest" / "logs" / "serve", kept)


def read_state(place: Place) -> Running | None:
    """Return what the last start wrote down, if it is still of use."""
    with suppress(OSError, ValueError, TypeError):
        return Running(**json.loads((place.run / "state.json").read_text()))
    return None


def read_config(path: Path, settings: Settings) -> dict[str, Any]:
    """Return the service's shape, with the address that the settings name and its `args` parsed.

    Raises:
        ServiceProblem: the file is not a Serve configuration, or its `args` are not ours.
        FacefleetError: a detector that it names cannot be opened here.
    """
    from ray.serve.schema import ServeDeploySchema  # noqa: PLC0415 - the environment must be set first

    from deployments.args import AppArgs  # noqa: PLC0415 - as above
    from deployments.networks import check_networks  # noqa: PLC0415 - as above

    try:
        config: dict[str, Any] = dict(yaml.safe_load(path.read_text()))
        config["http_options"] = {
            **config.get("http_options", {}),
            "host": LOOPBACK,  # of replicas; the edge listens where the settings say
            "port": settings.port,
        }
        ServeDeploySchema.model_validate(config)
        for application in config["applications"]:
            application["args"] = AppArgs.model_validate(application.get("args", {}))
    except (ValueError, TypeError, yaml.YAMLError) as error:
        message = f"{path} is not the shape of a service: {error}"
        raise ServiceProblem(message) from error
    for application in config["applications"]:
        check_networks(application["args"], settings)
    return config


def deploy(running: Running, config: dict[str, Any]) -> None:
    """Bring the applications of this configuration up on the Ray that runs."""
    from ray import serve  # noqa: PLC0415 - the environment must be set first

    from deployments.application import build, leaving_deployments  # noqa: PLC0415 - as above

    try:
        with connected(running.ray_address):
            serve.start(proxy_location=config["proxy_location"], http_options=config["http_options"])
            for application in config["applications"]:
                name, prefix, args = (application[key] for key in ("name", "route_prefix", "args"))
                if leaving := leaving_deployments(args, _deployments(name)):
                    # Serve takes away at once what a shape does not have, though replicas of the shape before
                    # still call it until they are replaced: those requests would be lost.
                    before = build(args.model_copy(update={"leaving": leaving}))
                    serve.run(before, name=name, route_prefix=prefix)
                    wait_for_replaced(name)
                serve.run(build(args), name=name, route_prefix=prefix)
    except RuntimeError as error:
        message = f"the service could not be deployed: {error}"
        raise ServiceProblem(message) from error


def _deployments(application: str) -> tuple[str, ...]:
    """Return the names of what the application runs now."""
    from ray import serve  # noqa: PLC0415 - the environment must be set first

    found = serve.status().applications.get(application)
    return tuple(found.deployments) if found else ()


def wait_for_replaced(application: str) -> bool:
    """Return once no replica is on its way out any more; False where one still is when none should be."""
    from ray import serve  # noqa: PLC0415 - the environment must be set first

    deadline = time.monotonic() + REPLACED_WITHIN_S
    while time.monotonic() < deadline:
        deployments = serve.status().applications[application].deployments.values()
        states: set[str] = set()
        for each in deployments:
            states |= {state for state, count in each.replica_states.items() if count}
        if "STOPPING" not in states:
            return True
        time.sleep(0.2)
    return False


def wait_until_up(running: Running) -> None:
    """Return once the service answers.

    Raises:
        ServiceProblem: it does not within reasonable time.
    """
    deadline = time.monotonic() + UP_WITHIN_S
    while time.monotonic() < deadline:
        if is_up(running):
            return
        time.sleep(0.1)
    message = f"the service was started but {running.url}/health does not answer 200"
    raise ServiceProblem(message)


def is_up(running: Running) -> bool:
    """Tell whether the service answers, be it that it waits for its database or its storage."""
    return _health(running).get("model_loaded") is True


def waits_for(running: Running) -> str | None:
    """Tell what the service waits for; None where it is well."""
    reason: str | None = _health(running).get("detail")
    return reason


def _health(running: Running) -> dict[str, Any]:
    try:
        return dict(httpx.get(f"{running.url}/health", timeout=5, trust_env=False).json())
    except (httpx.HTTPError, ValueError, TypeError):
        return {}


def _drain(running: Running) -> None:
    from ray import serve  # noqa: PLC0415 - the environment must be set first

    with connected(running.ray_address):
        # One after the other: replicas finish what they have while HAProxy still carries the answers.
        for name in serve.status().applications:
            serve.delete(name)
        serve.shutdown()
