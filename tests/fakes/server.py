"""The web app over the fake engine as a process of its own: `python -m tests.fakes.server FD`.

It listens on a socket that the test opened, so that no port is guessed, and takes its settings from the
environment as the real service does.
"""

from __future__ import annotations

import socket
import sys

import uvicorn

from app.api import create_app
from app.keys import FileKeyStore
from app.logs import configure_logging
from app.services import Services
from app.settings import load_settings
from tests.fakes.engine import FakeEngine


def main(descriptor: int) -> None:
    """Serve until killed."""
    configure_logging()
    settings = load_settings()
    app = create_app(
        Services(settings, FakeEngine(remembers=False), FileKeyStore(settings.home, settings.bootstrap_key))
    )
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", access_log=False))
    server.run([socket.socket(fileno=descriptor)])


if __name__ == "__main__":
    main(int(sys.argv[1]))
