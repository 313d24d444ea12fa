"""The exporter of a process's numbers: each change is handed over once, levels every time."""

from __future__ import annotations

from cluster.metrics_names import RAY_PREFIX
from deployments.metrics import Exporter
from pipelines.metrics import METRICS, Level, Reading
from tests.deployments import scraping

SHAPE = (("shape", "round"),)


class Ledger:
    """Writes down what it is handed."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str, float, dict[str, str]]] = []

    def add(self, name: str, amount: float, labels: dict[str, str]) -> None:
        """Add."""
        self.lines.append(("add", name, amount, labels))

    def put(self, name: str, value: float, labels: dict[str, str]) -> None:
        """Put."""
        self.lines.append(("put", name, value, labels))


def test_only_what_is_new_is_handed_over() -> None:
    """Of what grows the difference, nothing where there is none; of levels the value, even unchanged."""
    numbers = [Reading("eaten", SHAPE, 3.0, grows=True), Reading("depth", (), 7.0, grows=False)]
    ledger = Ledger()
    exporter = Exporter(ledger, lambda: numbers)
    exporter.export()
    assert ledger.lines == [("add", "eaten", 3.0, dict(SHAPE)), ("put", "depth", 7.0, {})]
    ledger.lines.clear()
    exporter.export()
    assert ledger.lines == [("put", "depth", 7.0, {})]
    numbers[0] = Reading("eaten", SHAPE, 5.5, grows=True)
    exporter.export()
    assert ("add", "eaten", 2.5, dict(SHAPE)) in ledger.lines


def test_running_services_are_asked_for_every_series() -> None:
    """Each series is looked for in one of the tests that scrape a real service, or it is said why not."""
    looked_for = scraping.PICTURES | scraping.TASKS | scraping.BATCHES | scraping.LIBRARIES
    every = {metric.name for metric in METRICS}
    assert looked_for | scraping.ONLY_IN_TROUBLE == every
    assert not looked_for & scraping.ONLY_IN_TROUBLE


def test_names_as_prometheus_sees_them() -> None:
    """What Ray makes of a name is known to those who look for it."""
    level = next(metric for metric in METRICS if isinstance(metric, Level))
    assert scraping.shown(level) == {f"{RAY_PREFIX}facefleet_{level.name}"}
