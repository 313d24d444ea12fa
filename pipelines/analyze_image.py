"""The use case of one picture: bytes in, faces or a masked picture out.

    bytes -> probe -> decode -> canvases -> detector, twice -> faces of both in source pixels -> NMS
                         '-> pixels kept, where a mask is wanted -> mask -> encode
                        or attributes are -> crops of faces -> values

A picture waits for its turn after the probe, by which its size is known. From there to the canvases is one
piece of work on the lane, and so is everything from the mask on. What follows the detector takes well under
a millisecond and is done on the event loop, unless there is an uncommon number of candidates.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING

from pipelines.canvas import CanvasPool
from pipelines.decode import decode_picture, reduction_for
from pipelines.encode import encode_picture
from pipelines.errors import DependencyDown, InvalidOption
from pipelines.gate import Gate
from pipelines.looks import SMALL_SIDE, candidates_of, faces_of, lay_out, looks_at
from pipelines.masking import mask_faces
from pipelines.metrics import FACES, STAGE_SECONDS
from pipelines.probe import probe_picture
from pipelines.results import Detection, ImageInfo, MaskedImage, Profile

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from pipelines.embed_faces import FaceEmbedder
    from pipelines.looks import Looks
    from pipelines.ports import AttributeReader, Detector, DetectorSpec, Lane, Proposals
    from pipelines.probe import PictureHeader
    from pipelines.results import DetectOptions, EncodeOptions, MaskOptions

#: Pictures in work where one thread does everything: one on it, and what it does next.
IN_WORK = 3
MAX_WAITING = 256
#: Candidates that are sorted out on the event loop; more, as at a confidence of 0, would hold it up.
_FEW_CANDIDATES = 200
_MAX_STRENGTH = 10_000
_MAX_PADDING = 10.0


@dataclass(frozen=True, slots=True)
class _Plan:
    """How a picture will be looked at, known from its header."""

    data: bytes
    header: PictureHeader
    detector: Detector
    looks: Looks
    reduction: int
    keep_pixels: bool

    @property
    def pixels(self) -> int:
        """How many pixels it unpacks."""
        return self.header.width * self.header.height // self.reduction**2


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A picture on its canvases; the pixels are kept only where they are wanted afterwards."""

    image: ImageInfo
    looks: Looks
    canvases: tuple[NDArray[np.uint8], ...]
    pixels: NDArray[np.uint8] | None
    decode_ms: float
    preprocess_ms: float


