"""What the faces of one picture show: crops out of it, through the networks that are needed, into values.

    faces -> groups -> crops for each network -> networks -> rows of numbers -> FaceValues -> FaceAttributes
                       '-> the mesh is looked for around the box, then around what was found

Crops are drawn on the lane, where the pixels are; networks may be anywhere. Nothing is computed that was not
asked for, and all faces of a group go through a network together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from pipelines.attributes import Attribute, FaceAttributes
from pipelines.crops import draw_crops, placements, placements_around, points_of
from pipelines.errors import DependencyDown, SwitchedOff
from pipelines.face_values import FaceValues, meshes_of
from pipelines.mesh import to_five_points
from pipelines.ports import Reading
from pipelines.quality import QUALITY_CROP, qualities

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from numpy.typing import NDArray

    from pipelines.crops import BoxCrop
    from pipelines.faces import Faces
    from pipelines.ports import CropNetwork, CropNetworks, CropSpec, Lane

#: Faces that are worked on together; what a crowd needs in memory is bounded by this.
GROUP: Final = 16

#: What can be told from each kind of answer.
_TELLS: Final[Mapping[Reading, frozenset[Attribute]]] = {
    Reading.MESH: frozenset({Attribute.LANDMARKS, Attribute.POSE}),
    Reading.LANDMARKS: frozenset({Attribute.LANDMARKS}),
    Reading.AGE: frozenset({Attribute.AGE}),
    Reading.GENDER: frozenset({Attribute.GENDER}),
    Reading.AGE_AND_GENDER: frozenset({Attribute.AGE, Attribute.GENDER}),
    Reading.EMOTION: frozenset({Attribute.EMOTION}),
    Reading.GLASSES: frozenset({Attribute.GLASSES}),
    Reading.MASK: frozenset({Attribute.MASK}),
}


@dataclass(frozen=True, slots=True)
class _Drawn:
    """Crops of several faces: all of the first recipe, then all of the next; and where they lie."""

    crops: NDArray[np.uint8]
    matrices: NDArray[np.float64]


def refuse_disabled(wanted: Collection[Attribute], disabled: Collection[Attribute]) -> None:
    """Say no to attributes that the operator has switched off.

    Raises:
        SwitchedOff: at least one of the wanted is.
    """
    refused = [attribute.value for attribute in Attribute if attribute in wanted and attribute in disabled]
    if refused:
        message = f"attributes: {', '.join(refused)} switched off by the operator of this service"
        raise SwitchedOff(message)


def told_by(readings: Collection[Reading]) -> frozenset[Attribute]:
    """Return what can be told of faces where there are networks that read these."""
    return frozenset({Attribute.QUALITY}).union(*(_TELLS[reading] for reading in readings))


class FaceReader:
    """Reads faces by the networks it is given.

    Args:
        networks: what can be asked.
        lane: where crops are drawn.
        disabled: attributes that are refused.
    """

    def __init__(
        self, networks: CropNetworks, lane: Lane, disabled: Collection[Attribute] = frozenset()
    ) -> None:
        self._networks = networks
        self._lane = lane
        self._disabled = frozenset(disabled)
        self._by_attribute: dict[Attribute, CropSpec] = {}
        for spec in networks.specs:
            for attribute in _TELLS.get(spec.reading, ()):
                self._by_attribute.setdefault(attribute, spec)

    def check(self, wanted: Collection[Attribute]) -> None:
        """Refuse attributes that cannot be read here.

        Raises:
            SwitchedOff: the operator does not offer one of them.
            DependencyDown: the network for one of them is not loaded.
        """
        refuse_disabled(wanted, self._disabled)
        known = {*self._by_attribute, Attribute.QUALITY}
        missing = [
            attribute.value for attribute in Attribute if attribute in wanted and attribute not in known
        ]
        if missing:
            message = f"the weights for {', '.join(missing)} are not installed; run: facefleet models pull"
            raise DependencyDown(message)

    async def read(
        self, pixels: NDArray[np.uint8], faces: Faces, wanted: Collection[Attribute]
    ) -> tuple[FaceAttributes, ...]:
        """Return what each face shows; a box that lies outside the picture shows nothing.

        Raises:
            SwitchedOff: the operator does not offer one of the wanted.
            DependencyDown: the network for one of them is not loaded, or does not answer.
        """
        self.check(wanted)
        found: list[FaceAttributes] = []
        for start in range(0, len(faces), GROUP):
            group = faces.take(np.arange(start, min(start + GROUP, len(faces))))
            found += await self._read_group(pixels, group, frozenset(wanted))
        return tuple(found)

    async def _read_group(
        self, pixels: NDArray[np.uint8], faces: Faces, wanted: frozenset[Attribute]
    ) -> list[FaceAttributes]:
        points = points_of(faces.boxes) if faces.points is None else faces.points
        needed = {spec.name for attribute, spec in self._by_attribute.items() if attribute in wanted}
        asked = [spec for spec in self._networks.specs if spec.name in needed]
        drawn = await self._lane.run(_draw, asked, pixels, faces.boxes, points)
        rows = dict(await self._networks.answer({name: each.crops for name, each in drawn.items()}))
        for spec in asked:
            if spec.again:
                found, matrices = rows[spec.name], drawn[spec.name].matrices
                closer = await self._lane.run(_draw_again, spec.again, pixels, found, matrices)
                drawn[spec.name] = closer
                rows |= await self._networks.answer({spec.name: closer.crops})
        quality = (
            await self._lane.run(_quality, pixels, faces, points) if Attribute.QUALITY in wanted else None
        )
        values = FaceValues(len(faces), quality)
        for spec in asked:
            values.add(spec.reading, rows[spec.name], drawn[spec.name].matrices)
        seen = _inside(faces.boxes, pixels)
        return [
            _only(values.face(index) if seen[index] else FaceAttributes(quality=0.0), wanted)
            for index in range(len(faces))
        ]


def answer_grouped(
    networks: Mapping[str, CropNetwork], asked: Sequence[Mapping[str, NDArray[np.uint8]]]
) -> list[dict[str, NDArray[np.float32]]]:
    """Return the rows for the crops of several calls, each network's crops of all calls together."""
    answers: list[dict[str, NDArray[np.float32]]] = [{} for _ in asked]
    for name, network in networks.items():
        parts = [(index, crops[name]) for index, crops in enumerate(asked) if name in crops]
        if not parts:
            continue
        only = len(parts) == 1
        rows = network.answer(parts[0][1] if only else np.concatenate([crops for _, crops in parts]))
        ends = np.cumsum([len(crops) for _, crops in parts])[:-1]
        for (index, _), part in zip(parts, np.split(rows, ends), strict=True):
            answers[index][name] = part
    return answers


