"""Runners by backlog: what the policy makes of what runners tell."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from ray.serve.config import AutoscalingConfig, AutoscalingPolicy

from deployments.backlog import OPEN, POLICY, BacklogPolicy, unfinished_tasks
from pipelines.metrics import TASKS_RUNNING, TASKS_WAITING


@pytest.mark.parametrize(
    ("told", "replicas"),
    [
        ({}, 3.0),
        ({OPEN: {}}, 3.0),
        ({OPEN: {"a": 0.0}}, 0.0),
        ({OPEN: {"a": 8.0}}, 2.0),
        ({OPEN: {"a": 8.0, "b": 30.0}}, 7.5),
    ],
    ids=["none knows", "none told", "nothing waits", "one told", "the newest counts"],
)
def test_replicas_by_what_waits(told: dict[str, dict[str, float]], replicas: float) -> None:
    """Four tasks for each; where nobody knows it stays as it is."""
    context = SimpleNamespace(aggregated_metrics=told, target_num_replicas=3)
    assert BacklogPolicy(per_replica=4)(context) == (replicas, {})


def test_serve_finds_the_policy() -> None:
    """The name and the arguments that the application gives make the policy."""
    policy = AutoscalingPolicy(policy_function=POLICY, policy_kwargs={"per_replica": 4.0})
    config = AutoscalingConfig(min_replicas=1, max_replicas=4, policy=policy)
    config.policy.serialize_policy()
    assert config.policy.get_policy() is BacklogPolicy


def test_a_runner_tells_what_it_read() -> None:
    """Waiting and running tasks together."""
    TASKS_WAITING.put(5)
    TASKS_RUNNING.put(2)
    assert unfinished_tasks() == {OPEN: 7}