class ImageAnalyzer:
    """Finds the faces of pictures, and hides them.

    Args:
        detectors: by the name that a request asks for.
        default: the name of the one that is used when none is asked for.
        lane: where pixels are worked on.
        small_side: the longer side of the second canvas; 0 looks at the large canvas alone.
        square: feed the detector its whole input square, as others do, instead of the picture's rectangle.
        gate: how many pictures are unpacked at once and how many may wait to be.
        reader: tells what faces show; None where nothing is to be told.
        embedder: turns faces into vectors; None where nobody is to be recognised.
    """

    def __init__(  # noqa: PLR0913 - the parts it is made of, by name
        self,
        detectors: Mapping[str, Detector],
        default: str,
        lane: Lane,
        *,
        small_side: int = SMALL_SIDE,
        square: bool = False,
        gate: Gate | None = None,
        reader: AttributeReader | None = None,
        embedder: FaceEmbedder | None = None,
    ) -> None:
        self._gate = gate or Gate(IN_WORK, MAX_WAITING)
        self._detectors = {default: detectors[default], **detectors}
        self._default = default
        self._lane = lane
        self._small_side = small_side
        self._square = square
        self._reader = reader
        self._embedder = embedder
        self._canvases = CanvasPool()

    @property
    def detectors(self) -> tuple[DetectorSpec, ...]:
        """List the loaded detectors, the default one first."""
        return tuple(detector.spec for detector in self._detectors.values())

    async def ready(self) -> bool:
        """Tell whether a picture sent now would be answered."""
        return not self._lane.is_stuck

    async def detect(self, data: bytes, options: DetectOptions) -> Detection:
        """Find the faces in a picture, and what each of them shows where that is asked for.

        Raises:
            CallerError: the picture or an option cannot be used.
            Unavailable: the picture may be sent again later.
        """
        reader, embedder = self._reader_for(options), self._embedder_for(options)
        # Whole pixels: a decode that is enough to find a face is too coarse to look at it.
        plan = self._plan(data, options, keep_pixels=reader is not None or embedder is not None)
        async with self._gate.turn(plan.pixels):
            detection, pixels = await self._detect(plan, options)
            if reader is not None:
                detection = await _read(reader, detection, pixels)
            if embedder is not None:
                detection = await _embed(embedder, detection, pixels)
        count_picture(detection)
        return detection

    async def mask(
        self, data: bytes, options: DetectOptions, mask: MaskOptions, encode: EncodeOptions
    ) -> MaskedImage:
        """Find the faces in a picture and return it with the faces made unrecognisable.

        Raises:
            CallerError: the picture or an option cannot be used.
            Unavailable: the picture may be sent again later.
        """
        check_mask_options(mask, encode)
        plan = self._plan(data, options, keep_pixels=True)
        async with self._gate.turn(plan.pixels):
            start = perf_counter()
            detection, pixels = await self._detect(plan, options)
            assert pixels is not None  # noqa: S101 - narrows the type: they were asked for
            masked = await self._lane.run(_finish_mask, detection, pixels, mask, encode, start)
        count_picture(masked.detection)
        return masked

    def _plan(self, data: bytes, options: DetectOptions, *, keep_pixels: bool) -> _Plan:
        check_detect_options(options)
        detector = self._detector(options.model)
        header = probe_picture(data)
        looks = looks_at(
            header.upright_size,
            detector.spec,
            self._small_side,
            square=self._square,
            more_side=options.more_side,
        )
        reduction = 1 if keep_pixels else reduction_for(header, looks.large.picture)
        return _Plan(data, header, detector, looks, reduction, keep_pixels)

    async def _detect(
        self, plan: _Plan, options: DetectOptions
    ) -> tuple[Detection, NDArray[np.uint8] | None]:
        start = perf_counter()
        detector = plan.detector
        prepared = await self._lane.run(self._prepare, plan)
        proposals = await detector.propose(prepared.canvases, options.confidence)
        self._give_back(prepared)
        finish = partial(_detection, prepared, proposals, options, detector.spec, start)
        many = sum(len(proposal.faces) for proposal in proposals) > _FEW_CANDIDATES
        return (await self._lane.run(finish) if many else finish()), prepared.pixels

    def _reader_for(self, options: DetectOptions) -> AttributeReader | None:
        """Return who reads the faces, None where nothing of them is asked for."""
        if not options.attributes:
            return None
        if self._reader is None:
            message = "this service has no networks that read faces"
            raise DependencyDown(message)
        self._reader.check(options.attributes)
        return self._reader

    def _embedder_for(self, options: DetectOptions) -> FaceEmbedder | None:
        """Return who embeds the faces, None where that is not asked for."""
        if not options.embed:
            return None
        if self._embedder is None:
            message = "this service has no network that recognises faces"
            raise DependencyDown(message)
        return self._embedder

    def _detector(self, name: str | None) -> Detector:
        detector = self._detectors.get(name or self._default)
        if detector is None:
            known = ", ".join(self._detectors)
            message = f"there is no such model; loaded are: {known}"
            raise InvalidOption(message)
        return detector

    def _prepare(self, plan: _Plan) -> _Prepared:
        start = perf_counter()
        pixels = decode_picture(plan.data, plan.header, plan.reduction)
        decoded = perf_counter()
        canvases = lay_out(pixels, plan.looks, self._canvases)
        done = perf_counter()
        width, height = plan.header.upright_size
        return _Prepared(
            ImageInfo(width, height, pixels.shape[2], len(plan.data), plan.header.format),
            plan.looks,
            canvases,
            pixels if plan.keep_pixels else None,
            (decoded - start) * 1e3,
            (done - decoded) * 1e3,
        )

    def _give_back(self, prepared: _Prepared) -> None:
        # Only after every detector answered: one that failed or was given up may still read its canvas.
        for canvas in prepared.canvases:
            self._canvases.give(canvas)


