"""Grafana's panels and dashboards as they are written into files: rows of graphs, each of a few queries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

WIDTH: Final = 24
HEIGHT: Final = 8
#: The version of Grafana's dashboard format that these keep to.
SCHEMA: Final = 39
SOURCE: Final = {"type": "prometheus", "uid": "${source}"}


@dataclass(frozen=True, slots=True)
class Query:
    """What is asked of Prometheus, and what the lines are called."""

    expression: str
    legend: str = ""


@dataclass(frozen=True, slots=True)
class Panel:
    """A graph.

    Attributes:
        title: above it.
        unit: one of Grafana's: `reqps`, `s`, `short`, `percentunit`, `bytes`.
        queries: what it shows.
        about: what an operator reads from it.
    """

    title: str
    unit: str
    queries: tuple[Query, ...]
    about: str


@dataclass(frozen=True, slots=True)
class Dashboard:
    """A page of graphs, in rows."""

    uid: str
    title: str
    rows: tuple[tuple[Panel, ...], ...]

    @property
    def panels(self) -> tuple[Panel, ...]:
        """List all graphs."""
        return tuple(panel for row in self.rows for panel in row)


def dashboard_json(dashboard: Dashboard) -> dict[str, Any]:
    """Return a dashboard as Grafana imports it."""
    panels: list[dict[str, Any]] = []
    for down, row in enumerate(dashboard.rows):
        width = WIDTH // len(row)
        for across, panel in enumerate(row):
            place = {"x": across * width, "y": down * HEIGHT, "w": width, "h": HEIGHT}
            panels.append(_panel_json(panel, len(panels) + 1, place))
    return {
        "uid": dashboard.uid,
        "title": dashboard.title,
        "tags": ["facefleet"],
        "schemaVersion": SCHEMA,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "templating": {
            "list": [
                {"name": "source", "label": "Prometheus", "type": "datasource", "query": "prometheus"},
            ]
        },
        "panels": panels,
    }


def _panel_json(panel: Panel, number: int, place: dict[str, int]) -> dict[str, Any]:
    return {
        "id": number,
        "type": "timeseries",
        "title": panel.title,
        "description": panel.about,
        "datasource": SOURCE,
        "gridPos": place,
        "fieldConfig": {
            "defaults": {"unit": panel.unit, "min": 0, "custom": {"lineWidth": 2, "fillOpacity": 10}},
            "overrides": [],
        },
        "options": {
            "legend": {"displayMode": "list", "placement": "bottom"},
            "tooltip": {"mode": "multi", "sort": "desc"},
        },
        "targets": [
            {
                "refId": chr(ord("A") + index),
                "datasource": SOURCE,
                "expr": query.expression,
                "legendFormat": query.legend,
            }
            for index, query in enumerate(panel.queries)
        ],
    }
