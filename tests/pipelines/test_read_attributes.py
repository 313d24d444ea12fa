"""The reader of faces: what is computed, how rows become values, and what bad faces give."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines.analyze_image import ImageAnalyzer
from pipelines.attributes import Attribute, Emotion, FaceAttributes, Gender
from pipelines.errors import DependencyDown, SwitchedOff
from pipelines.faces import Faces
from pipelines.lane import InlineDetector, ThreadLane
from pipelines.ports import Reading
from pipelines.read_attributes import GROUP, FaceReader, InlineCropNetworks, answer_grouped
from pipelines.results import DetectOptions
from tests.fakes.blobs import BlobNetwork
from tests.fakes.crop_networks import FakeCropNetwork
from tests.pipelines.drawn import file_of, noise, scene

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from pipelines.ports import CropNetwork

ALL = frozenset(Attribute)
KINDS = (Reading.MESH, Reading.AGE, Reading.GENDER, Reading.EMOTION, Reading.GLASSES, Reading.MASK)


@pytest.fixture(name="lane", scope="module")
def a_lane() -> Iterator[ThreadLane]:
    """One thread for pictures."""
    with ThreadLane(1) as lane:
        yield lane


def faces_at(*boxes: tuple[float, float, float, float], with_points: bool = True) -> Faces:
    """Return faces with these boxes and points at ordinary places."""
    corners = np.array(boxes, np.float32).reshape(-1, 4)
    middle = np.nan_to_num((corners[:, :2] + corners[:, 2:]) / 2)
    offsets = np.array([[-9, -9], [9, -9], [0, 0], [-7, 9], [7, 9]], np.float32)
    points = (middle[:, None] + offsets).astype(np.float32)
    return Faces(corners, np.full(len(corners), 0.9, np.float32), points if with_points else None)


def networks_of(*kinds: Reading) -> dict[Reading, FakeCropNetwork]:
    """Return a network of each kind."""
    return {kind: FakeCropNetwork(kind) for kind in kinds}


def reader_of(networks: list[CropNetwork], lane: ThreadLane, *disabled: Attribute) -> FaceReader:
    """Return a reader over these networks."""
    return FaceReader(InlineCropNetworks(networks, lane), lane, disabled)


async def read_one(
    lane: ThreadLane, *networks: FakeCropNetwork, wanted: Collection[Attribute] = ALL
) -> FaceAttributes:
    """Read one ordinary face."""
    reader = reader_of(list(networks), lane)
    (face,) = await reader.read(noise(100, 100), faces_at((20, 20, 80, 80)), wanted)
    return face


async def test_every_attribute_becomes_its_value(lane: ThreadLane) -> None:
    """Rows of numbers become years, names, booleans, angles and points."""
    face = await read_one(lane, *networks_of(*KINDS).values())
    assert (face.age, face.gender, face.emotion) == (31, Gender.FEMALE, Emotion.HAPPY)
    assert (face.glasses, face.mask) == (True, False)
    assert face.pose is not None
    assert face.quality is not None
    assert 0 <= face.quality <= 1
    assert face.landmarks is not None
    assert face.landmarks.shape == (106, 2)
    assert face.landmarks.dtype == np.float32
    # The second crop lies around the points of the first, which covered the middle half of the box.
    assert (face.landmarks > 30).all()
    assert (face.landmarks < 70).all()
    assert face.presence == pytest.approx(0.99)


@pytest.mark.parametrize("attribute", list(Attribute))
async def test_only_what_is_asked_for_is_computed(lane: ThreadLane, attribute: Attribute) -> None:
    """Networks for other attributes see no crop, and their values stay None."""
    networks = networks_of(*KINDS)
    face = await read_one(lane, *networks.values(), wanted={attribute})
    told = {name for name in (each.value for each in Attribute) if getattr(face, name) is not None}
    assert told == {attribute.value}
    busy = {kind.value for kind, network in networks.items() if network.seen}
    mesh = {"pose", "landmarks"}
    quality = {"quality"}
    expected = {"mesh"} if attribute.value in mesh else {attribute.value} - quality
    assert busy == expected


async def test_all_faces_go_through_a_network_together(lane: ThreadLane) -> None:
    """A group is one run of each network, and another, twice as large, of the mesh's; a crowd is cut up."""
    networks = networks_of(*KINDS)
    boxes = [(10.0 * i, 5, 10.0 * i + 30, 45) for i in range(GROUP)]
    reader = reader_of(list(networks.values()), lane)
    assert len(await reader.read(noise(300, 60), faces_at(*boxes), ALL)) == GROUP
    assert {kind: network.seen for kind, network in networks.items()} == {
        kind: [GROUP, 2 * GROUP] if kind is Reading.MESH else [GROUP] for kind in KINDS
    }
    crowd = faces_at(*(boxes * 3 + boxes[:1]))
    assert len(await reader.read(noise(300, 60), crowd, {Attribute.AGE})) == 3 * GROUP + 1
    assert networks[Reading.AGE].seen[1:] == [GROUP, GROUP, GROUP, 1]


