"""The use case of one picture: bytes to faces and masked pictures, with a detector that finds magenta."""

from __future__ import annotations

import io
import math
from dataclasses import replace
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
from PIL import Image

from pipelines.analyze_image import ImageAnalyzer
from pipelines.errors import CallerError, InvalidMedia, InvalidOption, UnsupportedMedia
from pipelines.lane import InlineDetector, ThreadLane
from pipelines.results import DetectOptions, EncodeOptions, ImageFormat, MaskMethod, MaskOptions
from tests.fakes.blobs import BlobNetwork
from tests.pipelines.drawn import exif_of, file_of, png, scene, stored_as, with_exif

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from pipelines.ports import DetectorSpec, Proposals

LIMITS = DetectOptions()


class FarDetector:
    """The same network, reached as a pool of replicas is: it is not in this process' hands."""

    def __init__(self, network: BlobNetwork) -> None:
        self._network = network

    @property
    def spec(self) -> DetectorSpec:
        """Tell what the detector is."""
        return self._network.spec

    async def propose(self, canvases: Sequence[NDArray[np.uint8]], confidence: float) -> list[Proposals]:
        """Ask the network with copies, as a transport would make them."""
        return [self._network.propose([canvas.copy()], [confidence])[0] for canvas in canvases]


@pytest.fixture(name="lane")
def a_lane() -> Iterator[ThreadLane]:
    """Two threads for pictures."""
    with ThreadLane(2) as lane:
        yield lane


@pytest.fixture(name="analyzer", params=["inline", "far"])
def an_analyzer(request: pytest.FixtureRequest, lane: ThreadLane) -> ImageAnalyzer:
    """Two detectors to choose from, in this process or far away."""

    def detector(name: str) -> InlineDetector | FarDetector:
        network = BlobNetwork(name)
        return InlineDetector(network, lane) if request.param == "inline" else FarDetector(network)

    return ImageAnalyzer({"other": detector("other"), "blobs": detector("blobs")}, "blobs", lane)


