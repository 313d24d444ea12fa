"""How many replicas and machines an installation needs, from what was measured on one machine.

    python -m cluster.capacity --cameras 40 --videos-per-day 2000 --people 50000

    load -> cores busy at the peak -> replicas, with room to breathe -> machines, with one to lose

The figures are those of `MEASURED`: two cores of a shared AMD EPYC, without GPUs. Measure your own machine
with `make bench` and say what you found with the options; nothing here was measured on a GPU.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Final

import typer

SECONDS_A_DAY: Final = 86_400


@dataclass(frozen=True, slots=True)
class Figures:
    """What one core does.

    Attributes:
        pictures_per_s: pictures of 1280x886 with six faces, found over HTTP, nothing kept.
        keeping: the share of that which is left where every picture is kept.
        face_s: seconds for each face that is recognised.
        video_speed: seconds of 1080p video at two samples a second that are analysed in one second.
        vector_bytes: memory for each person in each process that searches.
        source: the commands that print these.
    """

    pictures_per_s: float
    keeping: float
    face_s: float
    video_speed: float
    vector_bytes: float
    source: str


MEASURED: Final = Figures(
    pictures_per_s=157.2 / 2,
    keeping=0.86,
    face_s=0.027,
    video_speed=600 / 46 / 2,
    vector_bytes=128 * 4 * 1.26,
    source="python -m cluster.bench.detect_http, storage_http, recognition, video_tasks, gallery; two cores "
    "of a shared AMD EPYC, YuNet and SFace",
)


@dataclass(frozen=True, slots=True)
class Load:
    """What is to be done.

    Attributes:
        cameras: that send pictures.
        camera_pictures_per_s: that each sends.
        faces_per_picture: on the mean.
        recognises: whether faces are searched in a library.
        keeps: whether pictures are kept.
        videos_per_day: that are handed in.
        video_minutes: length of each, on the mean.
        peak: how much more comes in the busiest hour than on the mean.
        people: in all libraries.
    """

    cameras: int = 0
    camera_pictures_per_s: float = 1.0
    faces_per_picture: float = 2.0
    recognises: bool = True
    keeps: bool = True
    videos_per_day: int = 0
    video_minutes: float = 5.0
    peak: float = 3.0
    people: int = 0


@dataclass(frozen=True, slots=True)
class Machines:
    """What it shall run on.

    Attributes:
        cores: of each machine.
        memory_gb: of each machine.
        busy: the share of a core that may be busy at the peak; beyond, requests wait for each other.
        spare: machines that may be lost without harm.
        replica_gb: memory of an ingress replica with all networks, without libraries.
    """

    cores: int = 8
    memory_gb: float = 16.0
    busy: float = 0.7
    spare: int = 1
    replica_gb: float = 0.6


@dataclass(frozen=True, slots=True)
class Plan:
    """What is needed.

    Attributes:
        picture_cores: cores busy with pictures at the peak.
        video_cores: cores busy with videos over the day, so that each day's are done by its end.
        ingress_replicas: one core each.
        task_replicas: one for each machine that works on videos, with cores for its chunks.
        machines: with those to lose.
        library_gb: memory of libraries in each ingress replica.
        memory_gb: of each machine that is used.
        is_tight: whether a machine's memory does not hold that.
    """

    picture_cores: float
    video_cores: float
    ingress_replicas: int
    task_replicas: int
    machines: int
    library_gb: float
    memory_gb: float
    is_tight: bool


CHUNK_CORES: Final = 4


def plan(load: Load, machines: Machines | None = None, figures: Figures = MEASURED) -> Plan:
    """Return what a load needs."""
    given = machines or Machines()
    picture_s = 1 / (figures.pictures_per_s * (figures.keeping if load.keeps else 1.0))
    picture_s += load.faces_per_picture * figures.face_s if load.recognises else 0.0
    picture_cores = load.cameras * load.camera_pictures_per_s * picture_s
    video_s = load.videos_per_day * load.video_minutes * 60
    # Videos wait in a queue: the day's mean counts, pictures' cores are those of their peak.
    video_cores = video_s / figures.video_speed / SECONDS_A_DAY * max(1.0, load.peak / 2)
    replicas = max(2, math.ceil(picture_cores * load.peak / given.busy))
    task_replicas = max(1, math.ceil(video_cores / given.busy / CHUNK_CORES))
    wanted_cores = replicas + task_replicas * CHUNK_CORES
    count = math.ceil(wanted_cores / given.cores)
    library_gb = load.people * figures.vector_bytes / 1e9
    each = math.ceil(replicas / count)
    memory_gb = each * (given.replica_gb + library_gb) + CHUNK_CORES * given.replica_gb
    return Plan(
        picture_cores=picture_cores * load.peak,
        video_cores=video_cores,
        ingress_replicas=replicas,
        task_replicas=task_replicas,
        machines=count + given.spare,
        library_gb=library_gb,
        memory_gb=memory_gb,
        is_tight=memory_gb > given.memory_gb,
    )


def main(  # noqa: PLR0913 - each is an option
    *,
    cameras: Annotated[int, typer.Option(help="Cameras that send pictures.")] = 0,
    pictures_per_s: Annotated[float, typer.Option(help="That each camera sends.")] = 1.0,
    faces: Annotated[float, typer.Option(help="On each picture, on the mean.")] = 2.0,
    recognise: Annotated[bool, typer.Option(help="Search each face in a library.")] = True,
    keep: Annotated[bool, typer.Option(help="Keep each picture.")] = True,
    videos_per_day: Annotated[int, typer.Option(help="Videos that are handed in.")] = 0,
    video_minutes: Annotated[float, typer.Option(help="Length of each, on the mean.")] = 5.0,
    people: Annotated[int, typer.Option(help="In all libraries.")] = 0,
    peak: Annotated[float, typer.Option(help="The busiest hour over the mean.")] = 3.0,
    cores: Annotated[int, typer.Option(help="Of each machine.")] = 8,
    memory_gb: Annotated[float, typer.Option(help="Of each machine.")] = 16.0,
    core_pictures_per_s: Annotated[
        float, typer.Option(help="What a core of yours does: half of what detect_http prints for two.")
    ] = MEASURED.pictures_per_s,
    core_video_speed: Annotated[
        float, typer.Option(help="Seconds of video that a core of yours analyses in one.")
    ] = MEASURED.video_speed,
) -> None:
    """Tell how many replicas and machines a load needs."""
    load = Load(cameras, pictures_per_s, faces, recognise, keep, videos_per_day, video_minutes, peak, people)
    figures = Figures(
        core_pictures_per_s,
        MEASURED.keeping,
        MEASURED.face_s,
        core_video_speed,
        MEASURED.vector_bytes,
        MEASURED.source,
    )
    made = plan(load, Machines(cores, memory_gb), figures)
    typer.echo(f"cores busy at the peak: {made.picture_cores:.1f} pictures, {made.video_cores:.1f} videos")
    typer.echo(f"ingress: {made.ingress_replicas} replicas of one core")
    typer.echo(f"tasks: {made.task_replicas} replicas with {CHUNK_CORES} cores for chunks each")
    typer.echo(f"machines: {made.machines} of {cores} cores, one of which may be lost")
    typer.echo(f"memory: {made.memory_gb:.1f} GB of each, {made.library_gb:.2f} GB a replica for libraries")
    if made.is_tight:
        typer.echo("that is more than a machine has: larger machines, or fewer libraries in memory at once")
    typer.echo(f"from: {figures.source}")


if __name__ == "__main__":
    typer.run(main)
