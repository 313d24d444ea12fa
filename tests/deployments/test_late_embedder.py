"""The network that few tasks ask: opened with the first question, once, and let go after a rest."""

from __future__ import annotations

import asyncio
import time

import numpy as np
import pytest

from deployments.args import AppArgs
from deployments.networks import LateEmbedder
from pipelines.embed_faces import EmbeddedFaces
from pipelines.errors import DependencyDown
from pipelines.faces import Faces
from tests.app.records.requests import until

PICTURE, FACES = np.zeros((9, 9, 3), np.uint8), Faces.none(with_points=False)


class Embedder:
    """Answers after a moment, as long as anybody may still ask it."""

    space = "fake"

    async def embed(self, *_: object) -> EmbeddedFaces:
        """Return nobody."""
        await asyncio.sleep(0.01)
        return EmbeddedFaces(np.zeros((0, 4), np.float32), np.zeros((0, 5)), np.zeros(0))


class Builder:
    """Opens embedders, slowly."""

    def __init__(self) -> None:
        self.times = 0
        self.error: Exception | None = None

    def __call__(self) -> Embedder:
        """Open one."""
        time.sleep(0.02)
        self.times += 1
        if self.error is not None:
            raise self.error
        return Embedder()


async def test_it_is_opened_once_for_everybody() -> None:
    """Nothing is opened before somebody asks, and one is enough for many who ask at once."""
    build = Builder()
    late = LateEmbedder(build, AppArgs(embedding_network="sface", embedding_flip=True))
    assert build.times == 0
    assert late.space == "sface+flip"
    await asyncio.gather(*(late.embed(PICTURE, FACES) for _ in range(8)))
    assert build.times == 1


async def test_it_is_let_go_after_a_rest() -> None:
    """Who is asked again and again stays; who is left alone goes, and is opened anew by the next question."""
    build = Builder()
    late = LateEmbedder(build, AppArgs(), rest_s=0.3)
    for _ in range(8):
        await late.embed(PICTURE, FACES)
        await asyncio.sleep(0.05)
    assert build.times == 1

    async def is_gone() -> bool:
        return late.is_resting

    await until(is_gone)
    await late.embed(PICTURE, FACES)
    assert build.times == 2


async def test_a_failure_is_no_answer_for_ever() -> None:
    """Weights that are not there are told of, and found once they are."""
    build = Builder()
    build.error = DependencyDown("no weights")
    late = LateEmbedder(build, AppArgs())
    with pytest.raises(DependencyDown):
        await late.embed(PICTURE, FACES)
    build.error = None
    assert len(await late.embed(PICTURE, FACES)) == 0
