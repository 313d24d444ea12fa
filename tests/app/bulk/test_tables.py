"""Tables, the page about them, and the notebook that reads them."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import duckdb
import pytest

from app.bulk.parts import arrow_schema
from app.bulk.report import write_report
from app.bulk.tables import COLUMNS, TABLES
from tests.app.bulk.made_job import face, video, write_job

NOTEBOOK = Path(__file__).parents[3] / "docs" / "examples" / "faces.ipynb"
POSE = {"yaw": 1.0, "pitch": 2.0, "roll": 3.0}


@pytest.fixture
def job(tmp_path: Path) -> Path:
    """Return a job of three videos, one of which failed."""
    folder = tmp_path / "out"
    write_job(
        folder,
        [
            video(
                60.0,
                [
                    [face(1, age=30, quality=0.9, pose=POSE, landmarks=[[1, 2], [3, 4]], glasses=True)],
                    [face(1, age=34, quality=0.8), face(2, age=61, quality=0.6)],
                    [face(2, age=10, quality=0.1)],
                ],
                [("t_1", 0.0, 0.5), ("t_2", 0.5, 1.0)],
            ),
            ("invalid_media", "Unable to decode <media>."),
            video(6.0, [[face(1, age=35, quality=0.7)], []], [("t_1", 0.0, 4.5)]),
        ],
    )
    return folder


def test_the_schema_is_as_it_is_published(job: Path) -> None:
    """Every table has the columns, the types and the version of the schema, whatever is in it."""
    import pyarrow.parquet as pq  # noqa: PLC0415 - only here

    for table in TABLES:
        found = pq.read_schema(job / table / "part-00000.parquet")
        assert found.equals(arrow_schema(table))
        assert found.names == list(COLUMNS[table])
        assert found.metadata[b"facefleet.schema_version"] == b"1"


def test_jsonl_says_the_same(tmp_path: Path) -> None:
    """The other format has the same rows."""
    import pyarrow.parquet as pq  # noqa: PLC0415 - only here

    lines = tmp_path / "lines"
    write_job(lines, [video(6.0, [[face(1, age=35)]], [("t_1", 0.0, 4.5)]), ("invalid_media", "no")], "jsonl")
    columns = tmp_path / "columns"
    write_job(columns, [video(6.0, [[face(1, age=35)]], [("t_1", 0.0, 4.5)]), ("invalid_media", "no")])
    for table in TABLES:
        text = (lines / table / "part-00000.jsonl").read_text("utf-8")
        told = [json.loads(line) for line in text.splitlines()]
        assert told == pq.read_table(columns / table / "part-00000.parquet").to_pylist()


def test_nothing_of_the_service_s_own_gets_into_the_tables(job: Path) -> None:
    """The caller's metadata comes back without what the job put beside it."""
    query = f"select metadata from read_parquet('{job}/media/*.parquet') where row = 0"  # noqa: S608 - a test's folder
    found = duckdb.sql(query)
    assert found is not None
    assert found.fetchall() == [('{"team": "a"}',)]


def test_the_notebook_answers(job: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every cell runs as it stands, and the three answers are right."""
    monkeypatch.setenv("FACEFLEET_JOB", str(job))
    names: dict[str, Any] = {}
    for cell in json.loads(NOTEBOOK.read_text("utf-8"))["cells"]:
        if cell["cell_type"] == "code":
            assert cell["outputs"] == []
            exec("".join(cell["source"]), names)  # noqa: S102 - it is ours
    assert names["busiest"].fetchall() == [("v2", 1, 6.0, 10.0), ("v0", 2, 60.0, 2.0)]
    assert names["ages"].fetchall() == [(30, 2), (60, 1)]
    assert names["longest"].fetchall()[0] == ("v2", "t_1", 4.5)
    assert names["failures"].fetchall() == [("invalid_media", 1, "Unable to decode <media>.")]


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value for name, value in attrs if name in {"src", "href"} and value]

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def test_the_page_stands_alone(job: Path) -> None:
    """The report tells the job's figures, draws each plot, and asks for nothing from anywhere."""
    target = job / "report.html"
    write_report(job, target)
    html = target.read_text("utf-8")
    page = _Page()
    page.feed(html)
    assert page.addresses == []
    assert not re.search(r"https?:|url\(|@import", html)
    assert "script" not in page.tags
    assert page.tags.count("svg") == 6
    text = " ".join(page.text)
    for heading in ("Throughput over time", "Faces per minute of media", "Estimated ages", "Qualities"):
        assert heading in text
    assert "Unable to decode <media>." in text
    assert re.search(r">3</b>distinct faces", html)
    assert re.search(r">5</b>sightings", html)
