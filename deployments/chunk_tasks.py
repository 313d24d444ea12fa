"""Chunks of videos in worker processes of Ray, each of which may die without harm to anything else.

    ChunkJob -> a turn among all tasks of this runner -> a worker at rest, or a new one -> record
                                      in the worker: networks opened once, or the pools' handles

Workers are actors of the runner, gone when it is gone. They rest for a while between chunks: a new process
needs seconds until its networks are open. (Workers of plain Ray tasks cannot rest here: Ray lets those go as
soon as the command that deployed the service has ended.)
"""

from __future__ import annotations

import asyncio
import functools
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import cv2
import ray
import structlog
from ray.exceptions import (
    ObjectLostError,
    OutOfMemoryError,
    RayActorError,
    RayError,
    RayTaskError,
)
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from app.logs import configure_logging
from app.settings import load_settings
from app.tasks.faces import shown_attributes
from app.tasks.mask_work import FindJob, WriteAnimationJob, WriteChunkJob
from app.tasks.ports import WorkerDied
from app.tasks.turns import Turns
from deployments.crop_handles import PoolCropNetworks
from deployments.handles import RESTARTING, open_pools
from deployments.networks import open_network, open_reader
from pipelines.errors import DependencyDown, FacefleetError
from pipelines.lane import HereLane, InlineDetector, ThreadLane, give_back_memory
from pipelines.redact.find import find_faces
from pipelines.video.analyze_chunk import ChunkAnalyzer
from pipelines.video.records import write_record

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from app.tasks.mask_work import MaskJob
    from app.tasks.video_work import ChunkJob
    from deployments.args import AppArgs
    from pipelines.ports import Detector, Lane
    from pipelines.read_attributes import FaceReader

#: Frames of one chunk that wait for answers of a pool at the same time.
FRAMES_AT_ONCE = 8
#: A chunk that takes longer than any reasonable machine needs for it will not end.
LONGEST_S, SLOWEST_FACTOR = 1800.0, 40.0
#: How long a count of the cluster's cores is believed.
COUNTED_FOR_S = 10.0
#: How long workers without work keep their networks.
WORKERS_REST_S = 120.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ChunkNetworks:
    """What a worker analyses chunks with: the service's shape, and handles where networks are in pools."""

    args: AppArgs
    detector: Any = None
    attributes: Any = None


class RayChunks:
    """Analyses chunks in Ray tasks, no more at once than there are cores for."""

    def __init__(self, networks: ChunkNetworks) -> None:
        self._networks = networks
        self._args = networks.args.chunks
        self._node = None if self._args.shared_scratch else ray.get_runtime_context().get_node_id()
        self._width = self._args.at_once or 1
        self._counted_at = -COUNTED_FOR_S
        self._turns = Turns(self._room)
        self._resting: list[Any] = []
        self._last_rest = 0.0

    async def run(self, job: ChunkJob | MaskJob) -> bytes:
        """Return the chunk's record, or what came of a mask task's chunk.

        Raises:
            CallerError: the media cannot be used.
            Unavailable: it may be tried again later.
            WorkerDied: the worker is gone, or came to no end.
        """
        async with self._turns.turn(job.owner, job.path):
            worker = self._resting.pop() if self._resting else self._new_worker()
            try:
                record = await asyncio.wait_for(worker.analyse.remote(job), _patience_s(job))
            except RayTaskError as error:
                self._rest(worker)
                if isinstance(error.cause, FacefleetError):
                    raise error.cause from None
                raise
            except (RayActorError, OutOfMemoryError, ObjectLostError) as error:
                message = "the worker of a chunk died"
                raise WorkerDied(message) from error
            except RayError as error:
                ray.kill(worker)
                raise DependencyDown(RESTARTING) from error
            except asyncio.TimeoutError:
                ray.kill(worker)
                message = "the worker of a chunk came to no end"
                raise WorkerDied(message) from None
            except asyncio.CancelledError:
                ray.kill(worker)
                raise
            self._rest(worker)
            return cast("bytes", record)

    def _new_worker(self) -> Any:  # noqa: ANN401 - Ray's handles have no type here
        strategy: Any = None
        if self._node is not None:
            strategy = NodeAffinitySchedulingStrategy(self._node, soft=False)
        remote: Any = ray.remote(
            num_cpus=self._args.num_cpus,
            num_gpus=self._args.num_gpus,
            scheduling_strategy=strategy,
            max_restarts=0,
            max_task_retries=0,
        )(ChunkWorker)
        return remote.remote(self._networks)

    def _rest(self, worker: Any) -> None:  # noqa: ANN401 - as above
        """Keep a worker for the next chunk, and let the one go that has rested for longest by then."""
        self._resting.append(worker)
        self._last_rest = time.monotonic()
        asyncio.get_running_loop().call_later(WORKERS_REST_S, self._let_go)

    def _let_go(self) -> None:
        if time.monotonic() - self._last_rest >= WORKERS_REST_S - 1:
            for worker in self._resting:
                ray.kill(worker)
            self._resting.clear()

    def _room(self) -> int:
        """Return how many chunks may be in work: the cores that can read the files."""
        now = time.monotonic()
        if self._args.at_once is None and now - self._counted_at > COUNTED_FOR_S:
            self._counted_at = now
            cores = sum(
                node["Resources"].get("CPU", 0)
                for node in ray.nodes()
                if node["Alive"] and self._node in {None, node["NodeID"]}
            )
            self._width = max(1, int(cores / max(1.0, self._args.num_cpus)))
        return self._width


