"""Changes of shape: what goes stays until nobody calls it any more."""

from __future__ import annotations

from typing import Literal

import pytest

from deployments.application import leaving_deployments
from deployments.args import AppArgs, Placement

Where = Literal["ingress", "stage"]
How = Literal["inline", "pool"]


def shape(decode: Where, detector: How, attributes: How = "inline", *detectors: str) -> AppArgs:
    """Return arguments with this placement."""
    placement = Placement(decode=decode, detector=detector, attributes=attributes)
    return AppArgs(placement=placement, detectors=detectors or ("yunet",))


@pytest.mark.parametrize(
    ("running", "wanted", "leaving"),
    [
        ((), shape("ingress", "inline"), ()),
        (("ingress", "tasks"), shape("stage", "pool"), ()),
        (("ingress", "stage", "detector-yunet"), shape("stage", "inline"), ("detector-yunet",)),
        (("ingress", "stage", "attributes"), shape("ingress", "inline"), ("attributes", "stage")),
        (
            ("ingress", "detector-yunet", "detector-scrfd_2.5g"),
            shape("ingress", "pool"),
            ("detector-scrfd_2.5g",),
        ),
    ],
)
def test_what_the_new_shape_lacks_is_leaving(
    running: tuple[str, ...], wanted: AppArgs, leaving: tuple[str, ...]
) -> None:
    """Stages and pools that the new shape does not have, and nothing else."""
    assert leaving_deployments(wanted, running) == leaving


@pytest.mark.parametrize(
    ("leaving", "wanted"),
    [
        (("stage",), shape("ingress", "inline")),
        (("stage",), shape("ingress", "pool")),
        (("attributes", "detector-yunet", "stage"), shape("ingress", "inline")),
        (("detector-scrfd_2.5g",), shape("stage", "pool", "pool")),
        (("detector-scrfd_2.5g", "stage"), shape("ingress", "inline")),
    ],
)
def test_the_shape_before_has_what_is_leaving(leaving: tuple[str, ...], wanted: AppArgs) -> None:
    """What leaves is in the shape before, which has nothing beside it that the new one lacks too."""
    before = wanted.before(leaving).behind_ingress()
    assert set(leaving) <= set(before)
    assert set(before) <= set(leaving) | set(wanted.behind_ingress())
