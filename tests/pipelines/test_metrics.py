"""What the service counts of itself: numbers add up, classes are as Prometheus reads them, names are its."""

from __future__ import annotations

import re

import pytest

from pipelines.metrics import METRICS, Count, Level, Reading, Spread


def as_dict(metric: Count | Level | Spread) -> dict[tuple[str, tuple[str, ...]], float]:
    """Return a metric's readings by name and values of labels."""
    return {(each.name, tuple(value for _, value in each.labels)): each.value for each in metric.readings()}


def test_a_count_adds_up_by_label() -> None:
    """Each set of labels has a sum of its own."""
    eaten = Count("eaten", "Apples.", ("who", "colour"))
    eaten.add(1, "ann", "red")
    eaten.add(2.5, "ann", "red")
    eaten.add(1, "bob", "red")
    assert as_dict(eaten) == {
        ("facefleet_eaten", ("ann", "red")): 3.5,
        ("facefleet_eaten", ("bob", "red")): 1.0,
    }


def test_a_level_is_what_was_said_last() -> None:
    """It may be put and changed, up and down."""
    depth = Level("depth", "Of the lake.")
    depth.put(4)
    depth.change(2)
    depth.change(-5)
    assert list(depth.readings()) == [Reading("facefleet_depth", (), 1.0, grows=False)]


def test_a_spread_tells_classes_sum_and_number() -> None:
    """A class holds everything up to its edge, the edge included; the last one holds all."""
    took = Spread("took", "Time.", ("what",), edges=(1.0, 2.0))
    for value in (0.5, 1.0, 1.5, 9.0):
        took.note(value, "walk")
    assert as_dict(took) == {
        ("facefleet_took_bucket", ("walk", "1")): 2,
        ("facefleet_took_bucket", ("walk", "2")): 3,
        ("facefleet_took_bucket", ("walk", "+Inf")): 4,
        ("facefleet_took_sum", ("walk",)): 12.0,
        ("facefleet_took_count", ("walk",)): 4,
    }


def test_a_label_too_few_is_a_mistake() -> None:
    """A recording whose labels do not fit is found as soon as the numbers are read."""
    eaten = Count("eaten", "Apples.", ("who", "colour"))
    eaten.add(1, "ann")
    with pytest.raises(ValueError, match="zip"):
        list(eaten.readings())


def test_the_services_metrics_have_good_names() -> None:
    """Names are unique, in base units, without what Prometheus adds itself; each is explained."""
    names = [name for metric in METRICS for name in metric.series]
    assert len(set(names)) == len(names)
    for metric in METRICS:
        assert re.fullmatch(r"[a-z]+(_[a-z]+)*", metric.name)
        assert not metric.name.endswith(("_total", "_ms", "_bucket", "_count", "_sum"))
        assert metric.help.endswith(".")
        assert not {"le", "deployment"} & set(metric.labels)
