"""A simulation, not a measurement: queue, claims, autoscaler and machines up to a thousand of them.

    python -m cluster.simulation

Second by second: tasks come, runners claim them, of whom the database lets one at a time, machines work
on what they hold, the autoscaler looks at what waits, and a machine that it asks for is there after a while.
What a task costs and how fast claims go are given; the rest follows. It answers what cannot be tried on a
desk: where the queue itself becomes the bottleneck, and how long a burst waits.
"""

from __future__ import annotations

import math
import random
import sys
from collections import deque
from dataclasses import dataclass, field
from typing import Final

STEP_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Site:
    """What is simulated.

    Attributes:
        machines: at most.
        least: machines that are always there.
        slots: tasks that a machine works on at once, each with a core of its own.
        task_s: seconds that a core needs for a task, on the mean; single tasks differ a lot.
        claim_s: seconds that the database is busy with one claim.
        start_s: seconds until a machine that was asked for works.
        look_every_s: how often the autoscaler looks.
        idle_s: how long a machine stays without work.
    """

    machines: int
    least: int = 1
    slots: int = 4
    task_s: float = 55.0
    claim_s: float = 0.005
    start_s: float = 90.0
    look_every_s: float = 5.0
    idle_s: float = 300.0


@dataclass(slots=True)
class Seen:
    """What came of it.

    Attributes:
        done: tasks.
        waits_s: how long each waited for its claim.
        machines: that were there, second by second.
        queue: that waited, second by second.
        claiming: the share of time in which the database was busy with claims.
    """

    done: int = 0
    waits_s: list[float] = field(default_factory=list)
    machines: list[int] = field(default_factory=list)
    queue: list[int] = field(default_factory=list)
    claiming: float = 0.0

    def wait_s(self, share: float) -> float:
        """Return the wait that this share of tasks stayed under."""
        ordered = sorted(self.waits_s)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


def simulate(site: Site, arrivals_per_s: list[float], seed: int = 1) -> Seen:
    """Run a site through these seconds.

    Args:
        site: what there is.
        arrivals_per_s: tasks that come, on the mean, in each second.
        seed: of chance.
    """
    chance = random.Random(seed)  # noqa: S311 - nothing is kept secret
    seen = Seen()
    waiting: deque[float] = deque()
    running: list[list[float]] = [[] for _ in range(site.least)]
    idle_since = [0.0] * site.least
    coming: deque[float] = deque()
    busy_s = 0.0
    for second, rate in enumerate(arrivals_per_s):
        now = second * STEP_S
        waiting.extend([now] * _poisson(chance, rate))
        while coming and coming[0] <= now:
            coming.popleft()
            running.append([])
            idle_since.append(now)
        for number, ends in enumerate(running):
            left = [end for end in ends if end > now]
            seen.done += len(ends) - len(left)
            running[number] = left
            if left:
                idle_since[number] = now
        free = [number for number, ends in enumerate(running) for _ in range(site.slots - len(ends))]
        chance.shuffle(free)
        claims = min(len(waiting), len(free), int(STEP_S / site.claim_s))
        busy_s += claims * site.claim_s
        for number in free[:claims]:
            seen.waits_s.append(now - waiting.popleft())
            running[number].append(now + chance.expovariate(1 / site.task_s))
            idle_since[number] = now
        if second % int(site.look_every_s) == 0:
            held = sum(map(len, running))
            wanted = min(site.machines, max(site.least, math.ceil((held + len(waiting)) / site.slots)))
            coming.extend([now + site.start_s] * (wanted - len(running) - len(coming)))
            for number in reversed(range(len(running))):
                if len(running) > max(wanted, site.least) and now - idle_since[number] > site.idle_s:
                    del running[number], idle_since[number]
        seen.machines.append(len(running))
        seen.queue.append(len(waiting))
    seen.claiming = busy_s / (len(arrivals_per_s) * STEP_S)
    return seen


def _poisson(chance: random.Random, mean: float) -> int:
    """Return how many come where so many come on the mean."""
    if mean > 50:  # noqa: PLR2004 - beyond, the normal distribution is as good
        return max(0, round(chance.gauss(mean, math.sqrt(mean))))
    limit, product, count = math.exp(-mean), chance.random(), 0
    while product > limit:
        product *= chance.random()
        count += 1
    return count


def burst(machines: int, site: Site, hours: float = 1.0) -> list[float]:
    """Return ten quiet minutes, then as much as nine tenths of all machines can do, for some hours."""
    full = machines * site.slots / site.task_s
    return [0.02 * full] * 600 + [0.9 * full] * int(3600 * hours)


def main() -> None:
    """Print what becomes of a burst on sites of several sizes."""
    say = sys.stdout.write
    say("SIMULATION, not measured: a burst of 90 % of what all machines can do, for an hour\n")
    say("machines  tasks/s  tasks done  waits s: p50   p95   p99  machines there  database busy claiming\n")
    for machines in (10, 100, 300, 1000):
        site = Site(machines, least=max(1, machines // 20))
        seen = simulate(site, burst(machines, site))
        rate = 0.9 * machines * site.slots / site.task_s
        waits = " ".join(f"{seen.wait_s(share):5.0f}" for share in (0.5, 0.95, 0.99))
        say(f"{machines:8} {rate:8.1f} {seen.done:11}       {waits}")
        say(f"{max(seen.machines):16} {seen.claiming:23.0%}\n")


if __name__ == "__main__":
    main()
