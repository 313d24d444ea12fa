"""What runs for this service, told to those who look after it: deployments, networks, machines."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import ray
from ray import serve
from ray.exceptions import RayError
from ray.serve.exceptions import RayServeException

from app.fleet import DeploymentState, DeviceFacts, ModelFacts
from models.detectors import find_detector
from models.manifest import load_manifest

if TYPE_CHECKING:
    from ray.serve.schema import DeploymentStatusOverview

    from deployments.args import AppArgs
    from models.manifest import Network

#: How long an answer of the controller is good: many pages may ask at once.
FRESH_S = 2.0
PATIENCE_S = 3.0
RUNNING, STOPPING = "RUNNING", "STOPPING"


class RayFleet:
    """Asks Ray.

    Args:
        args: the service's shape.
    """

    def __init__(self, args: AppArgs) -> None:
        self.models = models_of(args)
        self.devices = _devices(args)
        self._found: tuple[DeploymentState, ...] = ()
        self._found_at = -FRESH_S
        self._asking = asyncio.Lock()

    async def deployments(self) -> tuple[DeploymentState, ...]:
        """Tell how the deployments are; none where the controller does not answer."""
        async with self._asking:
            if time.monotonic() - self._found_at > FRESH_S:
                try:
                    self._found = await asyncio.wait_for(asyncio.to_thread(_states), PATIENCE_S)
                except (asyncio.TimeoutError, RayError, RayServeException):
                    self._found = ()
                self._found_at = time.monotonic()
            return self._found


def models_of(args: AppArgs) -> tuple[ModelFacts, ...]:
    """List the networks of a shape, with what their licences allow."""
    manifest = load_manifest()
    detectors = [find_detector(manifest, name)[0] for name in args.detectors]
    names = [*args.attribute_networks, *filter(None, [args.embedding_network])]
    return tuple(_facts(each) for each in [*detectors, *(manifest[name] for name in names)])


def _facts(network: Network) -> ModelFacts:
    return ModelFacts(network.name, network.task, network.licence, network.attribution, network.commercial)


def _devices(args: AppArgs) -> tuple[DeviceFacts, ...]:
    resources = ray.cluster_resources()
    cores, gpus = resources.get("CPU", 0), resources.get("GPU", 0)
    machines = sum(name.startswith("node:") and "head" not in name for name in resources)
    return (
        DeviceFacts("Cluster", f"{machines} machines, {cores:g} cores, {gpus:g} GPUs"),
        DeviceFacts("Networks run on", args.device if args.device != "auto" else ("GPU" if gpus else "CPU")),
    )


def _states() -> tuple[DeploymentState, ...]:
    return tuple(
        _state(name, found)
        for application in serve.status().applications.values()
        for name, found in application.deployments.items()
    )


def _state(name: str, found: DeploymentStatusOverview) -> DeploymentState:
    replicas = {_word(state): number for state, number in found.replica_states.items()}
    wanted = sum(number for state, number in replicas.items() if state != STOPPING)
    return DeploymentState(name, replicas.get(RUNNING, 0), wanted, _word(found.status), found.message)


def _word(state: object) -> str:
    return str(getattr(state, "value", state))
