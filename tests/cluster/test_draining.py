"""Which node `facefleet drain` means."""

from __future__ import annotations

from typing import Any

import pytest

from cluster.draining import find_node, with_draining
from cluster.local import ServiceProblem


def node(name: str, *, head: bool = False, alive: bool = True) -> dict[str, Any]:
    """Return what Ray tells of a node."""
    return {
        "NodeID": f"{name}0123",
        "NodeName": name,
        "NodeManagerHostname": f"{name}.test",
        "NodeManagerAddress": "10.0.0.1",
        "Alive": alive,
        "Resources": {"node:__internal_head__": 1.0} if head else {"CPU": 2.0},
    }


NODES = [node("one", head=True), node("two"), node("three"), node("four", alive=False)]


@pytest.mark.parametrize("name", ["two", "two.test", "two01"])
def test_a_node_is_known_by_its_names(name: str) -> None:
    """Its name, its host and the beginning of its id mean it."""
    assert find_node(NODES, name)["NodeName"] == "two"


@pytest.mark.parametrize(
    ("name", "words"),
    [("five", "no node is"), ("four", "no node is"), ("10.0.0.1", "several nodes"), ("one", "the head")],
)
def test_no_other_node_is_taken_out(name: str, words: str) -> None:
    """One that is not there, one of several, and the head are refused, in words."""
    with pytest.raises(ServiceProblem, match=words):
        find_node(NODES, name)


def test_the_shape_stays_but_for_the_work_that_it_takes() -> None:
    """Draining and its undoing leave every other argument as it was."""
    shape = {"applications": [{"name": "facefleet", "args": {"threads": 2}}]}
    drained = with_draining(shape, draining=True)
    assert drained["applications"][0]["args"] == {"threads": 2, "draining": True}
    assert with_draining(drained, draining=False)["applications"][0]["args"] == {
        "threads": 2,
        "draining": False,
    }