async def test_boxes_are_in_pixels_of_the_picture(analyzer: ImageAnalyzer) -> None:
    """A face is found where it is, however the picture was scaled for the detector."""
    for width, height in ((640, 360), (1920, 1080), (5000, 2000), (300, 200)):
        box = (width // 4, height // 4, width // 3, height // 2)
        found = await analyzer.detect(file_of(scene(width, height, box), ".png"), LIMITS)
        assert (found.image.width, found.image.height, found.image.channels) == (width, height, 3)
        assert found.faces.boxes[0].tolist() == pytest.approx(box, abs=1.5 * max(1, width / 640))


@pytest.mark.parametrize("orientation", range(1, 9))
async def test_boxes_are_upright(analyzer: ImageAnalyzer, orientation: int) -> None:
    """In all eight orientations the boxes equal those of the upright picture."""
    seen = scene(1400, 800, (200, 100, 600, 300), (1000, 500, 1100, 700))
    plain = await analyzer.detect(file_of(seen), LIMITS)
    turned = await analyzer.detect(
        with_exif(file_of(stored_as(seen, orientation)), exif_of(orientation)), LIMITS
    )
    assert (turned.image.width, turned.image.height) == (1400, 800)
    assert len(turned.faces) == 2
    np.testing.assert_allclose(turned.faces.boxes, plain.faces.boxes, atol=2.2)


async def test_best_faces_come_first_and_are_limited(analyzer: ImageAnalyzer) -> None:
    """Faces are ordered by confidence, and `max_faces` keeps the best."""
    data = file_of(scene(640, 640, (10, 10, 60, 60), (100, 100, 300, 300), (400, 400, 500, 500)), ".png")
    every = await analyzer.detect(data, LIMITS)
    assert len(every.faces) == 3
    assert (np.diff(every.faces.scores) < 0).all()
    two = await analyzer.detect(data, replace(LIMITS, max_faces=2))
    assert np.array_equal(two.faces.boxes, every.faces.boxes[:2])


async def test_both_canvases_find_a_large_face_once(analyzer: ImageAnalyzer) -> None:
    """A face that fills the picture is seen on both canvases and comes out once."""
    found = await analyzer.detect(file_of(scene(640, 640, (64, 64, 576, 576)), ".png"), LIMITS)
    assert found.profile.candidates_before_nms == 2
    assert found.profile.candidates_after_nms == len(found.faces) == 1


async def test_the_small_canvas_adds_no_small_faces(analyzer: ImageAnalyzer) -> None:
    """Small faces are taken from the large canvas alone."""
    found = await analyzer.detect(file_of(scene(640, 640, (64, 64, 192, 192)), ".png"), LIMITS)
    assert found.profile.candidates_before_nms == 1


async def test_a_crowd_is_sorted_out_too(analyzer: ImageAnalyzer) -> None:
    """Hundreds of candidates give as many faces."""
    boxes = [(x, y, x + 12, y + 12) for x in range(8, 600, 24) for y in range(8, 600, 24)]
    found = await analyzer.detect(file_of(scene(640, 640, *boxes), ".png"), LIMITS)
    assert len(found.faces) == len(boxes) == 625


async def test_a_wide_picture_costs_what_its_rectangle_costs(lane: ThreadLane) -> None:
    """The detector is fed a rectangle and a small one; a square only if asked for."""
    for square, shapes in ((False, [(384, 640, 3), (96, 128, 3)]), (True, [(640, 640, 3), (96, 128, 3)])):
        network = BlobNetwork()
        analyzer = ImageAnalyzer({"blobs": InlineDetector(network, lane)}, "blobs", lane, square=square)
        found = await analyzer.detect(file_of(scene(1280, 720)), LIMITS)
        assert network.seen == shapes
        assert found.profile.det_size == shapes[0][1::-1]
        assert found.profile.det_scale == 0.5


async def test_the_profile_adds_up(analyzer: ImageAnalyzer) -> None:
    """Times of both canvases are summed, and a stage that did not run has none."""
    found = await analyzer.detect(file_of(scene(640, 360)), LIMITS)
    profile = found.profile
    assert (profile.blob_ms, profile.inference_ms, profile.postprocess_ms) == pytest.approx((0.2, 0.4, 0.6))
    assert profile.decode_ms > 0
    assert profile.preprocess_ms > 0
    assert profile.nms_ms > 0
    assert profile.total_ms >= profile.decode_ms + profile.preprocess_ms + profile.nms_ms
    assert profile.mask_ms is profile.encode_ms is None


async def test_the_model_is_chosen_by_request(analyzer: ImageAnalyzer) -> None:
    """The default comes first, another loaded one can be asked for, an unknown one is refused."""
    assert [spec.name for spec in analyzer.detectors] == ["blobs", "other"]
    assert await analyzer.ready()
    data = file_of(scene(64, 64))
    assert (await analyzer.detect(data, LIMITS)).model == "blobs"
    assert (await analyzer.detect(data, replace(LIMITS, model="other"))).model == "other"
    with pytest.raises(InvalidOption, match="blobs, other"):
        await analyzer.detect(data, replace(LIMITS, model="unheard-of"))


@pytest.mark.parametrize(
    "options",
    [
        DetectOptions(confidence=-0.1),
        DetectOptions(confidence=1.1),
        DetectOptions(confidence=math.nan),
        DetectOptions(nms_threshold=2),
        DetectOptions(max_faces=-1),
    ],
)
async def test_refuses_options_out_of_range(analyzer: ImageAnalyzer, options: DetectOptions) -> None:
    """Options that make no sense are refused by name."""
    with pytest.raises(InvalidOption, match="must be"):
        await analyzer.detect(file_of(scene(64, 64)), options)


@pytest.mark.parametrize(
    ("mask", "encode"),
    [
        (MaskOptions(strength=0), EncodeOptions()),
        (MaskOptions(strength=1_000_000), EncodeOptions()),
        (MaskOptions(padding=-0.1), EncodeOptions()),
        (MaskOptions(padding=math.inf), EncodeOptions()),
        (MaskOptions(), EncodeOptions(quality=0)),
        (MaskOptions(), EncodeOptions(quality=101)),
    ],
)
async def test_refuses_mask_options_out_of_range(
    analyzer: ImageAnalyzer, mask: MaskOptions, encode: EncodeOptions
) -> None:
    """So are those of the mask and the output."""
    with pytest.raises(InvalidOption, match="must be"):
        await analyzer.mask(file_of(scene(64, 64)), LIMITS, mask, encode)


@pytest.mark.parametrize("kind", list(ImageFormat))
async def test_masks_an_upright_picture_without_metadata(analyzer: ImageAnalyzer, kind: ImageFormat) -> None:
    """What comes out is upright, of the format asked for, hidden where the face was, and has no EXIF."""
    seen = scene(400, 300, (100, 50, 200, 150))
    data = with_exif(file_of(stored_as(seen, 6)), exif_of(6))
    masked = await analyzer.mask(data, LIMITS, MaskOptions(MaskMethod.SOLID), EncodeOptions(kind))
    assert (masked.regions, len(masked.detection.faces)) == (1, 1)
    image = Image.open(io.BytesIO(masked.data))
    assert (image.format, image.size) == (kind.value.upper(), (400, 300))
    assert not dict(image.getexif())
    pixels = cv2.cvtColor(np.asarray(image.convert("RGB")), cv2.COLOR_RGB2BGR)
    assert pixels[60:140, 110:190].max() < 12
    away = np.abs(pixels[200:].astype(int) - seen[200:])
    assert away.mean() < 4
    assert masked.detection.profile.mask_ms is not None
    assert masked.detection.profile.encode_ms is not None
    assert masked.detection.profile.total_ms > masked.detection.profile.encode_ms


@pytest.mark.parametrize(
    ("data", "error"),
    [
        pytest.param(b"", InvalidMedia, id="zero bytes"),
        pytest.param(b"plain text", UnsupportedMedia, id="wrong type"),
        pytest.param(file_of(scene(640, 360))[:5000], InvalidMedia, id="truncated"),
        pytest.param(png(30_000, 1), InvalidMedia, id="30000x1"),
        pytest.param(png(7681, 4320, rows=b""), InvalidMedia, id="beyond 8K"),
        pytest.param(png(60_000, 60_000, rows=bytes(50_000_000)), InvalidMedia, id="a bomb"),
        pytest.param(png(4000, 4000, rows=b"0"), InvalidMedia, id="a PNG that lies"),
    ],
)
async def test_refuses_bad_pictures(analyzer: ImageAnalyzer, data: bytes, error: type[CallerError]) -> None:
    """Bad input is refused as the caller's fault, and the next picture is answered."""
    with pytest.raises(error):
        await analyzer.detect(data, LIMITS)
    with pytest.raises(error):
        await analyzer.mask(data, LIMITS, MaskOptions(), EncodeOptions())
    assert len((await analyzer.detect(file_of(scene(64, 64)), LIMITS)).faces) == 0


async def test_answers_the_smallest_and_the_largest(analyzer: ImageAnalyzer) -> None:
    """One pixel, one row and 8K are ordinary pictures."""
    for size in ((1, 1), (7680, 1), (1, 7680), (7680, 4320)):
        found = await analyzer.detect(file_of(scene(*size)), LIMITS)
        assert (found.image.width, found.image.height) == size
        assert len(found.faces) == 0