def _detection(
    prepared: _Prepared,
    proposals: Sequence[Proposals],
    options: DetectOptions,
    spec: DetectorSpec,
    start: float,
) -> Detection:
    begin = perf_counter()
    candidates = candidates_of(proposals, prepared.looks)
    faces = faces_of(candidates, options.nms_threshold, options.max_faces)
    end = perf_counter()
    profile = Profile(
        decode_ms=prepared.decode_ms,
        preprocess_ms=prepared.preprocess_ms,
        blob_ms=sum(proposal.blob_ms for proposal in proposals),
        inference_ms=sum(proposal.inference_ms for proposal in proposals),
        postprocess_ms=sum(proposal.postprocess_ms for proposal in proposals),
        nms_ms=(end - begin) * 1e3,
        total_ms=(end - start) * 1e3,
        candidates_before_nms=len(candidates),
        candidates_after_nms=len(faces),
        det_scale=prepared.looks.large.scale,
        det_size=prepared.looks.large.canvas,
    )
    return Detection(prepared.image, faces, spec.name, spec.input_size, options, profile)


async def _read(reader: AttributeReader, detection: Detection, pixels: NDArray[np.uint8] | None) -> Detection:
    assert pixels is not None  # noqa: S101 - narrows the type: they were asked for
    begin = perf_counter()
    attributes = await reader.read(pixels, detection.faces, detection.options.attributes)
    took_ms = (perf_counter() - begin) * 1e3
    profile = detection.profile
    times = replace(profile, attributes_ms=took_ms, total_ms=profile.total_ms + took_ms)
    return replace(detection, attributes=attributes, profile=times)


async def _embed(embedder: FaceEmbedder, detection: Detection, pixels: NDArray[np.uint8] | None) -> Detection:
    assert pixels is not None  # noqa: S101 - narrows the type: they were asked for
    begin = perf_counter()
    embedded = await embedder.embed(pixels, detection.faces)
    took_ms = (perf_counter() - begin) * 1e3
    profile = detection.profile
    times = replace(profile, embedding_ms=took_ms, total_ms=profile.total_ms + took_ms)
    return replace(detection, embedded=embedded, profile=times)


def count_picture(detection: Detection) -> None:
    """Count a picture that is done: its faces, and the time of every stage that ran."""
    FACES.add(len(detection.faces), "picture")
    profile = detection.profile
    for stage, took_ms in (
        ("decode", profile.decode_ms),
        ("preprocess", profile.preprocess_ms),
        ("inference", profile.blob_ms + profile.inference_ms + profile.postprocess_ms),
        ("nms", profile.nms_ms),
        ("attributes", profile.attributes_ms),
        ("embedding", profile.embedding_ms),
        ("mask", profile.mask_ms),
        ("encode", profile.encode_ms),
        ("total", profile.total_ms),
    ):
        if took_ms is not None:
            STAGE_SECONDS.note(took_ms / 1e3, stage)


def _finish_mask(
    detection: Detection, pixels: NDArray[np.uint8], mask: MaskOptions, encode: EncodeOptions, start: float
) -> MaskedImage:
    begin = perf_counter()
    regions = mask_faces(pixels, detection.faces.boxes, mask)
    masked = perf_counter()
    data = encode_picture(pixels, encode)
    end = perf_counter()
    profile = replace(
        detection.profile,
        mask_ms=(masked - begin) * 1e3,
        encode_ms=(end - masked) * 1e3,
        total_ms=(end - start) * 1e3,
    )
    return MaskedImage(replace(detection, profile=profile), data, encode.format, regions)


def check_detect_options(options: DetectOptions) -> None:
    """Refuse values that make no sense.

    Raises:
        InvalidOption: one of them is out of its range.
    """
    _check("confidence", options.confidence, 0, 1)
    _check("nms_threshold", options.nms_threshold, 0, 1)
    _check("max_faces", options.max_faces, 0, math.inf)


def check_mask_options(mask: MaskOptions, encode: EncodeOptions) -> None:
    """Refuse values that make no sense.

    Raises:
        InvalidOption: one of them is out of its range.
    """
    _check("strength", mask.strength, 1, _MAX_STRENGTH)
    _check("padding", mask.padding, 0, _MAX_PADDING)
    _check("quality", encode.quality, 1, 100)


def _check(name: str, value: float, low: float, high: float) -> None:
    # Written so that a value that is not a number fails too.
    if not low <= value <= high:
        bound = f"between {low} and {high}" if high < math.inf else f"at least {low}"
        message = f"{name} must be {bound}"
        raise InvalidOption(message)
