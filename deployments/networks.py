"""Opens detectors and the analyzer over them, in whichever process they were placed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from models.detectors import find_detector, load_detector
from models.manifest import load_manifest
from models.session import RuntimeOptions
from models.store import Store
from pipelines.analyze_image import IN_WORK, ImageAnalyzer
from pipelines.gate import Gate
from pipelines.lane import InlineDetector, ThreadLane

if TYPE_CHECKING:
    from collections.abc import Mapping

    from app.settings import Settings
    from deployments.args import AppArgs
    from pipelines.ports import Detector, DetectorNetwork

#: Pictures in work in one process whose detectors are in pools: each holds its pixels meanwhile.
FEWEST_FOR_POOL = 8
MOST_FOR_POOL = 32


def open_network(name: str, args: AppArgs, settings: Settings) -> DetectorNetwork:
    """Return the detector, warmed up on this process's device.

    Raises:
        DependencyDown: its weights are not installed, or the device that was asked for does not work.
    """
    network, variant = find_detector(load_manifest(), name)
    path = Store(settings.home / "models", settings.models_dir).path(network, variant)
    limit = args.gpu_mem_limit_mb
    options = RuntimeOptions(
        device=args.device,
        threads=args.threads,
        gpu_mem_limit=None if limit is None else limit * 1024 * 1024,
        cache_dir=settings.home / "cache",
    )
    return load_detector(network, path, options, variant)


def check_networks(args: AppArgs, settings: Settings) -> None:
    """Find out before anything is started whether the detectors can be opened here.

    Raises:
        FacefleetError: there is no such network, its weights are not installed, or the device that was asked
            for does not work; the text tells what to do.
    """
    manifest = load_manifest()
    store = Store(settings.home / "models", settings.models_dir)
    for name in args.detectors:
        store.path(*find_detector(manifest, name))
    if args.device not in {"auto", "cpu"}:
        open_network(args.detectors[0], args, settings)


def open_analyzer(
    args: AppArgs, settings: Settings, max_waiting: int, pools: Mapping[str, Detector] | None = None
) -> ImageAnalyzer:
    """Return the analyzer of this process, with one lane as wide as its threads.

    Args:
        args: the service's shape.
        settings: the operator's settings.
        max_waiting: how many pictures may wait for their turn before more are shed.
        pools: detectors that live elsewhere; None opens every one in this process.
    """
    lane = ThreadLane(workers=1)
    detectors: Mapping[str, Detector] = pools or {
        name: InlineDetector(open_network(name, args, settings), lane) for name in args.detectors
    }
    return ImageAnalyzer(
        detectors,
        args.detectors[0],
        lane,
        small_side=args.small_side,
        square=args.square,
        gate=Gate(_in_work(args) if pools else IN_WORK, max_waiting),
    )


def _in_work(args: AppArgs) -> int:
    """Return how many pictures one process needs in work to keep a pool's batches full."""
    wanted = 2 * args.detector.max_batch_size * args.detector.max_replicas
    return min(max(wanted, FEWEST_FOR_POOL), MOST_FOR_POOL)
