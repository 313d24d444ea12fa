"""An intake that may reach the test's own servers."""

from __future__ import annotations

import ssl
from functools import partial
from typing import TYPE_CHECKING

import pytest

from app.intake.fetching import Intake
from app.intake.port import FetchLimits
from app.intake.web import WebSender
from app.net.allowing import AllowList
from app.net.guard import Guard
from app.net.pinned import Outbound
from tests.fakes.hostile_server import OPENED, HostileServer, Names, hostile_server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

#: Patient enough for a busy machine, and not for a test's time.
LIMITS = FetchLimits(max_bytes=1_000_000, total_s=20, stall_s=5, backoff_s=0.01, keep_free_bytes=0)


@pytest.fixture
async def server() -> AsyncIterator[HostileServer]:
    """Run a server that the operator has opened."""
    async with hostile_server() as running:
        yield running


@pytest.fixture
def names() -> Names:
    """Return a resolver that knows one name of that server."""
    return Names(media_example=[[OPENED]])


@pytest.fixture
def intake(names: Names) -> Intake:
    """Return an intake for the web."""
    web = WebSender(Outbound(Guard(AllowList.read([OPENED]), names), ssl.create_default_context()))
    return Intake({"http": web, "https": web})


@pytest.fixture
def url(server: HostileServer) -> Callable[[str], str]:
    """Return what makes addresses on that server."""
    return partial("http://media.example:{}{}".format, server.port)
