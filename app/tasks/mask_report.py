"""What the result of a masked video or animation says: which tracks were hidden when; frames, if asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from app.tasks.ports import Merged
from app.tasks.values import Report
from pipelines.video.assembly import whole_box

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from app.tasks.values import MaskTaskOptions
    from pipelines.redact.cover import Coverage


@dataclass(frozen=True, slots=True)
class Told:
    """What was masked, in seconds and pixels.

    Attributes:
        coverage: what was hidden in which frame.
        times, ends: when each frame is shown first, and no longer.
        size: width and height.
        asked: whether frames are to be told.
    """

    coverage: Coverage
    times: Sequence[float]
    ends: Sequence[float]
    size: tuple[int, int]
    asked: MaskTaskOptions

    def frame(self, index: int) -> dict[str, Any]:
        """Return what was hidden in a frame."""
        faces = [
            {"bbox": list(whole_box(region.box, self.size)), "track_id": f"t_{region.track}"}
            for region in self.coverage.regions.get(index, ())
        ]
        return {"timestamp": round(self.times[index], 6), "faces": faces}

    def tracks(self) -> list[dict[str, Any]]:
        """Return when each track was hidden."""
        return [
            {
                "track_id": f"t_{track}",
                "person_id": None,
                "appears_at": round(self.times[first], 6),
                "disappears_at": round(self.ends[last], 6),
            }
            for track, first, last in self.coverage.spans()
        ]


class Telling:
    """Tells what was masked: nothing of the chunks that find, the frames of those that write.

    Args:
        told: what was masked.
        chunks: of each chunk the places of its frames; None for those that find.
        more: what else the summary says.
        output: the object that was made.
    """

    def __init__(
        self, told: Told, chunks: Sequence[list[int] | None], more: Mapping[str, Any], output: str | None
    ) -> None:
        self._told, self._more, self._output = told, more, output
        self._chunks = iter(chunks)

    def add(self, outcome: bytes) -> Iterable[Mapping[str, Any]]:  # noqa: ARG002 - known already
        """Yield the frames of the next chunk, where they are asked for."""
        indices = next(self._chunks) or []
        if self._told.asked.report is Report.FRAMES:
            yield from map(self._told.frame, indices)

    def finish(self) -> Merged:
        """Return when each track was masked, and the summary."""
        regions = self._told.coverage.regions
        count = len({region.track for hidden in regions.values() for region in hidden})
        tracks = [] if self._told.asked.report is Report.NONE else self._told.tracks()
        summary = {"total_faces": count, "masked_frames": len(regions), **self._more}
        return Merged(tracks, summary, self._output)