async def test_no_faces_ask_nobody(lane: ThreadLane) -> None:
    """Without faces no network runs."""
    networks = networks_of(*KINDS)
    reader = reader_of(list(networks.values()), lane)
    assert await reader.read(noise(50, 50), Faces.none(with_points=True), ALL) == ()
    assert not any(network.seen for network in networks.values())


@pytest.mark.parametrize(
    ("female", "gender"),
    [
        (0.61, Gender.FEMALE),
        (0.39, Gender.MALE),
        (0.59, None),
        (0.41, None),
        (0.5, None),
        (float("nan"), None),
    ],
)
async def test_gender_is_left_out_where_it_is_not_sure(
    lane: ThreadLane, female: float, gender: Gender | None
) -> None:
    """Under 0.6 for the likelier one nothing is said."""
    row = np.array([female], np.float32)
    face = await read_one(lane, FakeCropNetwork(Reading.GENDER, row), wanted={Attribute.GENDER})
    assert face.gender == gender


@pytest.mark.parametrize(("years", "age"), [(-3.0, 0), (0.4, 0), (27.6, 28), (140.0, 100), (float("nan"), 0)])
async def test_ages_are_whole_and_in_range(lane: ThreadLane, years: float, age: int) -> None:
    """Whatever the network says, an age is an integer of 0..100."""
    row = np.array([years], np.float32)
    face = await read_one(lane, FakeCropNetwork(Reading.AGE, row), wanted={Attribute.AGE})
    assert face.age == age
    assert isinstance(face.age, int)


async def test_several_crops_of_a_face_are_averaged(lane: ThreadLane) -> None:
    """A network that looks twice gets both crops of every face in one run, and the mean counts."""

    class Alternating(FakeCropNetwork):
        def answer(self, crops: np.ndarray[Any, np.dtype[np.uint8]]) -> np.ndarray[Any, np.dtype[np.float32]]:
            self.seen.append(len(crops))
            return np.array([[20.0]] * 3 + [[40.0]] * 3, np.float32)

    network = Alternating(Reading.AGE, copies=2)
    boxes = [(10.0 * i, 5, 10.0 * i + 30, 45) for i in range(3)]
    reader = reader_of([network], lane)
    found = await reader.read(noise(100, 60), faces_at(*boxes), {Attribute.AGE})
    assert [face.age for face in found] == [30, 30, 30]
    assert network.seen == [6]


async def test_a_box_without_a_face_has_no_points(lane: ThreadLane) -> None:
    """Where the mesh's network sees no face, pose and landmarks are None."""
    row = np.append(np.zeros(468 * 3), 0.01).astype(np.float32)
    face = await read_one(
        lane, FakeCropNetwork(Reading.MESH, row), wanted={Attribute.POSE, Attribute.LANDMARKS}
    )
    assert (face.pose, face.landmarks) == (None, None)
    assert face.presence == pytest.approx(0.01)


async def test_of_two_networks_the_first_is_asked(lane: ThreadLane) -> None:
    """The order of the networks decides whose age and landmarks count; pose comes from who tells it."""
    pair, age = FakeCropNetwork(Reading.AGE_AND_GENDER), FakeCropNetwork(Reading.AGE)
    flat, mesh = FakeCropNetwork(Reading.LANDMARKS), FakeCropNetwork(Reading.MESH)
    wanted = {Attribute.AGE, Attribute.GENDER, Attribute.LANDMARKS, Attribute.POSE}
    face = await read_one(lane, pair, age, flat, mesh, wanted=wanted)
    assert (face.age, face.gender) == (52, Gender.MALE)
    assert not age.seen
    assert face.landmarks is not None
    assert face.landmarks[0].tolist() == pytest.approx([20, 20.3], abs=0.1)
    assert face.pose is not None
    other = await read_one(lane, age, pair, wanted=wanted - {Attribute.LANDMARKS, Attribute.POSE})
    assert (other.age, other.gender) == (31, Gender.MALE)


async def test_faces_without_points_are_read(lane: ThreadLane) -> None:
    """A detector that gives no five points is enough."""
    reader = reader_of(list(networks_of(*KINDS).values()), lane)
    (face,) = await reader.read(noise(100, 100), faces_at((20, 20, 80, 80), with_points=False), ALL)
    assert face.age == 31
    assert face.landmarks is not None


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(
    corners=st.lists(st.floats(width=32, allow_nan=True), min_size=4, max_size=4),
    size=st.tuples(st.integers(1, 80), st.integers(1, 80)),
)
async def test_any_box_gives_values_in_range(
    lane: ThreadLane, corners: list[float], size: tuple[int, int]
) -> None:
    """Tiny pictures, boxes outside, endless ones and ones of no numbers: never an error, never nonsense."""
    reader = reader_of(list(networks_of(*KINDS).values()), lane)
    left, top, right, bottom = corners
    (face,) = await reader.read(noise(*size), faces_at((left, top, right, bottom)), ALL)
    assert face.quality is not None
    assert 0 <= face.quality <= 1
    assert face.age in {None, 31}
    assert face.landmarks is None or np.isfinite(face.landmarks).all()


