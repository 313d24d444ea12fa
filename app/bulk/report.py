"""A page about a job: figures and plots in one file, that opens in any browser without a network."""

from __future__ import annotations

import time
from html import escape
from typing import TYPE_CHECKING

from app.bulk.charts import Bar, bars, line
from app.bulk.clock import duration
from app.bulk.errors import FolderTaken
from app.bulk.figures import QUALITY_STEPS, read_figures
from app.bulk.files import whole_file
from app.bulk.folder import JobFolder

if TYPE_CHECKING:
    from collections import Counter
    from pathlib import Path

    from app.bulk.figures import JobFigures
    from app.bulk.folder import Job

_BINS = 24
_SPANS = 60
_MOST_EACH = 20
_STYLE = """
:root{color-scheme:light dark;--ink:#1d2430;--soft:#5d6778;--ground:#fff;--card:#f5f7fa;--bar:#2f6fde;
--grid:#d8dee8}
@media (prefers-color-scheme:dark){:root{--ink:#e8ecf3;--soft:#9aa5b8;--ground:#12161d;--card:#1b212b;
--bar:#6ea2ff;--grid:#323b49}}
body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--ground);margin:0 auto;
max-width:1360px;padding:24px}
h1{font-size:24px;margin:0 0 4px}h2{font-size:16px;margin:0 0 8px}.soft{color:var(--soft)}
.numbers{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:12px;margin:20px 0}
.number,.plot{background:var(--card);border-radius:8px;padding:12px 16px}
.number b{display:block;font-size:24px;font-variant-numeric:tabular-nums}
.plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,460px),1fr));gap:12px}
svg{width:100%;height:auto}.bar{fill:var(--bar)}.bar:hover{opacity:.7}
.line{fill:none;stroke:var(--bar);stroke-width:2}.grid{stroke:var(--grid)}
.tick{font-size:11px;fill:var(--soft)}.axis{font-size:12px;fill:var(--soft)}
table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:4px 8px 4px 0;vertical-align:top;
overflow-wrap:anywhere}td.n,th.n{text-align:right;padding-right:16px;white-space:nowrap}.none{color:var(--soft)}
"""


def write_report(folder: Path, target: Path) -> None:
    """Write the page.

    Args:
        folder: a job's.
        target: the page's file.

    Raises:
        FolderTaken: the folder is no job's.
    """
    job = JobFolder(folder).read()
    if job is None:
        message = f"{folder} is no bulk job's folder"
        raise FolderTaken(message)
    with whole_file(target) as stream:
        stream.write(page(job, read_figures(folder, job.file_format)).encode())


def page(job: Job, figures: JobFigures) -> str:
    """Return the page's HTML."""
    begun = time.strftime("%Y-%m-%d %H:%M", time.localtime(job.begun_at))
    unfinished = (
        "" if figures.rows == job.rows else f"; {figures.rows:,} of {job.rows:,} rows are in the tables"
    )
    rate = len(figures.ended_at) / figures.worked_s * 60 if figures.worked_s > 0 else 0.0
    numbers = [
        ("rows", f"{job.rows:,}"),
        ("succeeded", f"{figures.succeeded:,}"),
        ("failed", f"{figures.failed:,}"),
        ("distinct faces", f"{figures.faces:,}"),
        ("sightings", f"{figures.sightings:,}"),
        ("media", duration(figures.media_s)),
        ("worked for", duration(figures.worked_s)),
        ("rows a minute", f"{rate:,.1f}"),
    ]
    plots = [
        ("Throughput over time", throughput(figures.ended_at)),
        ("Faces per minute of media", faces_a_minute(figures.faces_a_minute)),
        ("Faces in each file", faces_each(figures.faces_each)),
        ("Estimated ages", ages(figures.ages)),
        ("Qualities", qualities(figures.qualities)),
        ("Failures", failures(figures)),
    ]
    boxes = "".join(f'<div class="number"><b>{value}</b>{escape(name)}</div>' for name, value in numbers)
    cards = "".join(
        f'<section class="plot"><h2>{escape(title)}</h2>{plot}</section>' for title, plot in plots
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>Facefleet bulk job</title><style>{_STYLE}</style></head><body>"
        f'<h1>Bulk job</h1><p class="soft">{escape(job.given)}, begun {begun}{unfinished}</p>'
        f'<div class="numbers">{boxes}</div><div class="plots">{cards}</div>'
        '<p class="soft">Ages, genders and qualities are estimates of networks, with errors that differ '
        "between groups of people. A face that is seen in several frames is one distinct face and several "
        "sightings.</p>"
        "</body></html>"
    )


def throughput(ended_at: list[float]) -> str:
    """Plot rows a minute over the time of the job, breaks included."""
    if len(ended_at) < 2 or ended_at[-1] <= ended_at[0]:  # noqa: PLR2004 - two moments make a span
        return line([], [], "", "")
    first, length = ended_at[0], ended_at[-1] - ended_at[0]
    spans = min(_SPANS, max(2, len(ended_at) // 4))
    counts = [0] * spans
    for moment in ended_at:
        counts[min(int((moment - first) / length * spans), spans - 1)] += 1
    points = [((number + 0.5) / spans, count / (length / spans) * 60) for number, count in enumerate(counts)]
    labels = ["0 s" if quarter == 0 else duration(length * quarter / 4) for quarter in range(5)]
    return line(points, labels, "time since the first result", "rows a minute")


def faces_a_minute(values: list[float]) -> str:
    """Plot how many media have how many faces a minute."""
    if not values:
        return bars([], "", "")
    highest = max(values) or 1.0
    width = highest / _BINS
    counts = [0] * _BINS
    for value in values:
        counts[min(int(value / width), _BINS - 1)] += 1
    data = [
        Bar(f"{at * width:.3g}", count, f"{at * width:.3g} to {(at + 1) * width:.3g}: {count:,} files")
        for at, count in enumerate(counts)
    ]
    return bars(data, "distinct faces per minute", "files")


def faces_each(counts: Counter[int]) -> str:
    """Plot how many files have how many faces."""
    if not counts:
        return bars([], "", "")
    highest = min(max(counts), _MOST_EACH)
    data = [Bar(str(number), counts[number]) for number in range(highest)]
    rest = sum(count for number, count in counts.items() if number >= highest)
    data.append(Bar(f"{highest}+" if max(counts) > highest else str(highest), rest))
    return bars(data, "distinct faces in a file", "files")


def ages(counts: Counter[int]) -> str:
    """Plot sightings by decade of estimated age."""
    data = [Bar(f"{age}-{age + 9}", counts[age]) for age in range(0, max(counts) + 10, 10)] if counts else []
    return bars(data, "estimated age", "sightings")


def qualities(counts: Counter[int]) -> str:
    """Plot sightings by quality."""
    data = [Bar(f"{at / QUALITY_STEPS:.2f}", counts[at]) for at in range(QUALITY_STEPS)] if counts else []
    return bars(data, "quality", "sightings")


def failures(figures: JobFigures) -> str:
    """List what went wrong, the most frequent first."""
    if not figures.failures:
        return '<p class="none">None.</p>'
    rows = "".join(
        f'<tr><td class="n">{count:,}</td><td>{escape(code)}</td>'
        f"<td>{escape(figures.reasons.get(code) or '')}</td></tr>"
        for code, count in figures.failures.most_common()
    )
    plot = bars([Bar(code, count) for code, count in figures.failures.most_common(10)], "code", "rows")
    return (
        f'{plot}<table><tr><th class="n">Rows</th><th>Code</th><th>The first reason</th></tr>{rows}</table>'
    )
