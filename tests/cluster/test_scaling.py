"""Numbers of replicas by hand: how a wish is read, and what comes of it."""

from __future__ import annotations

from typing import Any

import pytest

from cluster.scaling import BadWish, Wish, read_wish, scaled
from deployments.args import AppArgs

SPREAD = {"decode": "stage", "detector": "pool", "attributes": "inline"}


def config(**args: Any) -> dict[str, Any]:  # noqa: ANN401 - any argument
    """Return a configuration with these arguments."""
    return {"applications": [{"name": "facefleet", "args": args}]}


@pytest.mark.parametrize(
    ("text", "wish"),
    [
        ("ingress=4", Wish("ingress", (4, 4))),
        ("stage=2-8", Wish("stage", (2, 8))),
        ("tasks=auto", Wish("tasks", None)),
        ("detector-scrfd_2.5g=3", Wish("detector", (3, 3))),
    ],
)
def test_wishes_are_read(text: str, wish: Wish) -> None:
    """A number, a range, or what the shape says; pools of detectors share theirs."""
    assert read_wish(text) == wish


@pytest.mark.parametrize("text", ["ingress", "ingress=", "ingress=0", "ingress=5-2", "=3", "ingress=-1"])
def test_what_makes_no_sense_is_refused(text: str) -> None:
    """In words that have the word in them."""
    with pytest.raises(BadWish, match=text or "="):
        read_wish(text)


def test_a_wish_stays_until_it_is_taken_back() -> None:
    """Later wishes for other parts keep earlier ones; `auto` is the shape's own number."""
    shape = config(placement=SPREAD, ingress={"min_replicas": 2, "max_replicas": 2, "num_cpus": 0.5})
    one = scaled(shape, shape, [read_wish("ingress=5")], has_gpu=False)
    two = scaled(shape, one, [read_wish("stage=1-3")], has_gpu=False)
    args = AppArgs.model_validate(two["applications"][0]["args"])
    assert (args.ingress.min_replicas, args.ingress.max_replicas, args.ingress.num_cpus) == (5, 5, 0.5)
    assert (args.stage.min_replicas, args.stage.max_replicas) == (1, 3)
    back = scaled(shape, two, [read_wish("ingress=auto"), read_wish("stage=auto")], has_gpu=False)
    assert AppArgs.model_validate(back["applications"][0]["args"]) == AppArgs.model_validate(
        shape["applications"][0]["args"]
    )


@pytest.mark.parametrize(("text", "has_gpu", "fits"), [("stage=2", False, False), ("stage=2", True, True)])
def test_only_what_runs_can_be_scaled(text: str, has_gpu: bool, fits: bool) -> None:  # noqa: FBT001
    """With `auto` the cluster's GPUs decide what there is."""
    shape = config(placement={"decode": "auto", "detector": "auto", "attributes": "auto"})
    if fits:
        assert scaled(shape, shape, [read_wish(text)], has_gpu=has_gpu)
    else:
        with pytest.raises(BadWish, match=r"what does: ingress, tasks$"):
            scaled(shape, shape, [read_wish(text)], has_gpu=has_gpu)