def _patience_s(job: ChunkJob | MaskJob) -> float:
    return max(LONGEST_S, SLOWEST_FACTOR * job.work_s)


class ChunkWorker:
    """Works on one chunk after the other in a process of its own."""

    def __init__(self, networks: ChunkNetworks) -> None:
        configure_logging()
        self._networks = networks

    def analyse(self, job: ChunkJob | MaskJob) -> bytes:
        """Return a chunk's record, or what came of a mask task's chunk."""
        begun = time.perf_counter()
        if isinstance(job, (WriteChunkJob, WriteAnimationJob)):
            cv2.setNumThreads(1)
            outcome = job.run()
        else:
            outcome = _in_this_process(_analysed(self._networks, job))
        log.info("chunk done", ms=round((time.perf_counter() - begun) * 1e3), bytes=len(outcome))
        return outcome


async def _analysed(networks: ChunkNetworks, job: ChunkJob | FindJob) -> bytes:
    options = job.options
    lane, detector = await _detector(networks)
    reader = await _reader(networks, lane) if options.attributes else None
    args = networks.args
    analyzer = ChunkAnalyzer(
        detector,
        lane,
        reader,
        partial(shown_attributes, wanted=options.attributes),
        small_side=args.small_side,
        square=args.square,
        at_once=FRAMES_AT_ONCE if networks.detector is not None else 1,
    )
    if isinstance(job, FindJob):
        return await find_faces(analyzer, job.frames, options)
    return write_record([record async for record in analyzer.records(job.frames, options)])


async def _detector(networks: ChunkNetworks) -> tuple[Lane, Detector]:
    if networks.detector is None:
        return _inline(networks.args)
    (pool,) = (await open_pools({"detector": networks.detector})).values()
    return _lane_beside(), pool


async def _reader(networks: ChunkNetworks, lane: Lane) -> FaceReader:
    if networks.attributes is None:
        return _inline_reader(networks.args)
    pool = await PoolCropNetworks.open(networks.attributes)
    return open_reader(networks.args, load_settings(), lane, pool)


@functools.cache
def _lane_beside() -> Lane:
    return ThreadLane(workers=1)


@functools.cache
def _inline(args: AppArgs) -> tuple[Lane, Detector]:
    lane = HereLane()
    detector = InlineDetector(open_network(args.detectors[0], args, load_settings()), lane)
    give_back_memory()
    return lane, detector


@functools.cache
def _inline_reader(args: AppArgs) -> FaceReader:
    reader = open_reader(args, load_settings(), HereLane())
    give_back_memory()
    return reader


@functools.cache
def _loop() -> asyncio.AbstractEventLoop:
    return asyncio.new_event_loop()


def _in_this_process(work: Coroutine[Any, Any, bytes]) -> bytes:
    """Do the work on the one loop of this process, which handles stay bound to."""
    return _loop().run_until_complete(work)
