"""Asks a running service's detector pool many pictures at once: `python -m tests.deployments.asking_pool`."""

from __future__ import annotations

import asyncio
import json
import logging

import numpy as np

from tests.deployments.reshaping import enter

PICTURES = 32


def main() -> None:
    """Print how many canvases ran together, the size of each picture's batch, as JSON."""
    running = enter()
    import ray  # noqa: PLC0415 - the environment must be set first
    from ray import serve  # noqa: PLC0415 - as above

    ray.init(address=running.ray_address, log_to_driver=False, logging_level=logging.ERROR)
    handle = serve.get_deployment_handle("detector-yunet", "facefleet")
    canvas = np.zeros((64, 96, 3), np.uint8)

    async def ask() -> list[int]:
        answers = await asyncio.gather(*(handle.propose.remote([canvas], 0.5) for _ in range(PICTURES)))
        return [answer[0].batch_size for answer in answers]

    print(json.dumps(asyncio.run(ask())))  # noqa: T201 - read by the test
    ray.shutdown()


if __name__ == "__main__":
    main()
