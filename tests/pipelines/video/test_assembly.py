"""Records of chunks become the result of the API, one frame at a time."""

from __future__ import annotations

import io
import json
import tracemalloc
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.faces import Faces
from pipelines.video.assembly import Assembler, AssemblyState, whole_box, write_result
from pipelines.video.records import (
    FaceRecord,
    FrameRecord,
    frame_record,
    large_enough,
    read_record,
    write_record,
)
from tests.pipelines.video.moving_faces import world

if TYPE_CHECKING:
    from collections.abc import Iterator

SIZE = (1920, 1080)


def records_of(kind: str, rate: float) -> list[FrameRecord]:
    """Return a synthetic world as the records of its frames."""
    found = []
    for time, numbers, boxes in world(kind, rate, 1):
        scores = np.full(len(numbers), 0.9, np.float32)
        found.append(frame_record(round(time, 6), Faces(boxes.astype(np.float32), scores, None)))
    return found


def text_of(chunks: list[list[FrameRecord]], rate: float) -> str:
    """Return the result as JSON, each chunk stored and read again."""
    out = io.StringIO()
    write_result(Assembler(SIZE, rate), (read_record(write_record(chunk)) for chunk in chunks), out)
    return out.getvalue()


def test_result_has_the_shape_of_the_api() -> None:
    """Names, types and numbering are those that clients of the API know."""
    face = FaceRecord((419.6, 180.2, 680.4, 440.1), 0.9823)
    frames = [FrameRecord(0.5, (face,)), FrameRecord(1.0, ()), FrameRecord(1.5, (face,))]
    result = json.loads(text_of([frames], 2))
    shown = {"bbox": [420, 180, 260, 260], "confidence": 0.982, "track_id": "t_1"}
    assert result == {
        "frames": [
            {"timestamp": 0.5, "faces": [{"face_id": "f_01", **shown}]},
            {"timestamp": 1.0, "faces": []},
            {"timestamp": 1.5, "faces": [{"face_id": "f_02", **shown}]},
        ],
        "face_tracks": [{"track_id": "t_1", "person_id": None, "appears_at": 0.5, "disappears_at": 1.5}],
        "summary": {"total_faces": 1, "unique_identities": 1},
    }


@given(
    st.sampled_from(["crossing", "hidden", "leaving", "missed"]), st.sets(st.integers(0, 100), max_size=20)
)
def test_cuts_make_no_difference(kind: str, cuts: set[int]) -> None:
    """One chunk or twenty give the same bytes, and so does stopping and going on after each."""
    frames = records_of(kind, 2)
    edges = [0, *sorted(cut for cut in cuts if 0 < cut < len(frames)), len(frames)]
    chunks = [frames[begin:end] for begin, end in pairwise(edges)]
    expected = text_of([frames], 2)
    assert text_of(chunks, 2) == expected
    state, results = AssemblyState(), []
    for chunk in chunks:
        assembler = Assembler(SIZE, 2, AssemblyState.from_json(json.loads(json.dumps(state.to_json()))))
        results += [frame.to_json() for frame in assembler.add(chunk)]
        state = assembler.state
    tracks, summary = Assembler(SIZE, 2, state).finish()
    assert results == json.loads(expected)["frames"]
    assert [track.to_json() for track in tracks] == json.loads(expected)["face_tracks"]
    assert summary.to_json() == json.loads(expected)["summary"]


def test_records_come_back_as_they_were() -> None:
    """Boxes, attributes and embeddings survive being stored."""
    plain = FaceRecord((1.25, 2.5, 30.75, 40.0), 0.5)
    rich = FaceRecord((1.0, 2.0, 3.0, 4.0), 0.75, {"age": 30, "pose": {"yaw": 1.5}}, b"\x00\xfe", 0.5)
    told = FaceRecord((1.0, 2.0, 3.0, 4.0), 0.75, {"age": 30})
    frames = [FrameRecord(0.0, ()), FrameRecord(0.333333, (plain, rich, told))]
    assert list(read_record(write_record(frames))) == frames
    assert list(read_record(write_record([]))) == []


def test_a_record_that_is_cut_off_is_told() -> None:
    """Half a record is never taken for a whole one."""
    data = write_record(records_of("moving", 5))
    with pytest.raises(ValueError, match="cut off"):
        list(read_record(data[: len(data) // 2]))


def test_small_faces_are_left_out() -> None:
    """A face counts by its shorter side."""
    boxes = np.array([[0, 0, 39.5, 100], [0, 0, 40, 40], [0, 0, 100, 20]], np.float32)
    record = frame_record(0.0, large_enough(Faces(boxes, np.ones(3, np.float32), None), 40))
    assert [face.box for face in record.faces] == [(0.0, 0.0, 40.0, 40.0)]


@given(st.tuples(*[st.floats(-500, 2500)] * 4))
def test_boxes_lie_within_the_frame(box: tuple[float, float, float, float]) -> None:
    """Wherever a detector puts a box, the one that is shown has pixels of the frame."""
    x, y, width, height = whole_box(box, SIZE)
    assert 0 <= x < x + width <= SIZE[0]
    assert 0 <= y < y + height <= SIZE[1]


def test_three_hours_at_thirty_samples_a_second_are_not_held() -> None:
    """Memory for a result of many chunks is that of one chunk, although the text is much longer."""
    chunk = records_of("moving", 10)
    data = write_record(chunk)

    def chunks(count: int) -> Iterator[Iterator[FrameRecord]]:
        for index in range(count):
            shifted = (
                FrameRecord(round(frame.timestamp + 20 * index, 6), frame.faces)
                for frame in read_record(data)
            )
            yield shifted

    class Nowhere:
        """Counts what is written and forgets it."""

        written = 0

        def write(self, text: str) -> int:
            self.written += len(text)
            return len(text)

    def peak_of(count: int) -> tuple[int, int]:
        out = Nowhere()
        tracemalloc.start()
        write_result(Assembler(SIZE, 10), chunks(count), out)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak, out.written

    short, few = peak_of(2)
    long, many = peak_of(12)
    assert many > 5 * few
    assert long < 1.5 * short + 100_000
