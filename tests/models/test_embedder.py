"""Embeddings: one person lies close, others far, and a masked face is nobody."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from models.detectors import load_detector
from models.embedder import Embedder, load_embedder
from models.errors import BadWeights
from models.manifest import load_manifest
from models.session import RuntimeOptions
from pipelines.align import align
from pipelines.analyze_image import ImageAnalyzer
from pipelines.lane import InlineDetector, ThreadLane
from pipelines.masking import mask_faces
from pipelines.results import DetectOptions, MaskMethod, MaskOptions

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from models.store import Store
    from pipelines.faces import Faces

CPU = RuntimeOptions(device="cpu")
#: The cosine at which one person in a thousand strangers is taken for another: `docs/models.md`.
SAME_PERSON = 0.368


@pytest.fixture(scope="module", name="embedder")
def an_embedder(weights_store: Store) -> Embedder:
    """Return SFace."""
    network = load_manifest()["sface"]
    return load_embedder(network, weights_store.path(network), CPU)


@pytest.fixture(scope="module", name="photo")
def a_photo(group_photo_path: Path) -> bytes:
    """Return the group photo's file."""
    return group_photo_path.read_bytes()


@pytest.fixture(name="people")
async def some_people(weights_store: Store, photo: bytes) -> tuple[NDArray[np.uint8], Faces]:
    """Return the group photo's pixels and the faces in it."""
    network = load_manifest()["yunet"]
    with ThreadLane(1) as lane:
        detector = InlineDetector(load_detector(network, weights_store.path(network), CPU), lane)
        detection = await ImageAnalyzer({"yunet": detector}, "yunet", lane).detect(photo, DetectOptions())
    pixels = np.asarray(cv2.imdecode(np.frombuffer(photo, np.uint8), cv2.IMREAD_COLOR), np.uint8)
    return pixels, detection.faces


def _embedded(embedder: Embedder, pixels: NDArray[np.uint8], faces: Faces) -> NDArray[np.float32]:
    assert faces.points is not None
    return embedder.embed(list(align(pixels, faces.points)))


async def test_tells_people_apart(embedder: Embedder, people: tuple[NDArray[np.uint8], Faces]) -> None:
    """Six people, smaller and darker, are each closest to themselves and far from the others."""
    pixels, faces = people
    assert len(faces) == 6
    again = np.asarray(cv2.convertScaleAbs(cv2.GaussianBlur(pixels, (5, 5), 0), alpha=0.8), np.uint8)
    close = _embedded(embedder, pixels, faces) @ _embedded(embedder, again, faces).T
    assert np.diag(close).min() > 0.7
    assert close[~np.eye(6, dtype=bool)].max() < SAME_PERSON


async def test_a_batch_equals_singles(embedder: Embedder, people: tuple[NDArray[np.uint8], Faces]) -> None:
    """Faces embedded together get what each gets alone, all of length one."""
    pixels, faces = people
    assert faces.points is not None
    crops = list(align(pixels, faces.points))
    together = embedder.embed(crops)
    alone = np.concatenate([embedder.embed([crop]) for crop in crops])
    np.testing.assert_allclose(together, alone, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-6)


@pytest.mark.parametrize("method", list(MaskMethod))
async def test_a_masked_face_is_nobody(
    embedder: Embedder, people: tuple[NDArray[np.uint8], Faces], method: MaskMethod
) -> None:
    """At the default strength no masked face is taken for the person it was."""
    pixels, faces = people
    masked: NDArray[np.uint8] = pixels.copy()
    mask_faces(masked, faces.boxes, MaskOptions(method))
    same = (_embedded(embedder, pixels, faces) * _embedded(embedder, masked, faces)).sum(axis=1)
    assert same.max() < SAME_PERSON


def test_no_faces_are_no_vectors(embedder: Embedder) -> None:
    """Nothing in, nothing out, nothing run."""
    assert embedder.embed([]).shape == (0, embedder.dimensions)


def test_an_empty_crop_has_a_finite_vector(embedder: Embedder) -> None:
    """A black crop gives numbers, not an error."""
    assert np.isfinite(embedder.embed([np.zeros((112, 112, 3), np.uint8)])).all()


def test_another_network_is_refused(weights_store: Store) -> None:
    """A detector's file is not an embedding network."""
    manifest = load_manifest()
    with pytest.raises(BadWeights, match="not an embedding network"):
        load_embedder(manifest["sface"], weights_store.path(manifest["yunet"]), CPU)
