"""What the service's numbers are called where Prometheus reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipelines.metrics import Level

if TYPE_CHECKING:
    from pipelines.metrics import Count, Spread

#: What Ray puts before every name.
RAY_PREFIX = "ray_"


def shown_names(metric: Count | Level | Spread) -> tuple[str, ...]:
    """Return the names of a metric's series; Prometheus ends those that grow with `_total`."""
    end = "" if isinstance(metric, Level) else "_total"
    return tuple(f"{RAY_PREFIX}{name}{end}" for name in metric.series)
