"""Small pictures of the faces that people are known by, where the operator wants them; off by default.

    registered to be removed -> object -> face's row, which takes it off that list -> ... -> registered again

So a picture without a row goes, whoever dies in between, and a row that goes takes its picture along.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import cv2
import numpy as np
import structlog
from sqlalchemy import delete, select

from app.db.ids import new_id
from app.db.library_tables import PersonFaceRow
from app.db.tables import CleanupTaskRow
from app.records.cleanup import register
from pipelines.decode import decode_picture
from pipelines.encode import encode_picture
from pipelines.errors import Unavailable
from pipelines.probe import probe_picture
from pipelines.results import EncodeOptions, ImageFormat

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from sqlalchemy import ColumnElement

    from app.db.engine import Database, Writing
    from app.records.cleanup import Cleanup
    from app.storage.port import ObjectStore

#: The longer side, and how much of the face's box is shown around it.
SIDE_PX, ROOM = 160, 0.25
_AS = EncodeOptions(ImageFormat.WEBP, 80)

log = structlog.get_logger(__name__)


class Thumbnails:
    """Keeps them.

    Args:
        database: where faces are.
        place: where pictures are kept.
        cleanup: removes them.
        lifetime_s: how long their addresses work.
        keeps_new: make them of new faces; otherwise those that are there can be seen and go with their faces.
    """

    def __init__(
        self,
        database: Database,
        place: ObjectStore,
        cleanup: Cleanup,
        lifetime_s: int,
        *,
        keeps_new: bool,
    ) -> None:
        self._database = database
        self._place = place
        self._cleanup = cleanup
        self._lifetime_s = lifetime_s
        self._keeps_new = keeps_new

    async def keep(self, picture: bytes, box: NDArray[np.float32]) -> str | None:
        """Keep a face of a picture and return the object's name; None where that is not wanted, or fails."""
        if not self._keeps_new:
            return None
        small = await asyncio.to_thread(face_thumbnail, picture, box)
        key = f"faces/{new_id().hex}.webp"
        try:
            async with self._database.transaction() as tx:
                await register(tx, [key])
            await self._place.put(key, small)
        except Unavailable as error:
            # Somebody can be known without one.
            log.warning("a thumbnail was left out", reason=error.message)
            return None
        return key

    async def remove(self, keys: Sequence[str]) -> None:
        """Remove pictures that were registered to go."""
        if keys:
            await self._cleanup.try_now(keys)

    async def url(self, key: str, origin: str) -> str:
        """Return an address from which whoever has it can load the picture for a while."""
        url = await self._place.url(key, self._lifetime_s)
        return origin + url if url.startswith("/") else url


async def take_over(tx: Writing, key: str | None) -> None:
    """Have a picture stay: a face's row names it by the end of this transaction."""
    if key is not None:
        await tx.execute(delete(CleanupTaskRow).where(CleanupTaskRow.object_key == key))


async def let_go(tx: Writing, faces: ColumnElement[bool]) -> list[str]:
    """Register the pictures of faces whose rows this transaction removes; return their names."""
    query = select(PersonFaceRow.thumbnail_key).where(faces, PersonFaceRow.thumbnail_key.is_not(None))
    keys = [key for key in await tx.scalars(query) if key is not None]
    for start in range(0, len(keys), 500):
        await register(tx, keys[start : start + 500])
    return keys


def face_thumbnail(picture: bytes, box: NDArray[np.float32]) -> bytes:
    """Return a face with some room around it, small, as WebP without any metadata."""
    pixels = decode_picture(picture, probe_picture(picture), 1)
    height, width = pixels.shape[:2]
    x1, y1, x2, y2 = box.astype(float).tolist()
    room_x, room_y = ROOM * (x2 - x1), ROOM * (y2 - y1)
    left, top = max(0, int(x1 - room_x)), max(0, int(y1 - room_y))
    part = pixels[top : min(height, int(y2 + room_y) + 1), left : min(width, int(x2 + room_x) + 1)]
    scale = min(1.0, SIDE_PX / max(part.shape[:2]))
    size = (max(1, round(part.shape[1] * scale)), max(1, round(part.shape[0] * scale)))
    small = np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_AREA), np.uint8)
    return encode_picture(small, _AS)
