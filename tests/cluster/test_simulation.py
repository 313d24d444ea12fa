"""The simulation of queue and autoscaler: it loses nothing, grows, shrinks, and shows its bottleneck."""

from __future__ import annotations

from cluster.simulation import Site, burst, simulate


def test_every_task_is_done_once() -> None:
    """What comes is claimed once and done, whatever the autoscaler does meanwhile."""
    site = Site(machines=20, task_s=10)
    seen = simulate(site, [2.0] * 600 + [0.0] * 600)
    assert seen.done == len(seen.waits_s)
    assert seen.queue[-1] == 0
    assert 1000 < seen.done < 1400


def test_machines_come_with_load_and_go_after() -> None:
    """A burst brings machines after they had time to start; quiet takes them away again."""
    site = Site(machines=50, least=2)
    seen = simulate(site, [*burst(50, site), *([0.0] * 3000)])
    assert set(seen.machines[: 600 + int(site.start_s)]) <= {2, 3, 4}
    assert max(seen.machines) > 40
    assert seen.machines[-1] == 2


def test_claims_one_at_a_time_become_the_bottleneck() -> None:
    """With quick tasks on many machines the database's claims set the pace, not the cores."""
    site = Site(machines=300, least=300, task_s=1.0, claim_s=0.005)
    seen = simulate(site, [400.0] * 120)
    assert seen.claiming > 0.99
    assert seen.queue[-1] > 20_000
    slower = simulate(Site(machines=300, least=300, task_s=1.0, claim_s=0.001), [400.0] * 120)
    assert slower.queue[-1] < 1_000


def test_the_same_seed_gives_the_same() -> None:
    """What is written in the documents can be printed again."""
    site = Site(machines=30)
    assert simulate(site, burst(30, site, 0.2)) == simulate(site, burst(30, site, 0.2))
