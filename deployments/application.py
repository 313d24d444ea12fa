"""The composition root: reads the shape of the service and binds the deployments that make it."""

# No `from __future__ import annotations` here: Serve reads the type of `build`'s argument to parse the
# YAML into it.
from typing import Any

import ray
from ray import serve
from ray.serve import Application

from deployments.args import AppArgs, ReplicaArgs
from deployments.detector_pool import DetectorPool
from deployments.image_stage import ImageStage
from deployments.ingress import Ingress

#: Requests a replica may hold: all but one or two of them wait for its lane, which sheds what is too much.
HELD = 512
#: Long enough for the largest picture, so that a replica going down finishes what it has.
SHUTDOWN_S = 10.0


def build(args: AppArgs) -> Application:
    """Return the application for these arguments; `serve_config.yaml` names this function."""
    placement = args.placement.resolved(has_gpu=_cluster_has_gpu())
    args = args.model_copy(update={"placement": placement})
    pools: dict[str, Any] = {}
    if placement.detector == "pool":
        pools = {
            _argument(name): _deployment(DetectorPool, f"detector-{name}", args.detector).bind(name, args)
            for name in args.detectors
        }
    ingress = _deployment(serve.ingress()(Ingress), "ingress", args.ingress)
    if placement.decode == "stage":
        stage = _deployment(ImageStage, "stage", args.stage).bind(args, **pools)
        application: Application = ingress.bind(args, stage)
    else:
        application = ingress.bind(args, **pools)
    return application


def _deployment(cls: type, name: str, replicas: ReplicaArgs) -> Any:  # noqa: ANN401 - serve has no types
    scaling: dict[str, Any] = (
        {"num_replicas": replicas.min_replicas}
        if replicas.min_replicas == replicas.max_replicas
        else {
            "autoscaling_config": {
                "min_replicas": replicas.min_replicas,
                "max_replicas": replicas.max_replicas,
                "target_ongoing_requests": replicas.target_ongoing_requests,
            }
        }
    )
    return serve.deployment(
        cls,
        name=name,
        max_ongoing_requests=HELD,
        graceful_shutdown_timeout_s=SHUTDOWN_S,
        health_check_period_s=5,
        health_check_timeout_s=15,
        ray_actor_options={"num_cpus": replicas.num_cpus, "num_gpus": replicas.num_gpus},
        **scaling,
    )


def _argument(name: str) -> str:
    """Return a network's name as a Python argument name: `scrfd_2.5g` has a dot in it."""
    return name.replace(".", "_")


def _cluster_has_gpu() -> bool:
    resources: dict[str, float] = ray.cluster_resources() if ray.is_initialized() else {}
    return resources.get("GPU", 0) > 0
