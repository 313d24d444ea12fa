"""Chunks of videos in worker processes of Ray, each of which may die without harm to anything else.

    ChunkJob -> a turn among all tasks of this runner -> a worker at rest, or a new one -> record
                                      in the worker: networks opened once, or the pools' handles

Workers are actors of the runner, gone when it is gone. They rest for a while between chunks: a new process
needs seconds until its networks are open. (Workers of plain Ray tasks cannot rest here: Ray lets those go as
soon as the command that deployed the service has ended.)
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, cast

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

from app.logs import configure_logging, current_request_id, traced
from app.settings import load_settings
from app.tasks.faces import shown_attributes
from app.tasks.mask_jobs import FindJob, WriteAnimationJob, WriteChunkJob
from app.tasks.ports import WorkerDied
from app.tasks.turns import Turns
from deployments.crop_handles import PoolCropNetworks
from deployments.handles import RESTARTING, open_pools
from deployments.metrics import export_metrics
from deployments.networks import open_embedder, open_network, open_reader
from pipelines.errors import DependencyDown, FacefleetError
from pipelines.lane import HereLane, InlineDetector, ThreadLane, give_back_memory
from pipelines.metrics import CHUNK_SECONDS
from pipelines.redact.find import find_faces
from pipelines.video.analyze_chunk import ChunkAnalyzer
from pipelines.video.records import write_record

if TYPE_CHECKING:
    from app.tasks.mask_jobs import MaskJob
    from app.tasks.video_work import ChunkJob
    from deployments.args import AppArgs
    from pipelines.embed_faces import FaceEmbedder
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
            worker = await self._worker()
            try:
                record = await asyncio.wait_for(
                    worker.analyse.remote(job, current_request_id()), _patience_s(job)
                )
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

    async def _worker(self) -> Any:  # noqa: ANN401 - Ray's handles have no type here
        """Return a worker that lives: who died at rest did not die of the chunk that comes next."""
        while self._resting:
            worker = self._resting.pop()
            with suppress(RayActorError):
                await worker.is_there.remote()
                return worker
        return self._new_worker()

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
        """Keep a worker for the next chunk; all are let go once there was none for long."""
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
    """A process that works on one chunk after the other.

    It has no coroutines: Ray would run all of it on a loop of its own, in which no other can be run.
    """

    def __init__(self, networks: ChunkNetworks) -> None:
        self._analyst = ChunkAnalyst(networks)

    def is_there(self) -> None:
        """Answer, as only the living do."""

    def analyse(self, job: ChunkJob | MaskJob, request_id: str | None = None) -> bytes:
        """Return a chunk's record, or what came of a mask task's chunk."""
        with traced(request_id):
            return self._analyst.analyse(job)


class ChunkAnalyst:
    """Does the work; networks are opened when first asked for."""

    def __init__(self, networks: ChunkNetworks) -> None:
        configure_logging()
        export_metrics("worker")
        self._networks = networks
        #: The one loop of this process, which handles stay bound to.
        self._loop = asyncio.new_event_loop()
        self._lane: Lane = HereLane() if networks.detector is None else ThreadLane(workers=1)
        self._detector: Detector | None = None
        self._reader: FaceReader | None = None
        self._embedder: FaceEmbedder | None = None

    def analyse(self, job: ChunkJob | MaskJob) -> bytes:
        """Return a chunk's record, or what came of a mask task's chunk."""
        begun = time.perf_counter()
        if isinstance(job, (WriteChunkJob, WriteAnimationJob)):
            outcome = job.run()
        else:
            outcome = self._loop.run_until_complete(self._analysed(job))
        took_s = time.perf_counter() - begun
        CHUNK_SECONDS.note(took_s, type(job).__name__.removesuffix("Job").lower())
        log.info("chunk done", ms=round(took_s * 1e3), bytes=len(outcome))
        return outcome

    async def _analysed(self, job: ChunkJob | FindJob) -> bytes:
        args, options = self._networks.args, job.options
        if self._detector is None:
            self._detector = await self._open_detector()
        if options.attributes and self._reader is None:
            self._reader = await self._open_reader()
        if options.embed and self._embedder is None:
            self._embedder = await self._open_embedder()
        analyzer = ChunkAnalyzer(
            self._detector,
            self._lane,
            self._reader if options.attributes else None,
            partial(shown_attributes, wanted=options.attributes),
            small_side=args.small_side,
            square=args.square,
            at_once=FRAMES_AT_ONCE if self._networks.detector is not None else 1,
            embedder=self._embedder if options.embed else None,
        )
        if isinstance(job, FindJob):
            return await find_faces(analyzer, job.frames, options)
        return write_record([record async for record in analyzer.records(job.frames, options)])

    async def _open_detector(self) -> Detector:
        if self._networks.detector is not None:
            (pool,) = (await open_pools({"detector": self._networks.detector})).values()
            return pool
        args = self._networks.args
        network = open_network(args.detectors[0], args, load_settings())
        give_back_memory()
        return InlineDetector(network, self._lane)

    async def _open_reader(self) -> FaceReader:
        pool = await self._open_pool()
        reader = open_reader(self._networks.args, load_settings(), self._lane, pool)
        give_back_memory()
        return reader

    async def _open_embedder(self) -> FaceEmbedder:
        pool = await self._open_pool()
        embedder = open_embedder(self._networks.args, load_settings(), self._lane, pool)
        give_back_memory()
        return embedder

    async def _open_pool(self) -> PoolCropNetworks | None:
        handle = self._networks.attributes
        return None if handle is None else await PoolCropNetworks.open(handle)
