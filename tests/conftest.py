"""What tests of every room share: real pictures, real weights, and more of both where a folder has them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from models.manifest import load_manifest
from models.store import Store
from tests.pictures import CACHE, CAT, GROUP, PORTRAIT, REPOSITORY, picture


@pytest.fixture(scope="session")
def group_photo_path() -> Path:
    """Return a photo of six people, 1280x886."""
    return picture(GROUP)


@pytest.fixture(scope="session")
def portrait_path() -> Path:
    """Return a photo of one person, 512x512."""
    return picture(PORTRAIT)


@pytest.fixture(scope="session")
def cat_path() -> Path:
    """Return a photo of a cat: no person in it."""
    return picture(CAT)


@pytest.fixture(scope="session")
def weights_store() -> Store:
    """Return a store with the default pack, pulled at the first run and kept."""
    store = Store(CACHE / "models")
    store.pull(*load_manifest().pack("default"))
    return store


@pytest.fixture(scope="session")
def weights_folder(weights_store: Store) -> Path:
    """Return the folder of that store, for services that are to find their weights in it."""
    assert weights_store is not None
    return CACHE / "models"


@pytest.fixture(scope="session")
def testdata() -> Path:
    """Return a folder of more pictures and weights, for checks that run only where there is one."""
    folder = Path(os.environ.get("FACEFLEET_TESTDATA", REPOSITORY.parent / "shared" / "testdata"))
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there; FACEFLEET_TESTDATA names it")
    return folder
