"""Dashboards and alerts: every figure in them exists, every query can be read, every alert is explained."""

from __future__ import annotations

import json
import re
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import promql_parser
import pytest
import yaml

from cluster.metrics_names import shown_names
from cluster.monitoring import dashboards
from pipelines.metrics import METRICS

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
MONITORING = ROOT / "cluster" / "monitoring"
RULES = [
    rule
    for group in yaml.safe_load((MONITORING / "alerts.yaml").read_text())["groups"]
    for rule in group["rules"]
]
QUERIES = [
    query.expression
    for dashboard in dashboards.DASHBOARDS
    for panel in dashboard.panels
    for query in panel.queries
]
#: Labels that Ray and the exporter put on every series of ours.
EVERYWHERE = {"deployment", "NodeAddress", "WorkerId", "le"}
OURS = {name: set(metric.labels) for metric in METRICS for name in shown_names(metric)}


def selectors(query: str) -> list[tuple[str, set[str]]]:
    """Return the series that a query reads, each with the labels it is picked by."""
    found: list[tuple[str, set[str]]] = []

    def visit(node: Any) -> None:  # noqa: ANN401 - the parser has no types
        if isinstance(node, promql_parser.VectorSelector):
            found.append((str(node.name), {each.name for each in node.matchers.matchers}))
        parts = [getattr(node, name, None) for name in ("expr", "lhs", "rhs", "vector_selector", "param")]
        for part in [*parts, *(getattr(node, "args", None) or ())]:
            if isinstance(part, (promql_parser.Expr, promql_parser.VectorSelector)):
                visit(part)

    visit(promql_parser.parse(query.replace("$__rate_interval", "5m")))
    assert found, query
    return found


def grouped_by(query: str) -> set[str]:
    """Return the labels that a query groups by."""
    lists = re.findall(r"\bby \(([^)]*)\)", query)
    return {label.strip() for each in lists for label in each.split(",")}


@pytest.fixture(scope="module")
def ray_names() -> set[str]:
    """Return every string of Ray's own sources that may name a figure, in quotes."""
    spec = find_spec("ray")
    assert spec is not None
    assert spec.origin is not None
    ray = Path(spec.origin).parent
    files = [*ray.glob("serve/_private/**/*.py"), *ray.glob("dashboard/modules/reporter/*.py")]
    return {name for file in files for name in re.findall(r'"[a-z_]+"', file.read_text())}


def _names() -> Iterator[str]:
    return iter([*QUERIES, *(rule["expr"] for rule in RULES)])


@pytest.mark.parametrize("query", list(_names()))
def test_every_figure_of_a_query_exists(query: str, ray_names: set[str]) -> None:
    """Ours is one that the code counts, with labels that it has; Ray's stands in Ray's sources."""
    for name, picked in selectors(query):
        if name.startswith("ray_facefleet_"):
            assert name in OURS, name
            assert picked | grouped_by(query) <= OURS[name] | EVERYWHERE, query
        else:
            plain = name.removeprefix("ray_")
            assert {f'"{plain}"', f'"{plain.removesuffix("_total")}"'} & ray_names, name


def test_a_figure_that_is_not_there_is_noticed() -> None:
    """The check would fail for a name that nobody counts."""
    ((name, picked),) = selectors('rate(ray_facefleet_dogs_total{colour="red"}[5m])')
    assert (name, picked) == ("ray_facefleet_dogs_total", {"colour"})
    assert name not in OURS


def test_every_figure_is_shown_somewhere() -> None:
    """What is counted is on a dashboard, or in an alert."""
    read = {name for query in _names() for name, _ in selectors(query)}
    hidden = {metric.name for metric in METRICS if not read & set(shown_names(metric))}
    assert hidden == {"webhook_seconds"}


@pytest.mark.parametrize("path", dashboards.files(), ids=lambda path: path.name)
def test_dashboard_files_are_as_written(path: Path) -> None:
    """The files are what `python -m cluster.monitoring.dashboards` writes, in a form that Grafana imports."""
    assert path.read_text() == dashboards.files()[path]
    made = json.loads(path.read_text())
    assert {"uid", "title", "schemaVersion", "panels"} <= set(made)
    numbers = [panel["id"] for panel in made["panels"]]
    assert len(set(numbers)) == len(numbers)
    for panel in made["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        assert panel["description"].endswith(".")
        assert all(target["expr"] for target in panel["targets"])


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_every_alert_has_a_section(rule: dict[str, Any]) -> None:
    """The runbook tells what to do; the rule says how bad it is and what in a line."""
    sections = re.findall(r"^## (\w+)$", (ROOT / "docs" / "runbook.md").read_text(), re.MULTILINE)
    assert sections.count(rule["alert"]) == 1
    assert rule["labels"]["severity"] in {"page", "ticket"}
    assert rule["annotations"]["summary"]


def test_the_runbook_has_no_section_too_many() -> None:
    """A section without an alert would never be read."""
    sections = re.findall(r"^## (\w+)$", (ROOT / "docs" / "runbook.md").read_text(), re.MULTILINE)
    assert set(sections) == {rule["alert"] for rule in RULES}


def test_every_figure_is_documented() -> None:
    """The table of docs/metrics.md has each figure with its labels and its meaning."""
    text = (ROOT / "docs" / "metrics.md").read_text()
    for metric in METRICS:
        (row,) = [line for line in text.splitlines() if f"`{shown_names(metric)[0]}`" in line]
        assert metric.help in row
        assert all(f"`{label}`" in row for label in metric.labels)
