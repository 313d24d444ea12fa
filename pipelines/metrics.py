"""What the service counts and measures of itself, in the memory of each process.

    REQUESTS.add(1, "detect", "200")    STAGE_SECONDS.note(0.012, "decode")    TASKS_WAITING.put(3)
        -> numbers of this process -> `readings()` -> whoever shows them to the operator's tools

Recording is a few additions and takes no lock, because every request passes here; two threads that record the
same thing in the same instant may count it once. Labels have few values, all of them from the code: no
keys, addresses, names or ids of tasks, people or libraries.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field
from itertools import accumulate
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Iterator

    Labels = tuple[str, ...]

#: Upper edges of the classes that times in seconds fall into.
QUICK = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
SLOW = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0)
FEW = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)
#: The label that tells a class by its upper edge.
EDGE = "le"
PREFIX = "facefleet_"


@dataclass(frozen=True, slots=True)
class Reading:
    """A number as it is now.

    Attributes:
        name: of the series.
        labels: names and values.
        value: since the process began, where `grows`.
        grows: whether it only ever grows.
    """

    name: str
    labels: tuple[tuple[str, str], ...]
    value: float
    grows: bool


@dataclass(frozen=True, slots=True, eq=False)
class _Number:
    """A number for each set of labels."""

    name: str
    help: str
    labels: Labels = ()
    _values: dict[Labels, float] = field(default_factory=dict)
    grows: ClassVar[bool]

    @property
    def series(self) -> tuple[str, ...]:
        """List the names of its series."""
        return (PREFIX + self.name,)

    def readings(self) -> Iterator[Reading]:
        """Yield what it is now."""
        for labels, value in list(self._values.items()):
            yield Reading(PREFIX + self.name, _named(self.labels, labels), value, self.grows)


class Count(_Number):
    """Something that is counted."""

    __slots__ = ()
    grows = True

    def add(self, amount: float, *labels: str) -> None:
        """Add to what was counted under these labels."""
        self._values[labels] = self._values.get(labels, 0.0) + amount


class Level(_Number):
    """Something that is as it is."""

    __slots__ = ()
    grows = False

    def put(self, value: float, *labels: str) -> None:
        """Say how it is now."""
        self._values[labels] = value

    def change(self, amount: float, *labels: str) -> None:
        """Say how much it is more than before."""
        self._values[labels] = self._values.get(labels, 0.0) + amount


@dataclass(frozen=True, slots=True, eq=False)
class Spread:
    """Something that is measured again and again: how many times, in sum, and in classes of size."""

    name: str
    help: str
    labels: Labels = ()
    edges: tuple[float, ...] = QUICK
    #: How many there were in each class, and at the end the sum of all.
    _values: dict[Labels, list[float]] = field(default_factory=dict)

    def note(self, value: float, *labels: str) -> None:
        """Note one measurement."""
        values = self._values.get(labels)
        if values is None:
            values = self._values[labels] = [0.0] * (len(self.edges) + 2)
        values[bisect_left(self.edges, value)] += 1
        values[-1] += value

    @property
    def series(self) -> tuple[str, ...]:
        """List the names of its series."""
        return tuple(f"{PREFIX}{self.name}_{part}" for part in ("bucket", "sum", "count"))

    def readings(self) -> Iterator[Reading]:
        """Yield what was measured so far; each class holds those below it, as Prometheus wants them."""
        bucket, total, count = self.series
        edges = [*(f"{edge:g}" for edge in self.edges), "+Inf"]
        for given, values in list(self._values.items()):
            labels = _named(self.labels, given)
            sums = list(accumulate(values[:-1]))
            for edge, number in zip(edges, sums, strict=True):
                yield Reading(bucket, (*labels, (EDGE, edge)), number, grows=True)
            yield Reading(total, labels, values[-1], grows=True)
            yield Reading(count, labels, sums[-1], grows=True)


def _named(names: Labels, values: Labels) -> tuple[tuple[str, str], ...]:
    return tuple(zip(names, values, strict=True))


REQUESTS = Count("requests", "Requests that were answered, by kind and status.", ("kind", "status"))
REQUEST_SECONDS = Spread(
    "request_seconds", "Time from a request's arrival to the end of its answer.", ("kind",)
)
REQUESTS_IN_WORK = Level("requests_in_work", "Requests that an ingress replica holds now.")
STAGE_SECONDS = Spread("stage_seconds", "Time of each stage of a picture that ran.", ("stage",))
FACES = Count("faces", "Faces that were found, by what they were found in.", ("source",))
FRAMES = Count("frames", "Frames of videos and animations that were looked at.")
BATCH_SIZE = Spread("batch_size", "Requests that ran together in a pool.", ("pool",), FEW)
CHUNK_SECONDS = Spread("chunk_seconds", "Time that a worker had a chunk of a video.", ("work",), SLOW)
TASKS_ENDED = Count("tasks_ended", "Tasks that a runner ended.", ("type", "status"))
TASKS_TAKEN = Count("tasks_taken", "Tasks that a runner took up; those taken over count again.", ("type",))
TASKS_WAITING = Level("tasks_waiting", "Tasks in the queue.")
TASKS_RUNNING = Level("tasks_running", "Tasks that runners have.")
OLDEST_TASK_SECONDS = Level("oldest_task_seconds", "How long the oldest task in the queue has waited.")
LEASES_LOST = Count("leases_lost", "Tasks that were given up because they are another's, or nobody's.")
WORKERS_DIED = Count("workers_died", "Workers that died over a chunk.")
RETRIES = Count("retries", "Steps that were done again because a part was away.", ("what",))
WEBHOOK_ATTEMPTS = Count("webhook_attempts", "Attempts to deliver a webhook, by outcome.", ("outcome",))
WEBHOOK_SECONDS = Spread("webhook_seconds", "Time that an attempt took.", (), SLOW)
WEBHOOK_LAG_SECONDS = Spread(
    "webhook_lag_seconds", "Time from a task's end to the first attempt to tell of it.", (), SLOW
)
WEBHOOKS_DUE = Level("webhooks_due", "Webhooks whose time has come.")
OLDEST_WEBHOOK_SECONDS = Level("oldest_webhook_seconds", "How long the oldest due webhook has been due.")
GALLERY_SEARCHES = Count(
    "gallery_searches", "Searches by whether the library was here: ready, updated, loaded.", ("library",)
)
GALLERY_BYTES = Level("gallery_bytes", "Memory of the libraries that a process holds.")

METRICS: tuple[Count | Level | Spread, ...] = (
    REQUESTS,
    REQUEST_SECONDS,
    REQUESTS_IN_WORK,
    STAGE_SECONDS,
    FACES,
    FRAMES,
    BATCH_SIZE,
    CHUNK_SECONDS,
    TASKS_ENDED,
    TASKS_TAKEN,
    TASKS_WAITING,
    TASKS_RUNNING,
    OLDEST_TASK_SECONDS,
    LEASES_LOST,
    WORKERS_DIED,
    RETRIES,
    WEBHOOK_ATTEMPTS,
    WEBHOOK_SECONDS,
    WEBHOOK_LAG_SECONDS,
    WEBHOOKS_DUE,
    OLDEST_WEBHOOK_SECONDS,
    GALLERY_SEARCHES,
    GALLERY_BYTES,
)


def readings() -> Iterator[Reading]:
    """Yield every number of this process."""
    for metric in METRICS:
        yield from metric.readings()
