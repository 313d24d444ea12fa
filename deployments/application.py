"""The composition root: reads the shape of the service and binds the deployments that make it."""

# No `from __future__ import annotations` here: Serve reads the type of `build`'s argument to parse the
# YAML into it.
from collections.abc import Iterable, Mapping
from typing import Any

import ray
from ray import serve
from ray.serve import Application
from ray.serve.config import AutoscalingPolicy
from ray.serve.schema import LoggingConfig

from app.settings import load_settings
from deployments.args import POOL_PREFIX, AppArgs, ReplicaArgs, with_gpu_share
from deployments.attribute_pool import AttributePool
from deployments.backlog import POLICY
from deployments.detector_pool import DetectorPool
from deployments.image_stage import ImageStage
from deployments.ingress import Ingress
from deployments.task_runner import TaskRunner

#: Beyond those that may wait for its lane, an ingress replica holds requests whose bodies still arrive or
#: whose answers still leave; what is too much is shed by the lane, in words.
BESIDES_WAITING = 256
#: How the autoscaler goes about it, in seconds: load that lasts gets replicas within moments, since callers
#: wait; they go slowly, since it may come back and starting one costs more than keeping one for a while.
PACE = {
    "metrics_interval_s": 1.0,
    "look_back_period_s": 5.0,
    "upscale_delay_s": 3.0,
    "downscale_delay_s": 60.0,
}
#: Long enough for the largest picture, and for what is to be written before a replica goes down.
SHUTDOWN_S = 30.0


def build(args: AppArgs) -> Application:
    """Return the application for these arguments; `serve_config.yaml` names this function."""
    now = _resolved(args)
    if args.draining:
        now = now.model_copy(update={"ingress": _fewest(now.ingress), "tasks": _fewest(now.tasks)})
    pools = _pools(now)
    held = {"max_ongoing_requests": now.ingress.max_waiting + BESIDES_WAITING}
    ingress = _deployment(serve.ingress()(Ingress), "ingress", now.ingress, held)
    engine = {"stage": _stage(now, pools)} if now.placement.decode == "stage" else pools
    runner = None
    if load_settings().database_enabled:
        detector, crops = pools.get(_argument(now.detectors[0])), pools.get("attributes")
        by_backlog = AutoscalingPolicy(
            policy_function=POLICY, policy_kwargs={"per_replica": now.tasks.target_ongoing_requests}
        )
        runner = _deployment(TaskRunner, "tasks", now.tasks, {}, by_backlog).bind(
            now, detector, crops, **engine
        )
    before = _with_gpu_shares(now.before(args.leaving))
    leaving = _leaving(before, {**pools, **engine})
    application: Application = ingress.bind(now, runner, leaving=leaving, **engine)
    return application


def leaving_deployments(args: AppArgs, running: Iterable[str]) -> tuple[str, ...]:
    """Return which of the running deployments are called by replicas that these arguments replace."""
    gone = set(running) - set(_resolved(args).behind_ingress())
    return tuple(
        sorted(name for name in gone if name in {"stage", "attributes"} or name.startswith(POOL_PREFIX))
    )


def _resolved(args: AppArgs) -> AppArgs:
    placement = args.placement.resolved(has_gpu=_cluster_has_gpu())
    return _with_gpu_shares(args.model_copy(update={"placement": placement, "leaving": ()}))


def _fewest(replicas: ReplicaArgs) -> ReplicaArgs:
    """Return what does for a service that is drained: none waits for a place, two take turns."""
    count = min(replicas.min_replicas, 2)
    return replicas.model_copy(
        update={"min_replicas": count, "max_replicas": max(count, 1), "max_per_node": None}
    )


def _pools(args: AppArgs) -> dict[str, Any]:
    """Return the pools of networks by the name under which they are handed on."""
    pools: dict[str, Any] = {}
    if args.placement.detector == "pool":
        limits = _shedding(args.detector)
        pools = {
            _argument(name): _deployment(DetectorPool, f"{POOL_PREFIX}{name}", args.detector, limits).bind(
                name, args
            )
            for name in args.detectors
        }
    if args.placement.attributes == "pool":
        limits = _shedding(args.attributes)
        pools["attributes"] = _deployment(AttributePool, "attributes", args.attributes, limits).bind(args)
    return pools


def _stage(args: AppArgs, pools: Mapping[str, Any]) -> Any:  # noqa: ANN401 - serve has no types
    return _deployment(ImageStage, "stage", args.stage, _shedding(args.stage)).bind(args, **pools)


def _leaving(before: AppArgs, present: Mapping[str, Any]) -> list[Any]:
    """Return what the shape before has and this one does not, over the pools that both have."""
    pools = {name: present.get(name, pool) for name, pool in _pools(before).items()}
    leaving = [pool for name, pool in pools.items() if name not in present]
    if before.placement.decode == "stage" and "stage" not in present:
        leaving.append(_stage(before, pools))
    return leaving


def _with_gpu_shares(args: AppArgs) -> AppArgs:
    if args.device == "cpu" or not _cluster_has_gpu():
        return args
    placement = args.placement
    inline = "inline" in {placement.detector, placement.attributes}
    in_stage = inline and placement.decode == "stage"
    in_ingress = inline and placement.decode == "ingress"
    return args.model_copy(
        update={
            "ingress": with_gpu_share(args.ingress, runs_networks=in_ingress),
            "stage": with_gpu_share(args.stage, runs_networks=in_stage),
            "tasks": with_gpu_share(args.tasks, runs_networks=in_ingress),
            "detector": with_gpu_share(args.detector, runs_networks=placement.detector == "pool"),
            "attributes": with_gpu_share(args.attributes, runs_networks=placement.attributes == "pool"),
        }
    )


def _shedding(replicas: ReplicaArgs) -> dict[str, Any]:
    """Return how many requests a replica behind handles holds, and each handle keeps back, at most."""
    return {"max_ongoing_requests": replicas.max_waiting, "max_queued_requests": replicas.max_waiting}


def _deployment(
    cls: type,
    name: str,
    replicas: ReplicaArgs,
    limits: dict[str, Any],
    policy: AutoscalingPolicy | None = None,
) -> Any:  # noqa: ANN401 - serve has no types
    scaling: dict[str, Any] = (
        {"num_replicas": replicas.min_replicas}
        if replicas.min_replicas == replicas.max_replicas
        else {
            "autoscaling_config": {
                "min_replicas": replicas.min_replicas,
                "max_replicas": replicas.max_replicas,
                "target_ongoing_requests": replicas.target_ongoing_requests,
                **PACE,
                **({} if policy is None else {"policy": policy}),
            }
        }
    )
    if replicas.max_per_node is not None:
        scaling["max_replicas_per_node"] = replicas.max_per_node
    return serve.deployment(
        cls,
        name=name,
        graceful_shutdown_timeout_s=SHUTDOWN_S,
        health_check_period_s=5,
        health_check_timeout_s=15,
        ray_actor_options={"num_cpus": replicas.num_cpus, "num_gpus": replicas.num_gpus or 0},
        # The app writes a line for every request itself.
        logging_config=LoggingConfig(enable_access_log=False),
        **scaling,
        **limits,
    )


def _argument(name: str) -> str:
    """Return a network's name as a Python argument name: `scrfd_2.5g` has a dot in it."""
    return name.replace(".", "_")


def _cluster_has_gpu() -> bool:
    resources: dict[str, float] = ray.cluster_resources() if ray.is_initialized() else {}
    return resources.get("GPU", 0) > 0
