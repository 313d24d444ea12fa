"""Libraries over an engine of tests as a process of its own.

`python -m tests.app.commands.library_service FD` serves on the socket of that number.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from pathlib import Path

import uvicorn

from app.logs import configure_logging
from tests.app.libraries.conftest import replica


async def serve(descriptor: int) -> None:
    """Serve until told to stop."""
    async with replica(Path(os.environ["FACE_API_HOME"]), imports=True) as opened:
        config = uvicorn.Config(opened.app, log_level="error", access_log=False)
        await uvicorn.Server(config).serve([socket.socket(fileno=descriptor)])


if __name__ == "__main__":
    configure_logging()
    signal.signal(signal.SIGTERM, lambda *_: None)
    asyncio.run(serve(int(sys.argv[1])))
