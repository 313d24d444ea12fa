"""Pictures that requests name: fetched to scratch, read, and gone before they are looked at."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from app.intake.port import FetchLimits
from pipelines.results import DetectOptions

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from app.intake.fetching import Intake
    from app.tasks.scratch import Scratch
    from pipelines.ports import ImageEngine
    from pipelines.results import Detection

#: Somebody waits for the answer, so a slow sender is given up sooner than for a task.
FETCH_S, STALL_S, TRIES = 30.0, 10.0, 3


class Pictures:
    """Fetches pictures and has them looked at.

    Args:
        intake: who fetches, for the owner that asks.
        scratch: where files lie for a moment.
        engine: who looks.
        max_bytes: the largest picture.
    """

    def __init__(
        self, intake: Callable[[UUID], Intake], scratch: Scratch, engine: ImageEngine, max_bytes: int
    ) -> None:
        self._intake = intake
        self._scratch = scratch
        self._engine = engine
        self._limits = FetchLimits(max_bytes, total_s=FETCH_S, stall_s=STALL_S, tries=TRIES)

    async def faces_of(self, owner: UUID, url: str, name: str = "image_url") -> Detection:
        """Return the faces of the picture that an address names, as vectors too.

        Args:
            owner: who asks; uploads are private.
            url: the address.
            name: what it is called in the request, for messages.

        Raises:
            InvalidMedia: it cannot be had, or is no picture.
            Unavailable: it may be asked for again later.
        """
        return (await self.seen(owner, url, name))[1]

    async def seen(self, owner: UUID, url: str, name: str = "image_url") -> tuple[bytes, Detection]:
        """Return the picture as well; as `faces_of` otherwise."""
        with self._scratch.folder() as folder:
            fetched = await self._intake(owner).fetch(url, folder / "picture", self._limits, name=name)
            data = await asyncio.to_thread(fetched.path.read_bytes)
        return data, await self._engine.detect(data, DetectOptions(embed=True))
