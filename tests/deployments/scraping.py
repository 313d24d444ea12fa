"""Reads a running service's figures as Prometheus does."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from prometheus_client.parser import text_string_to_metric_families

from cluster.metrics_names import shown_names
from pipelines.metrics import METRICS

if TYPE_CHECKING:
    from cluster.trial import Trial
    from pipelines.metrics import Count, Level, Spread

#: Makes Ray collect every second instead of every ten; for services whose figures a test waits for.
QUICKLY = {"RAY_metrics_report_interval_ms": "1000"}
PATIENCE_S = 30.0

#: Which figures are looked for where.
PICTURES = frozenset({"requests", "request_seconds", "requests_in_work", "stage_seconds"})
TASKS = frozenset(
    {
        *("faces", "frames", "chunk_seconds", "tasks_ended", "tasks_taken", "tasks_waiting"),
        *("tasks_running", "oldest_task_seconds", "leases_lost", "workers_died", "webhook_attempts"),
        *("webhook_seconds", "webhook_lag_seconds", "webhooks_due", "oldest_webhook_seconds"),
    }
)
BATCHES = frozenset({"batch_size"})
LIBRARIES = frozenset({"gallery_searches", "gallery_bytes"})
#: Only there once a part was away for a moment; tests of `app.tasks.patience` have it.
ONLY_IN_TROUBLE = frozenset({"retries"})

Samples = dict[str, list[tuple[dict[str, str], float]]]


def shown(metric: Count | Level | Spread) -> set[str]:
    """Return the names under which a metric is read."""
    return set(shown_names(metric))


def scrape(service: Trial, wanted: frozenset[str]) -> Samples:
    """Return all samples by name, once there is one of each of these metrics."""
    names = {name for metric in METRICS if metric.name in wanted for name in shown(metric)}
    deadline = time.monotonic() + PATIENCE_S
    while True:
        samples = read(service)
        missing = names - samples.keys()
        if not missing:
            return samples
        assert time.monotonic() < deadline, missing
        time.sleep(0.5)


def read(service: Trial) -> Samples:
    """Return all samples of the service by name."""
    ran = service.facefleet("metrics")
    assert ran.returncode == 0, ran.stderr
    samples: Samples = {}
    for family in text_string_to_metric_families(ran.stdout):
        for sample in family.samples:
            samples.setdefault(sample.name, []).append((sample.labels, sample.value))
    return samples


def total(samples: Samples, name: str, **labels: str) -> float:
    """Return the sum of a name's samples with these labels."""
    return sum(value for has, value in samples[name] if labels.items() <= has.items())
