"""The web app over the fake engine as a process of its own: `python -m tests.fakes.server FD`.

It listens on a socket that the test opened, so that no port is guessed, and takes its settings from the
environment as the real service does.
"""

from __future__ import annotations

import asyncio
import socket
import sys

import uvicorn

from app.api import create_app
from app.logs import configure_logging
from app.services import open_services
from app.settings import load_settings
from tests.fakes.engine import FakeEngine


async def serve(descriptor: int) -> None:
    """Serve until told to stop."""
    async with open_services(load_settings(), FakeEngine(remembers=False)) as services:
        config = uvicorn.Config(create_app(services), log_level="error", access_log=False)
        await uvicorn.Server(config).serve([socket.socket(fileno=descriptor)])


if __name__ == "__main__":
    configure_logging()
    asyncio.run(serve(int(sys.argv[1])))
