"""Opens detectors and the analyzer over them, in whichever process they were placed."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import TYPE_CHECKING

from app.libraries.opening import EmbeddingModel
from models.attribute_networks import load_attribute_network, reading_of
from models.calibrate import calibration_of
from models.detectors import find_detector, load_detector
from models.embedder import load_embedder
from models.errors import WeightsMissing
from models.manifest import load_manifest
from models.session import RuntimeOptions
from models.store import Store
from pipelines.analyze_image import IN_WORK, ImageAnalyzer
from pipelines.embed_faces import CropEmbedder, space_of
from pipelines.errors import DependencyDown
from pipelines.gate import Gate
from pipelines.lane import InlineDetector, ThreadLane, give_back_memory
from pipelines.read_attributes import FaceReader, InlineCropNetworks, told_by

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy as np
    from numpy.typing import NDArray

    from app.settings import Settings
    from deployments.args import AppArgs
    from pipelines.attributes import Attribute
    from pipelines.embed_faces import EmbeddedFaces, FaceEmbedder
    from pipelines.faces import Faces
    from pipelines.ports import CropNetwork, CropNetworks, Detector, DetectorNetwork, Lane

#: Pictures in work in one process whose detectors are in pools: each holds its pixels meanwhile.
FEWEST_FOR_POOL = 8
MOST_FOR_POOL = 32
#: How long a network is kept that is seldom asked.
REST_S = 120.0

log = logging.getLogger(__name__)


def open_network(name: str, args: AppArgs, settings: Settings) -> DetectorNetwork:
    """Return the detector, warmed up on this process's device.

    Raises:
        DependencyDown: its weights are not installed, or the device that was asked for does not work.
    """
    network, variant = find_detector(load_manifest(), name)
    path = Store(settings.home / "models", settings.models_dir).path(network, variant)
    return load_detector(network, path, _runtime(args, settings), variant)


def open_attribute_networks(args: AppArgs, settings: Settings) -> list[CropNetwork]:
    """Return the networks that tell what faces show, warmed up on this process's device.

    One whose weights are not installed is left out: faces are found without it, and who asks for what it
    tells is told which command installs it.

    Raises:
        DependencyDown: the device that was asked for does not work.
    """
    manifest, store = load_manifest(), Store(settings.home / "models", settings.models_dir)
    found = []
    for name in args.attribute_networks:
        network = manifest[name]
        try:
            path = store.path(network)
        except WeightsMissing as missing:
            log.warning("attributes: %s", missing)
            continue
        found.append(load_attribute_network(network, path, _runtime(args, settings)))
    return found


def open_crop_networks(args: AppArgs, settings: Settings) -> list[CropNetwork]:
    """Return all networks that look at faces' crops: those for attributes, and the one for recognition.

    Raises:
        DependencyDown: the device that was asked for does not work.
    """
    networks = open_attribute_networks(args, settings)
    if args.embedding_network is not None:
        try:
            networks.append(_load_embedder(args.embedding_network, args, settings))
        except WeightsMissing as missing:
            log.warning("recognition: %s", missing)
    return networks


def _load_embedder(name: str, args: AppArgs, settings: Settings) -> CropNetwork:
    network, store = load_manifest()[name], Store(settings.home / "models", settings.models_dir)
    return load_embedder(network, store.path(network), _runtime(args, settings))


def embedding_model(args: AppArgs, settings: Settings) -> EmbeddingModel | None:
    """Return what people are recognised by; None where the weights are not installed, or nobody is.

    Raises:
        DependencyDown: nobody measured what the network's cosines mean.
    """
    name, flip = args.embedding_network, args.embedding_flip
    if name is None:
        return None
    network, store = load_manifest()[name], Store(settings.home / "models", settings.models_dir)
    try:
        calibration = calibration_of(network, store.path(network), flip=flip)
    except WeightsMissing:
        return None
    return EmbeddingModel(space_of(name, flip=flip), calibration)


def _runtime(args: AppArgs, settings: Settings) -> RuntimeOptions:
    limit = args.gpu_mem_limit_mb
    return RuntimeOptions(
        device=args.device,
        threads=args.threads,
        gpu_mem_limit=None if limit is None else limit * 1024 * 1024,
        cache_dir=settings.home / "cache",
    )


def check_networks(args: AppArgs, settings: Settings) -> None:
    """Find out before anything is started whether the networks can be opened here.

    Raises:
        FacefleetError: there is no such network, its weights are not installed, or the device that was asked
            for does not work; the text tells what to do.
    """
    manifest = load_manifest()
    store = Store(settings.home / "models", settings.models_dir)
    for name in args.detectors:
        store.path(*find_detector(manifest, name))
    for name in (*args.attribute_networks, *filter(None, [args.embedding_network])):
        _ = manifest[name]  # raises where there is none of that name
    if args.device not in {"auto", "cpu"}:
        open_network(args.detectors[0], args, settings)


def open_analyzer(
    args: AppArgs,
    settings: Settings,
    max_waiting: int,
    pools: Mapping[str, Detector] | None = None,
    attributes: CropNetworks | None = None,
    *,
    embeds_late: bool = False,
) -> ImageAnalyzer:
    """Return the analyzer of this process, with one lane as wide as its threads.

    Args:
        args: the service's shape.
        settings: the operator's settings.
        max_waiting: how many pictures may wait for their turn before more are shed.
        pools: detectors that live elsewhere; None opens every one in this process.
        attributes: networks of faces' crops that live elsewhere; None opens them in this process.
        embeds_late: open the network that people are recognised by when it is first asked.
    """
    lane = ThreadLane(workers=1)
    detectors: Mapping[str, Detector] = pools or {
        name: InlineDetector(open_network(name, args, settings), lane) for name in args.detectors
    }
    looks_late = embeds_late and attributes is None
    opened = open_attribute_networks if looks_late else open_crop_networks
    networks = attributes or InlineCropNetworks(opened(args, settings), lane)
    late = LateEmbedder(lambda: open_embedder(args, settings, lane), args) if looks_late else None
    return ImageAnalyzer(
        detectors,
        args.detectors[0],
        lane,
        small_side=args.small_side,
        square=args.square,
        gate=Gate(_in_work(args) if pools else IN_WORK, max_waiting),
        reader=FaceReader(networks, lane, settings.attributes_disabled),
        embedder=late or _embedder(args, networks, lane),
    )


def _embedder(args: AppArgs, networks: CropNetworks, lane: Lane) -> CropEmbedder | None:
    """Return what turns faces into vectors, None where its network is not among these."""
    name = args.embedding_network
    if name is None or name not in {spec.name for spec in networks.specs}:
        return None
    return CropEmbedder(networks, name, lane, flip=args.embedding_flip)


def open_embedder(
    args: AppArgs, settings: Settings, lane: Lane, pool: CropNetworks | None = None
) -> CropEmbedder:
    """Return what turns faces into vectors, by a network of this process or that of a pool.

    Raises:
        DependencyDown: there is none, or its weights are not installed.
    """
    name = args.embedding_network
    networks = pool
    if name is not None and networks is None:
        networks = InlineCropNetworks([_load_embedder(name, args, settings)], lane)
    embedder = None if networks is None else _embedder(args, networks, lane)
    if embedder is None:
        message = "this service has no network that recognises faces"
        raise DependencyDown(message)
    return embedder


class LateEmbedder:
    """Opens an embedder when it is first asked, and lets it go when nobody asked for a while.

    Args:
        build: opens it; it takes its time.
        args: the service's shape.
        rest_s: how long it is kept without being asked.
    """

    def __init__(self, build: Callable[[], FaceEmbedder], args: AppArgs, rest_s: float = REST_S) -> None:
        self._build = build
        self._space = space_of(args.embedding_network or "", flip=args.embedding_flip)
        self._rest_s = rest_s
        self._opening = asyncio.Lock()
        self._open: FaceEmbedder | None = None
        self._asked = 0

    @property
    def space(self) -> str:
        """Name what the vectors can be compared within."""
        return self._space

    @property
    def is_resting(self) -> bool:
        """Tell whether nothing is open."""
        return self._open is None

    async def embed(self, pixels: NDArray[np.uint8], faces: Faces) -> EmbeddedFaces:
        """Return how each face looks."""
        self._asked += 1
        asked = self._asked
        async with self._opening:
            if self._open is None:
                self._open = await asyncio.to_thread(self._build)
                give_back_memory()
            embedder = self._open
        try:
            return await embedder.embed(pixels, faces)
        finally:
            asyncio.get_running_loop().call_later(self._rest_s, self._let_go, asked)

    def _let_go(self, asked: int) -> None:
        if self._asked == asked:
            self._open = None
            give_back_memory()


def open_reader(
    args: AppArgs, settings: Settings, lane: Lane, pool: CropNetworks | None = None
) -> FaceReader:
    """Return what tells what faces show, by networks of this process or those of a pool."""
    networks = pool or InlineCropNetworks(open_attribute_networks(args, settings), lane)
    return FaceReader(networks, lane, settings.attributes_disabled)


def offered_attributes(args: AppArgs, settings: Settings) -> frozenset[Attribute]:
    """Return what can be told of faces by the networks whose weights are installed, and may be."""
    manifest, store = load_manifest(), Store(settings.home / "models", settings.models_dir)
    readings = []
    for name in args.attribute_networks:
        with suppress(WeightsMissing):
            store.path(manifest[name])
            readings.append(reading_of(manifest[name]))
    return told_by(readings) - frozenset(settings.attributes_disabled)


def _in_work(args: AppArgs) -> int:
    """Return how many pictures one process needs in work to keep a pool's batches full."""
    wanted = 2 * args.detector.max_batch_size * args.detector.max_replicas
    return min(max(wanted, FEWEST_FOR_POOL), MOST_FOR_POOL)