async def test_a_box_outside_the_picture_shows_nothing(lane: ThreadLane) -> None:
    """Its values are None, its quality 0; the face beside it is read as always."""
    reader = reader_of(list(networks_of(*KINDS).values()), lane)
    outside, inside = await reader.read(
        noise(100, 100), faces_at((200, 200, 260, 260), (20, 20, 80, 80)), ALL
    )
    assert outside == FaceAttributes(quality=0.0)
    assert inside.age == 31


async def test_what_is_switched_off_is_refused(lane: ThreadLane) -> None:
    """The operator's word comes before everything, and names only what is refused."""
    reader = reader_of(list(networks_of(*KINDS).values()), lane, Attribute.AGE, Attribute.QUALITY)
    with pytest.raises(SwitchedOff, match="age, quality switched off"):
        reader.check({Attribute.QUALITY, Attribute.AGE, Attribute.POSE})
    reader.check({Attribute.POSE})


async def test_what_has_no_weights_says_how_to_get_them(lane: ThreadLane) -> None:
    """A network that is not installed is no bug: the text has the command."""
    reader = reader_of([FakeCropNetwork(Reading.AGE)], lane)
    with pytest.raises(DependencyDown, match="pose, mask are not installed; run: facefleet models pull"):
        reader.check({Attribute.AGE, Attribute.POSE, Attribute.MASK})
    reader.check({Attribute.AGE, Attribute.QUALITY})


def test_crops_of_several_calls_run_together() -> None:
    """Each call gets the rows for its own crops back, whichever networks it asked."""

    class Means(FakeCropNetwork):
        def answer(self, crops: np.ndarray[Any, np.dtype[np.uint8]]) -> np.ndarray[Any, np.dtype[np.float32]]:
            self.seen.append(len(crops))
            means: np.ndarray[Any, np.dtype[np.float32]] = crops.mean(axis=(1, 2, 3), dtype=np.float32)
            return means[:, None]

    age, mask = Means(Reading.AGE), Means(Reading.MASK)
    asked = [
        {"age": np.full((2, 4, 4, 3), 1, np.uint8), "mask": np.full((1, 4, 4, 3), 2, np.uint8)},
        {"mask": np.full((3, 4, 4, 3), 3, np.uint8)},
        {},
        {"age": np.full((1, 4, 4, 3), 4, np.uint8)},
    ]
    answers = answer_grouped({"age": age, "mask": mask}, asked)
    assert [{name: rows.ravel().tolist() for name, rows in each.items()} for each in answers] == [
        {"age": [1, 1], "mask": [2]},
        {"mask": [3, 3, 3]},
        {},
        {"age": [4]},
    ]
    assert (age.seen, mask.seen) == ([3], [4])


async def test_the_analyzer_reads_whole_pixels(lane: ThreadLane) -> None:
    """Asked for attributes, a large JPEG is not decoded smaller, and every face gets its own values."""
    network = FakeCropNetwork(Reading.AGE, side=64)
    seen: list[float] = []

    class Sharp(FakeCropNetwork):
        def answer(self, crops: np.ndarray[Any, np.dtype[np.uint8]]) -> np.ndarray[Any, np.dtype[np.float32]]:
            seen.extend(float(crop[:, :, 1].std()) for crop in crops)
            return network.answer(crops)

    picture = scene(2560, 1600, (600, 400, 664, 464), (1800, 900, 1864, 964))
    picture[900:964:2, 1800:1864] = 0
    detector = InlineDetector(BlobNetwork(), lane)
    analyzer = ImageAnalyzer(
        {"blobs": detector}, "blobs", lane, reader=reader_of([Sharp(Reading.AGE, side=64)], lane)
    )
    plain = await analyzer.detect(file_of(picture), DetectOptions(confidence=0.1))
    assert plain.attributes is None
    assert plain.profile.attributes_ms is None
    read = await analyzer.detect(
        file_of(picture), DetectOptions(confidence=0.1, attributes=frozenset({Attribute.AGE}))
    )
    assert read.attributes is not None
    assert [face.age for face in read.attributes] == [31] * len(read.faces)
    assert len(read.faces) == len(seen) > 0
    assert read.profile.attributes_ms is not None
    assert read.profile.total_ms >= read.profile.attributes_ms


async def test_an_analyzer_without_a_reader_says_so(lane: ThreadLane) -> None:
    """Asking a service that reads no faces is answered with what is missing."""
    analyzer = ImageAnalyzer({"blobs": InlineDetector(BlobNetwork(), lane)}, "blobs", lane)
    with pytest.raises(DependencyDown, match="no networks that read faces"):
        await analyzer.detect(b"", DetectOptions(attributes=frozenset({Attribute.AGE})))