class InlineCropNetworks:
    """Networks of this process: one call's crops are one piece of work on the lane."""

    def __init__(self, networks: Sequence[CropNetwork], lane: Lane) -> None:
        self._networks = {network.spec.name: network for network in networks}
        self._lane = lane

    @property
    def specs(self) -> tuple[CropSpec, ...]:
        """List the loaded networks."""
        return tuple(network.spec for network in self._networks.values())

    async def answer(self, crops: Mapping[str, NDArray[np.uint8]]) -> Mapping[str, NDArray[np.float32]]:
        """Return each named network's rows for its crops."""
        return (await self._lane.run(answer_grouped, self._networks, [crops]))[0] if crops else {}


def _draw(
    specs: Sequence[CropSpec],
    pixels: NDArray[np.uint8],
    boxes: NDArray[np.float32],
    points: NDArray[np.float32],
) -> dict[str, _Drawn]:
    drawn = {}
    for spec in specs:
        matrices = np.concatenate([placements(recipe, boxes, points) for recipe in spec.crops])
        drawn[spec.name] = _Drawn(draw_crops(pixels, matrices, spec.crops[0].size), matrices)
    return drawn


def _draw_again(
    recipes: Sequence[BoxCrop],
    pixels: NDArray[np.uint8],
    rows: NDArray[np.float32],
    matrices: NDArray[np.float64],
) -> _Drawn:
    """Draw crops around the meshes that were found in the crops at these places."""
    meshes, _presences = meshes_of(rows, matrices)
    points = to_five_points(meshes)
    around = np.concatenate([placements_around(recipe, meshes, points) for recipe in recipes])
    return _Drawn(draw_crops(pixels, around, recipes[0].size), around)


def _quality(pixels: NDArray[np.uint8], faces: Faces, points: NDArray[np.float32]) -> list[float]:
    matrices = placements(QUALITY_CROP, faces.boxes, points)
    return qualities(draw_crops(pixels, matrices, QUALITY_CROP.size), matrices, points, faces.scores)


def _inside(boxes: NDArray[np.float32], pixels: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Tell which boxes show any of the picture."""
    low = np.maximum(boxes[:, :2], 0)
    high = np.minimum(boxes[:, 2:], pixels.shape[1::-1])
    return np.asarray(np.isfinite(boxes).all(axis=1) & (high > low).all(axis=1))


def _only(face: FaceAttributes, wanted: frozenset[Attribute]) -> FaceAttributes:
    """Drop what a network told without being asked."""
    names = [attribute.value for attribute in Attribute if attribute in wanted]
    kept = {name: getattr(face, name) for name in names}
    return FaceAttributes(**kept, presence=face.presence)
