"""The whole service, once for all tests of this room, and what they ask of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from cluster.trial import Trial, trial_service

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent
#: Short enough for a test to wait for it.
UPLOAD_TIMEOUT_S = 4

Post = Callable[..., httpx.Response]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the tests of one service, and those of the console, in one process each, and mark them."""
    for item in items:
        folder = item.path.parent
        if folder.is_relative_to(HERE):
            item.add_marker(pytest.mark.e2e)
            item.add_marker(pytest.mark.xdist_group("service" if folder == HERE else folder.name))


@pytest.fixture(scope="session")
def service(weights_folder: Path) -> Iterator[Trial]:
    """Run the service as `facefleet up` starts it."""
    variables = {"FACE_API_UPLOAD_TIMEOUT_S": str(UPLOAD_TIMEOUT_S)}
    with trial_service(variables=variables, weights=weights_folder) as started:
        yield started


@pytest.fixture
def client(service: Trial) -> Iterator[httpx.Client]:
    """Give a client with a key."""
    with httpx.Client(
        base_url=service.url, headers={"X-API-Key": service.key}, timeout=60, trust_env=False
    ) as made:
        yield made


@pytest.fixture
def detect(client: httpx.Client) -> Post:
    """Give a function that sends bytes to be searched for faces."""

    def post(data: bytes, **params: Any) -> httpx.Response:  # noqa: ANN401 - any parameter
        return client.post("/api/v1/detect", params=params, files={"image": ("picture", data)})

    return post
