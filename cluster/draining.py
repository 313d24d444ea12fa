"""Takes a service, or one of its nodes, out of work without losing anything.

The whole: its shape with `draining` set is deployed. Replicas are replaced in turn, so requests under way
are answered; runners that go give their tasks back to the queue; those that come refuse what is new. Once
the last replica of before has gone the service is empty.

A node: Ray is told that it will go. Serve starts each of its replicas elsewhere and only then ends it; Ray
begins nothing there any more, and ends the node once it is idle.
"""

from __future__ import annotations

import copy
import os
import time
from typing import TYPE_CHECKING, Any

from cluster.environment import environment, place_of
from cluster.local import ServiceProblem, connected, read_state, redeploy, wait_for_replaced
from cluster.ports import ports_for

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from app.settings import Settings
    from cluster.local import Running

    #: What Ray tells of a node.
    Node = Mapping[str, Any]

#: Set in a cluster's pods; a service on one box has its own file.
RAY_ADDRESS = "RAY_ADDRESS"
#: Where a command in a node's own pod means that node; Ray ends the command with it.
HERE = "here"
HEAD = "node:__internal_head__"
LOOK_EVERY_S = 0.5
#: How long a node may take to go once all that ran there should have.
GONE_WITHIN_S = 60.0


class NotEmpty(Exception):
    """Something is still there when nothing should be; the text tells what."""


def drain_service(settings: Settings, *, undo: bool = False) -> None:
    """Let the service on this box finish what it has and begin nothing new; or let it work again.

    Raises:
        ServiceProblem: there is no service, or it could not be changed.
        NotEmpty: some of its replicas do not end.
    """

    def changed(_shape: dict[str, Any], now: dict[str, Any], _running: Running) -> dict[str, Any]:
        return with_draining(now, draining=not undo)

    running = redeploy(settings, changed)
    with connected(running.ray_address):
        for application in _applications():
            if not wait_for_replaced(application):
                message = "replicas from before still run: something does not end"
                raise NotEmpty(message)


def with_draining(config: dict[str, Any], *, draining: bool) -> dict[str, Any]:
    """Return a configuration whose service takes no new work, or does again."""
    made = copy.deepcopy(config)
    for application in made["applications"]:
        application["args"] = {**(application.get("args") or {}), "draining": draining}
    return made


def drain_node(settings: Settings, name: str, within_s: float) -> str:
    """Move what runs on a node to others and return its id once the node is gone.

    Args:
        settings: the operator's.
        name: what the node is called: its name, its host, its address, the beginning of its id, or `here`.
        within_s: after this long replicas are ended even if they have no place elsewhere.

    Raises:
        ServiceProblem: there is no such node, or Ray refuses.
        NotEmpty: it is still there when nothing should be.
    """
    address = _address(settings)
    import ray  # noqa: PLC0415 - the environment must be set first

    with connected(address):
        own = ray.get_runtime_context().get_node_id() if name == HERE else None
        node_id = str(find_node(ray.nodes(), own or name)["NodeID"])
        _announce(address, node_id, within_s)
        deadline = time.monotonic() + within_s + GONE_WITHIN_S
        while any(each["Alive"] and each["NodeID"] == node_id for each in ray.nodes()):
            if time.monotonic() > deadline:
                message = f"node {node_id[:8]} still has work {GONE_WITHIN_S:.0f} s after it should have none"
                raise NotEmpty(message)
            time.sleep(LOOK_EVERY_S)
        return node_id


def find_node(nodes: Sequence[Node], name: str) -> Node:
    """Return the node that is meant.

    Raises:
        ServiceProblem: there is none, there are several, or it is the head.
    """
    alive = [each for each in nodes if each["Alive"]]
    found = [each for each in alive if name in _names(each) or each["NodeID"].startswith(name)]
    if len(found) != 1:
        known = ", ".join(f"{each['NodeName']} ({each['NodeID'][:8]})" for each in alive)
        message = f"{'several nodes are' if found else 'no node is'} called {name!r}; there are: {known}"
        raise ServiceProblem(message)
    if HEAD in found[0]["Resources"]:
        message = "the head cannot be taken out alone: the others would go with it"
        raise ServiceProblem(message)
    return found[0]


def _names(node: Node) -> set[str]:
    return {node["NodeName"], node["NodeManagerHostname"], node["NodeManagerAddress"]}


def _address(settings: Settings) -> str:
    place = place_of(settings)
    running = read_state(place)
    if running is not None:
        os.environ.update(environment(settings, place, ports_for(place.home)))
        return running.ray_address
    if address := os.environ.get(RAY_ADDRESS):
        return address
    message = "no service of this home runs here"
    raise ServiceProblem(message)


def _announce(address: str, node_id: str, within_s: float) -> None:
    """Tell Ray that a node will go, as `ray drain-node` does."""
    import ray._raylet as core  # noqa: PLC0415 - the environment must be set first
    from ray.core.generated import autoscaler_pb2  # noqa: PLC0415 - as above

    gcs: Any = core
    reasons: Any = autoscaler_pb2
    accepted, why_not = gcs.GcsClient(address=address).drain_node(
        node_id,
        # The other reason there is lets a node refuse while it is busy.
        reasons.DrainNodeReason.Value("DRAIN_NODE_REASON_PREEMPTION"),
        "facefleet drain",
        int((time.time() + within_s) * 1000),
    )
    if not accepted:
        message = f"Ray does not let go of the node: {why_not}"
        raise ServiceProblem(message)


def _applications() -> tuple[str, ...]:
    from ray import serve  # noqa: PLC0415 - the environment must be set first

    return tuple(serve.status().applications)
