"""The dashboards that come with the service; `python -m cluster.monitoring.dashboards` writes their files.

Three pages: what callers get, what becomes of tasks, and what it all runs on.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from cluster.monitoring.panels import Dashboard, Panel, Query, dashboard_json

FOLDER: Final = Path(__file__).parent / "grafana"
EVERY: Final = "$__rate_interval"


def rate(name: str, by: str = "", where: str = "") -> str:
    """Return a query for how often something happens a second."""
    grouped = f"sum by ({by}) " if by else "sum "
    return f"{grouped}(rate(ray_facefleet_{name}_total{where}[{EVERY}]))"


def percentile(quantile: float, name: str, by: str = "", where: str = "") -> str:
    """Return a query for the value that a share of all measurements stay under."""
    labels = ", ".join(filter(None, ["le", by]))
    return f"histogram_quantile({quantile}, {rate(f'{name}_bucket', labels, where)})"


def share(name: str, where: str) -> str:
    """Return a query for how much of something is of this sort."""
    return f"{rate(name, where=where)} / {rate(name)}"


def mean(name: str, by: str = "") -> str:
    """Return a query for the mean of what is measured."""
    return f"{rate(f'{name}_sum', by)} / {rate(f'{name}_count', by)}"


def percentiles(name: str, where: str = "") -> tuple[Query, ...]:
    """Return queries for the usual three."""
    return tuple(Query(percentile(each, name, "", where), f"p{each * 100:.0f}") for each in (0.5, 0.95, 0.99))


SERVICE: Final = Dashboard(
    "facefleet-service",
    "Facefleet: what callers get",
    (
        (
            Panel(
                "Requests",
                "reqps",
                (Query(rate("requests", "kind"), "{{kind}}"),),
                "Answers a second, by kind of request.",
            ),
            Panel(
                "Refused and failed",
                "reqps",
                (Query(rate("requests", "kind, status", '{status=~"4..|5.."}'), "{{kind}} {{status}}"),),
                "503 is load that was shed, 429 a key's own limit, 500 a bug.",
            ),
            Panel(
                "In work",
                "short",
                (Query("sum by (NodeAddress) (ray_facefleet_requests_in_work)", "{{NodeAddress}}"),),
                "Requests that ingress replicas hold, by node.",
            ),
        ),
        (
            Panel(
                "Time of a detection",
                "s",
                percentiles("request_seconds", '{kind="detect"}'),
                "From arrival to the end of the answer.",
            ),
            Panel(
                "Time by kind, 95th percentile",
                "s",
                (Query(percentile(0.95, "request_seconds", "kind"), "{{kind}}"),),
                "From arrival to the end of the answer.",
            ),
            Panel(
                "Time by stage, 95th percentile",
                "s",
                (Query(percentile(0.95, "stage_seconds", "stage"), "{{stage}}"),),
                "Where a picture's time goes. A stage that did not run is not there.",
            ),
        ),
        (
            Panel(
                "Faces",
                "short",
                (Query(rate("faces", "source"), "in {{source}}s"),),
                "Faces found a second.",
            ),
            Panel(
                "Requests in a batch, mean",
                "short",
                (Query(mean("batch_size", "pool"), "{{pool}}"),),
                "Only where networks live in pools. One means that batching gains nothing.",
            ),
            Panel(
                "Libraries that were in memory",
                "percentunit",
                (
                    Query(
                        share("gallery_searches", '{library="ready"}'),
                        "ready",
                    ),
                ),
                "Share of searches that had to load or bring up to date nothing.",
            ),
        ),
    ),
)

TASKS: Final = Dashboard(
    "facefleet-tasks",
    "Facefleet: tasks and webhooks",
    (
        (
            Panel(
                "Queue",
                "short",
                (
                    Query("max(ray_facefleet_tasks_waiting)", "waiting"),
                    Query("max(ray_facefleet_tasks_running)", "running"),
                ),
                "Tasks now.",
            ),
            Panel(
                "Oldest waiting task",
                "s",
                (Query("max(ray_facefleet_oldest_task_seconds)", "age"),),
                "A key over its plan's limit waits too: that is no fault.",
            ),
            Panel(
                "Taken up and ended",
                "short",
                (
                    Query(rate("tasks_taken", "type"), "{{type}} taken up"),
                    Query(rate("tasks_ended", "type, status"), "{{type}} {{status}}"),
                ),
                "Tasks a second. More taken up than ended for long means that runners die.",
            ),
        ),
        (
            Panel("Frames", "short", (Query(rate("frames"), "frames"),), "Frames looked at a second."),
            Panel(
                "Time of a chunk",
                "s",
                (Query(percentile(0.95, "chunk_seconds", "work"), "{{work}}"),),
                "95th percentile, by what was done to the chunk.",
            ),
            Panel(
                "Trouble",
                "short",
                (
                    Query(rate("workers_died"), "workers died"),
                    Query(rate("leases_lost"), "leases lost or cancelled"),
                    Query(rate("retries", "what"), "again: {{what}}"),
                ),
                "What was survived, a second.",
            ),
        ),
        (
            Panel(
                "Webhook attempts",
                "short",
                (Query(rate("webhook_attempts", "outcome"), "{{outcome}}"),),
                "Attempts a second, by outcome.",
            ),
            Panel(
                "From a task's end to its first attempt",
                "s",
                percentiles("webhook_lag_seconds"),
                "How late callers hear.",
            ),
            Panel(
                "Webhooks due",
                "short",
                (
                    Query("max(ray_facefleet_webhooks_due)", "due"),
                    Query("max(ray_facefleet_oldest_webhook_seconds)", "seconds that the oldest is"),
                ),
                "What should have been sent.",
            ),
        ),
    ),
)

FLEET: Final = Dashboard(
    "facefleet-fleet",
    "Facefleet: replicas and nodes",
    (
        (
            Panel(
                "Replicas wanted",
                "short",
                (Query("max by (deployment) (ray_serve_autoscaling_target_replicas)", "{{deployment}}"),),
                "What the autoscaler aims at.",
            ),
            Panel(
                "Replicas well",
                "short",
                (Query("sum by (deployment) (ray_serve_deployment_replica_healthy)", "{{deployment}}"),),
                "Fewer than wanted for long: see the runbook.",
            ),
            Panel(
                "Replica starts",
                "short",
                (
                    Query(
                        # Each replica has a counter of its own that stays at 1.
                        "count by (deployment) (max_over_time(ray_serve_deployment_replica_starts_total[10m])"
                        " unless on (replica) ray_serve_deployment_replica_starts_total offset 10m)",
                        "{{deployment}}",
                    ),
                ),
                "In ten minutes.",
            ),
        ),
        (
            Panel(
                "Requests at replicas",
                "short",
                (Query("sum by (deployment) (ray_serve_replica_processing_queries)", "{{deployment}}"),),
                "In work; the autoscaler divides this by the target.",
            ),
            Panel(
                "Requests waiting for a replica",
                "short",
                (Query("sum by (deployment) (ray_serve_deployment_queued_queries)", "{{deployment}}"),),
                "Held back in front of pools and stages.",
            ),
            Panel(
                "Memory of libraries",
                "bytes",
                (Query("sum by (NodeAddress) (ray_facefleet_gallery_bytes)", "{{NodeAddress}}"),),
                "Vectors that replicas hold.",
            ),
        ),
        (
            Panel(
                "Processor",
                "percent",
                (Query("max by (ip) (ray_node_cpu_utilization)", "{{ip}}"),),
                "By node.",
            ),
            Panel(
                "Memory",
                "percentunit",
                (
                    Query(
                        "max by (ip) (ray_node_mem_used) / max by (ip) (ray_node_mem_total)",
                        "{{ip}}",
                    ),
                ),
                "By node; Ray kills workers at 95 %.",
            ),
            Panel(
                "GPU",
                "percent",
                (Query("max by (ip, GpuIndex) (ray_node_gpus_utilization)", "{{ip}} {{GpuIndex}}"),),
                "By GPU, where there are any.",
            ),
        ),
    ),
)

DASHBOARDS: Final = (SERVICE, TASKS, FLEET)


def files() -> dict[Path, str]:
    """Return the dashboards' files and what belongs into them."""
    return {
        FOLDER / f"{each.uid}.json": json.dumps(dashboard_json(each), indent=2) + "\n" for each in DASHBOARDS
    }


if __name__ == "__main__":
    for path, text in files().items():
        path.write_text(text)
