"""The numbers of a process on their way to the operator: every few seconds to Ray, which shows a node's.

    pipelines.metrics -> a thread of each process -> Ray's agent of the node -> Prometheus

Ray's own instruments take some microseconds for each record, several times what ours do; so what a process
counts is handed over in sums. That is why the classes of times are counters with the label `le`: Ray's
histograms take one value at a time. `histogram_quantile` reads them as it reads any.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Protocol

from ray.util.metrics import Counter, Gauge

from app.logs import log_bug
from pipelines.metrics import EDGE, METRICS, Level, readings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pipelines.metrics import Reading

EVERY_S = 5.0
#: Which deployment a number is from; "worker" for those of chunks.
DEPLOYMENT = "deployment"


class Instruments(Protocol):
    """Takes numbers in."""

    def add(self, name: str, amount: float, labels: dict[str, str]) -> None:
        """Add to a number that grows."""

    def put(self, name: str, value: float, labels: dict[str, str]) -> None:
        """Say what a number is."""


class RayInstruments:
    """Ray's instruments, one for each series' name.

    Args:
        deployment: whose numbers these are.
    """

    def __init__(self, deployment: str) -> None:
        own = {DEPLOYMENT: deployment}
        self._counters: dict[str, Counter] = {}
        self._gauges: dict[str, Gauge] = {}
        for metric in METRICS:
            for name in metric.series:
                keys = (*metric.labels, *([EDGE] if name.endswith("_bucket") else []), DEPLOYMENT)
                if isinstance(metric, Level):
                    self._gauges[name] = Gauge(name, metric.help, keys).set_default_tags(own)
                else:
                    self._counters[name] = Counter(name, metric.help, keys).set_default_tags(own)

    def add(self, name: str, amount: float, labels: dict[str, str]) -> None:
        """Add to a counter."""
        self._counters[name].inc(amount, labels)

    def put(self, name: str, value: float, labels: dict[str, str]) -> None:
        """Set a gauge."""
        self._gauges[name].set(value, labels)


class Exporter:
    """Hands over what was counted since the last time.

    Args:
        instruments: where to.
        read: what there is.
    """

    def __init__(self, instruments: Instruments, read: Callable[[], Iterable[Reading]] = readings) -> None:
        self._instruments = instruments
        self._read = read
        self._told: dict[tuple[str, tuple[tuple[str, str], ...]], float] = {}

    def export(self) -> None:
        """Hand over every number that changed, and every level: those who do not say it are forgotten."""
        for each in self._read():
            if not each.grows:
                self._instruments.put(each.name, each.value, dict(each.labels))
                continue
            key = (each.name, each.labels)
            more = each.value - self._told.get(key, 0.0)
            if more > 0:
                self._instruments.add(each.name, more, dict(each.labels))
                self._told[key] = each.value


def export_metrics(deployment: str, every_s: float = EVERY_S) -> None:
    """Begin to hand over the numbers of this process, for as long as it lives."""
    exporter = Exporter(RayInstruments(deployment))
    threading.Thread(target=_for_ever, args=(exporter, every_s), name="metrics", daemon=True).start()


def _for_ever(exporter: Exporter, every_s: float) -> None:
    while True:
        time.sleep(every_s)
        try:
            exporter.export()
        except Exception as error:  # noqa: BLE001 - figures must not end what they are about
            log_bug("figures could not be handed over", error)
