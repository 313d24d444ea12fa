"""Pictures as mask tasks: one chunk, a masked picture as its object."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic_core import from_json, to_json

from app.tasks.image_work import BILLED_S
from app.tasks.mask_people import who_is_meant
from app.tasks.ports import Merged
from app.tasks.values import ChunkPlan, MaskTaskOptions, MediaFacts, MediaPlan, Report
from pipelines.boxes import grow
from pipelines.decode import decode_picture
from pipelines.encode import encode_picture
from pipelines.masking import mask_faces
from pipelines.probe import probe_picture
from pipelines.redact.choose import stays_visible
from pipelines.redact.find import picture_side
from pipelines.results import DetectOptions, EncodeOptions, ImageFormat, MaskOptions
from pipelines.video.assembly import whole_box

if TYPE_CHECKING:
    import uuid
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from app.tasks.mask_people import ComparesPeople, WhoIsMeant
    from app.tasks.ports import Keeper, Merging, Outcomes
    from app.tasks.values import TaskOptions
    from pipelines.ports import ImageEngine
    from pipelines.probe import PictureHeader
    from pipelines.results import Detection

_SUFFIXES = {ImageFormat.JPEG: "jpeg", ImageFormat.PNG: "png", ImageFormat.WEBP: "webp"}


class MaskImagePipeline:
    """Masks pictures.

    Args:
        engine: who looks at them.
        people: who knows people; None where nobody is recognised.
    """

    def __init__(self, engine: ImageEngine, people: ComparesPeople | None = None) -> None:
        self._engine = engine
        self._people = people

    async def open(self, path: Path, options: TaskOptions, owner: uuid.UUID, keeper: Keeper) -> _ImageWork:
        """Look at a picture's header."""
        who = await who_is_meant(self._people, options, owner)
        data = await asyncio.to_thread(path.read_bytes)
        return _ImageWork(self._engine, path, data, probe_picture(data), options, keeper, who)


class _ImageWork:
    """One picture that is masked."""

    stages: tuple[range, ...] = (range(1),)

    def __init__(
        self,
        engine: ImageEngine,
        path: Path,
        data: bytes,
        header: PictureHeader,
        options: TaskOptions,
        keeper: Keeper,
        who: WhoIsMeant | None,
    ) -> None:
        self._engine, self._path, self._data, self._header = engine, path, data, header
        self._options, self._keeper, self._who = options, keeper, who
        self._asked = options.mask or MaskTaskOptions()
        width, height = header.upright_size
        self.plan = MediaPlan(MediaFacts(width, height), (ChunkPlan(0, {"mask": True}, BILLED_S),), BILLED_S)
        self._output: str | None = None

    async def analyse(self, number: int) -> bytes:  # noqa: ARG002 - there is only one
        """Return what was masked, and the name of the masked picture."""
        smallest = self._options.min_face_size
        options = DetectOptions(
            confidence=self._options.confidence_threshold,
            embed=self._who is not None,
            more_side=picture_side(self._header.upright_size, smallest),
        )
        detection = await self._engine.detect(self._data, options)
        boxes = detection.faces.boxes
        is_hidden = (boxes[:, 2:] - boxes[:, :2]).min(axis=1, initial=np.inf) >= smallest
        boxes = boxes[is_hidden & ~await self._visible(detection)]
        target = self._path.with_name(f"{self._path.name}-masked")
        image_format = self._asked.image_format or _like(self._header.format)
        await asyncio.to_thread(self._write, boxes, image_format, target)
        key = await self._keeper.keep(target, _SUFFIXES[image_format])
        return to_json({"object": key, "boxes": boxes.tolist()})

    async def _visible(self, detection: Detection) -> NDArray[np.bool_]:
        """Return which faces stay visible."""
        if self._who is None or detection.embedded is None:
            return np.zeros(len(detection.faces), bool)
        chosen = self._who.chosen
        scores = await self._who.scores(detection.embedded.vectors)
        qualities = detection.embedded.qualities.tolist()
        shown = [stays_visible(each, at, chosen) for each, at in zip(scores, qualities, strict=True)]
        return np.array(shown, bool)

    def _write(self, boxes: NDArray[np.float32], image_format: ImageFormat, target: Path) -> None:
        asked = self._asked
        pixels = decode_picture(self._data, self._header)
        mask_faces(pixels, boxes, MaskOptions(asked.method, asked.strength, asked.padding))
        target.write_bytes(encode_picture(pixels, EncodeOptions(image_format, asked.quality)))

    async def stage_done(self, stage: int, outcome: Outcomes) -> None:  # noqa: ARG002 - there is only one
        """Take the masked picture's name."""
        self._output = from_json(await outcome(0))["object"]

    def merging(self) -> Merging:
        """Begin to tell what was masked."""
        return _Telling(self._header.upright_size, self._asked, self._output)


class _Telling:
    """Tells what was masked in a picture."""

    def __init__(self, size: tuple[int, int], asked: MaskTaskOptions, output: str | None) -> None:
        self._size, self._asked, self._output = size, asked, output
        self._count = 0

    def add(self, outcome: bytes) -> Iterable[Mapping[str, Any]]:
        """Return the one frame, where it is asked for."""
        boxes = np.array(from_json(outcome)["boxes"], np.float32).reshape(-1, 4)
        self._count = len(boxes)
        if self._asked.report is not Report.FRAMES:
            return []
        faces = [
            {"bbox": list(whole_box((x1, y1, x2, y2), self._size))}
            for x1, y1, x2, y2 in grow(boxes, self._asked.padding).tolist()
        ]
        return [{"timestamp": 0.0, "faces": faces}]

    def finish(self) -> Merged:
        """Return the summary; a picture has no tracks."""
        summary = {"total_faces": self._count, "masked_frames": int(self._count > 0), "frames": 1}
        return Merged((), summary, self._output)


def _like(name: str) -> ImageFormat:
    """Return what a picture is written as; one of a kind that is not written becomes a PNG."""
    known = {"jpeg": ImageFormat.JPEG, "jpg": ImageFormat.JPEG, "webp": ImageFormat.WEBP}
    return known.get(name.lower(), ImageFormat.PNG)
